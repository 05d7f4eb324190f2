"""Models' own environments on disk: where they lie, which is ready, which is in use; built by environment_build.

`environments/<digest>/` in the data folder, by digest of the requirements: `venv/`, `ready.json` once it is built and
checked, `wanted` touched by callers, `build.log`. The supervisor runs an engine for each that was wanted lately.
"""

import hashlib
import importlib.metadata
import json
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from dashboard.inference.requirements import wanted

_VERSION = 1
_BASE = ("mlflow", "mosec", "numpy", "onnxruntime", "pandas", "torch")
_TOUCH = 1.0


@dataclass(frozen=True)
class Environment:
    """A finished environment: what was installed into it, its size in bytes, and when it was made (Unix seconds)."""

    digest: str
    requirements: tuple[str, ...]
    installed: tuple[str, ...]
    bytes: int
    made: float
    seconds: float


def digest_of(requirements: Sequence[str]) -> str:
    """The name of the environment for these requirements over this Python and this engine."""
    content = "\n".join((str(_VERSION), sys.version, *base(), *wanted(requirements)))
    return hashlib.blake2b(content.encode(), digest_size=12).hexdigest()


def base() -> tuple[str, ...]:
    """What the engine itself needs in any environment, as it is installed here."""
    return tuple(f"{name}=={importlib.metadata.version(name)}" for name in _BASE)


def folder(data_dir: Path, digest: str) -> Path:
    """Where the environment lies."""
    return data_dir / "environments" / digest


def python(data_dir: Path, digest: str) -> Path:
    """The environment's interpreter."""
    return folder(data_dir, digest) / "venv" / "bin" / "python"


def engine_name(digest: str) -> str:
    """The name of the engine that runs in the environment."""
    return f"env-{digest[:12]}"


def ready(data_dir: Path, requirements: Sequence[str]) -> str | None:
    """The digest of the environment for these requirements where it is built; None where it is not."""
    if not (data_dir / "environments").exists():
        return None
    digest = digest_of(requirements)
    return digest if (folder(data_dir, digest) / "ready.json").exists() else None


def environment(data_dir: Path, digest: str) -> Environment | None:
    """What is recorded of a finished environment."""
    try:
        found = json.loads((folder(data_dir, digest) / "ready.json").read_text())
        return Environment(**{**found, **{name: tuple(found[name]) for name in ("requirements", "installed")}})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def record(data_dir: Path, made: Environment) -> None:
    """Say that an environment is ready."""
    path = folder(data_dir, made.digest) / "ready.json"
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(asdict(made)))
    draft.replace(path)


def last_lines(data_dir: Path, digest: str, count: int) -> tuple[str, ...]:
    """The end of the build's log; empty where nothing was ever built."""
    try:
        return tuple((folder(data_dir, digest) / "build.log").read_text(errors="replace").splitlines()[-count:])
    except OSError:
        return ()


def want(data_dir: Path, digest: str) -> None:
    """Ask for the environment's engine, or keep it from being stopped."""
    path = folder(data_dir, digest) / "wanted"
    with suppress(OSError):
        if not path.exists() or time.time() - path.stat().st_mtime > _TOUCH:
            path.touch()


def serving(data_dir: Path, idle: float) -> tuple[str, ...]:
    """The digests of the environments whose engine was asked for within the last `idle` seconds, sorted."""
    found = []
    for path in (data_dir / "environments").glob("*/wanted"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime <= idle and (path.parent / "ready.json").exists():
                found.append(path.parent.name)
    return tuple(sorted(found))


def make_room(data_dir: Path, limit_bytes: int, idle: float, keep: str) -> tuple[str, ...]:
    """Delete the environments that were used the longest ago until all fit; those that are serving stay. Digests."""
    used = set(serving(data_dir, idle)) | {keep}
    known = [
        made
        for path in (data_dir / "environments").glob("*/ready.json")
        if (made := environment(data_dir, path.parent.name))
    ]
    known.sort(key=lambda made: _last_use(data_dir, made))
    excess, gone = sum(made.bytes for made in known) - limit_bytes, []
    for made in known:
        if excess > 0 and made.digest not in used:
            remove(data_dir, made.digest)
            gone.append(made.digest)
            excess -= made.bytes
    return tuple(gone)


def remove(data_dir: Path, digest: str) -> None:
    """Delete an environment; it stops being ready first, so that nobody asks for half of it."""
    (folder(data_dir, digest) / "ready.json").unlink(missing_ok=True)
    shutil.rmtree(folder(data_dir, digest), ignore_errors=True)


def _last_use(data_dir: Path, made: Environment) -> float:
    with suppress(OSError):
        return (folder(data_dir, made.digest) / "wanted").stat().st_mtime
    return made.made
