"""What a comparison of engines found, as a record and as JSON; imports no torch."""

import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mlflow_runs.errors import DataMissing

VERSION = 1
TAG = "vitrine.engines"
BATCHES = (1, 8, 32)
ABSOLUTE, RELATIVE = 1e-4, 1e-3
_PACKAGES = ("torch", "onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxscript")


@dataclass(frozen=True)
class Timing:
    """One batch size: `calls` measured, percentiles of a call in ms, rows per second."""

    batch: int
    calls: int
    p50_ms: float
    p95_ms: float
    per_second: float


@dataclass(frozen=True)
class EngineResult:
    """One engine. `skipped` says why it was not measured; `ready_s` is what export, compiling or loading took.

    Against eager on `n` inputs: `difference` is the largest absolute one of any output, `agreed` the inputs with the
    same predicted class (None where the model predicts no class), `equal` whether all are within the tolerance.
    """

    name: str
    skipped: str = ""
    ready_s: float = 0.0
    n: int = 0
    difference: float = 0.0
    agreed: int | None = None
    equal: bool = False
    timings: tuple[Timing, ...] = ()

    def at(self, batch: int) -> Timing | None:
        """The timing at a batch size."""
        return next((timing for timing in self.timings if timing.batch == batch), None)


@dataclass(frozen=True)
class Comparison:
    """All engines for one model on one machine; `note` says what could not be kept, `made` is in Unix seconds."""

    model_id: str
    run_id: str
    device: str
    hardware: str
    threads: int
    versions: Mapping[str, str]
    source: str
    n: int
    made: float
    seconds: float
    onnx_bytes: int
    engines: tuple[EngineResult, ...]
    note: str = ""

    def to_json(self) -> str:
        """Compact, because MLflow tags hold 8,000 characters at most."""
        return json.dumps({"v": VERSION, **_rounded(asdict(self))}, separators=(",", ":"))


def versions() -> dict[str, str]:
    """The installed packages that decide how fast an engine is."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def from_json(text: str) -> Comparison:
    """The record of a text; DataMissing when it is of another version or broken."""
    try:
        raw = json.loads(text)
        if raw.pop("v") != VERSION:
            raise ValueError("another version")
        return Comparison(**{**raw, "engines": tuple(_engine(item) for item in raw["engines"])})
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise DataMissing(f"The tag {TAG} of this run cannot be read ({exc}).") from exc


def _engine(raw: Mapping[str, Any]) -> EngineResult:
    return EngineResult(**{**raw, "timings": tuple(Timing(**item) for item in raw["timings"])})


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) and value < 1e9 else value
