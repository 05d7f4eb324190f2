"""Which devices get an engine, decided without importing torch; the name of each engine."""

import os
import subprocess
from collections.abc import Sequence

_LONGEST = 5.0


def engine_devices(wanted: str) -> tuple[str, ...]:
    """The device of each engine: those of the setting; for `auto` and `cuda` every GPU, one engine where none is told.

    The engine itself finds out what `auto` means where there is at most one.
    """
    listed = tuple(part.strip() for part in wanted.split(",") if part.strip()) or ("auto",)
    if len(listed) == 1 and listed[0] in ("auto", "cuda"):
        count = gpu_count()
        return tuple(f"cuda:{index}" for index in range(count)) if count > 1 else listed
    return listed


def engine_names(devices: Sequence[str]) -> tuple[str, ...]:
    """The engines' names: `engine`, then `engine-1` and so on."""
    return tuple(f"engine-{index}" if index else "engine" for index in range(len(devices)))


def gpu_count() -> int:
    """GPUs that NVIDIA's driver tells of and CUDA_VISIBLE_DEVICES leaves; 0 where there is no driver."""
    try:
        found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=_LONGEST, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    count = sum(line.startswith("GPU ") for line in found.stdout.splitlines())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return count if visible is None else min(count, len([part for part in visible.split(",") if part.strip()]))
