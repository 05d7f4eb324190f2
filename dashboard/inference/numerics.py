"""How a PyTorch model is computed here: plain, channels last, or in bfloat16; decided once per model by trying.

A form is taken when its answers to the model's own input example agree with the plain ones and it is clearly faster.
The decision is recorded by model, device and PyTorch version, so that it is measured once and not at every load.
"""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch

from dashboard.inference.attempt import Attempt
from dashboard.inference.predictor import Loaded, Runner
from dashboard.inference.protocol import Tensors

CHANNELS_LAST, BFLOAT16 = "channels last", "bfloat16"
ROWS, ROUNDS, LONGEST = 8, 5, 0.5
GAIN = 1.15
_CLOSE = {CHANNELS_LAST: 1e-4, BFLOAT16: 2e-2}


@dataclass(frozen=True)
class Decision:
    """The form taken ("" is plain), how many times as fast as plain it was, and what was tried: ms per form."""

    form: str = ""
    gain: float = 1.0
    tried: Mapping[str, float] | None = None

    @property
    def text(self) -> str:
        """The decision in words; empty for plain."""
        return f"{self.form}, {self.gain:.1f} times as fast" if self.form else ""


def tune(loaded: Loaded, device: str, record: Path, bfloat16: bool) -> None:
    """Bring the model into the form recorded for it, or into the best one found now; leaves it plain on any failure."""
    if loaded.module is None or loaded.example is None:
        return
    with Attempt() as attempt:
        _tune(loaded, device, record, bfloat16)
    if attempt.error is not None:
        loaded.run, loaded.numerics = loaded.plain, ""


def _tune(loaded: Loaded, device: str, record: Path, bfloat16: bool) -> None:
    mark = f"{device} torch {torch.__version__} {'bfloat16' if bfloat16 else ''}".strip()
    known = _read(record).get(mark)
    decision = known if known is not None else _decided(loaded, device, bfloat16)
    if known is None:
        _write(record, {**_read(record), mark: decision})
    loaded.run, loaded.numerics = _form(loaded, device, decision.form), decision.text


def _decided(loaded: Loaded, device: str, bfloat16: bool) -> Decision:
    example = {name: np.resize(array, (ROWS, *array.shape[1:])) for name, array in (loaded.example or {}).items()}
    expected: list[Tensors] = []
    with Attempt():
        expected.append(loaded.run(example, {}))
        expected.append(loaded.run(example, {}))
    if len(expected) < 2 or not _agrees(expected[1], expected[0], 1e-6):  # because a model may draw random numbers
        return Decision()
    plain = _milliseconds(loaded.run, example)
    tried = {"plain": plain}
    for form in _candidates(loaded, device, bfloat16) if plain < 1000 * LONGEST else ():
        with Attempt():
            run = _form(loaded, device, form)
            if _agrees(run(example, {}), expected[0], _CLOSE[form]):
                tried[form] = _milliseconds(run, example)
        _form(loaded, device, "")
    best = min(tried, key=lambda form: tried[form])
    gain = plain / tried[best]
    return Decision(best, gain, tried) if best != "plain" and gain >= GAIN else Decision("", 1.0, tried)


def _candidates(loaded: Loaded, device: str, bfloat16: bool) -> list[str]:
    forms = [CHANNELS_LAST] if loaded.module is not None and convolves(loaded.module) else []
    return [*forms, BFLOAT16] if bfloat16 and has_bfloat16(device) else forms


def convolves(module: torch.nn.Module) -> bool:
    """Whether the model has convolutions over pictures, as layers or, in an exported one, as nodes of its graph."""
    graph = getattr(module, "graph", None)
    nodes = (str(node.target) for node in graph.nodes) if graph is not None else ()
    return any(isinstance(layer, torch.nn.Conv2d) for layer in module.modules()) or any("conv2d" in n for n in nodes)


def has_bfloat16(device: str) -> bool:
    """Whether the device computes bfloat16 in hardware."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported())
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text()
        return "avx512_bf16" in text or "amx_bf16" in text
    return False


def _form(loaded: Loaded, device: str, form: str) -> Runner:
    """The runner of that form; the module's weights are laid out for it."""
    layout = torch.channels_last if form == CHANNELS_LAST else torch.contiguous_format
    if loaded.module is not None and convolves(loaded.module):
        loaded.module.to(memory_format=layout)  # type: ignore[call-overload]
    if form != BFLOAT16:
        return loaded.plain
    plain, kind = loaded.plain, device.partition(":")[0]

    def run(tensors: Tensors, params: Mapping[str, object]) -> Tensors:
        with torch.autocast(kind, torch.bfloat16):
            return plain(tensors, params)

    return run


def _milliseconds(run: Callable[..., Tensors], example: Tensors) -> float:
    """Median time of a pass; outputs arrive as arrays, so that a GPU has finished."""
    times: list[float] = []
    until = time.perf_counter() + LONGEST
    while len(times) < ROUNDS and (len(times) < 2 or time.perf_counter() < until):
        started = time.perf_counter()
        run(example, {})
        times.append(1000 * (time.perf_counter() - started))
    return median(times)


def _agrees(found: Tensors, expected: Tensors, close: float) -> bool:
    for name, wanted in expected.items():
        given = found[name]
        if given.shape != wanted.shape or wanted.dtype.kind != "f":
            return bool(np.array_equal(given, wanted))
        scale = max(1.0, float(np.abs(wanted).max(initial=0.0)))
        if not float(np.abs(given.astype(np.float64) - wanted).max(initial=0.0)) <= close * scale:
            return False
        if wanted.ndim > 1 and not np.array_equal(given.argmax(axis=1), wanted.argmax(axis=1)):
            return False
    return True


def _read(record: Path) -> dict[str, Decision]:
    try:
        return {mark: Decision(**facts) for mark, facts in json.loads(record.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write(record: Path, decisions: Mapping[str, Decision]) -> None:
    draft = record.with_suffix(".tmp")
    draft.write_text(json.dumps({mark: asdict(decision) for mark, decision in decisions.items()}))
    draft.replace(record)
