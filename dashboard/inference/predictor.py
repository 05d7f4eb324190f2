"""Models in memory: loaded once, kept within a byte budget, run in batches; imports torch, neither mlflow nor mosec."""

import gc
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from dashboard.errors import BadInput
from dashboard.inference.attempt import Attempt
from dashboard.inference.padding import Padding, cut_back, join_padded, padded_layout
from dashboard.inference.protocol import Tensors
from mlflow_runs.errors import DashboardError, ModelUnavailable

Params = Mapping[str, Any]
Runner = Callable[[Tensors, Params], Tensors]
UNIT = 0.25
_FIRST_ROWS, _MOST_ROWS = 64, 4096
_FAILURE_LIFE = 5.0
_RATE_SPAN = 10.0


@dataclass
class Loaded:
    """A model in memory. `nbytes` is what it holds; `rows` is the batch size found good so far, `most` its cap.

    `found` hears of every new batch size. `numerics` tells how it is computed where that differs from plain; `plain`
    is the runner it came with, `example` a few inputs of its own.
    """

    run: Runner
    nbytes: int
    flavor: str
    facts: dict[str, Any] = field(default_factory=dict)
    padding: Padding = field(default_factory=dict)
    numerics: str = ""
    module: torch.nn.Module | None = None
    example: Tensors | None = None
    rows: int = _FIRST_ROWS
    most: int = _MOST_ROWS
    found: Callable[[int], None] = lambda _rows: None
    uses: int = 0
    since: float = field(default_factory=time.time)
    used: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.plain = self.run


@dataclass(frozen=True)
class Outcome:
    """What became of one request: outputs, or the error; `seconds` and `rows` are those of the batch it was in."""

    outputs: Tensors = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: DashboardError | None = None
    seconds: float = 0.0
    rows: int = 0


def refuse_params(params: Params) -> None:
    """Raise BadInput when parameters were given to a flavour that takes none."""
    if params:
        raise BadInput(f"The model takes no parameters, but {', '.join(map(repr, params))} was given.")


class Predictor:
    """The models of one device. Different models may run at the same time; one model runs in one thread at a time."""

    def __init__(self, loader: Callable[[str], Loaded], budget_bytes: int, device: str = "cpu") -> None:
        self._loader, self._budget, self.device = loader, budget_bytes, device
        self._models: OrderedDict[str, Loaded] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()  # because loading changes sys.path and the measured memory
        self._failed: dict[str, tuple[float, Exception | None]] = {}
        self.counters: Counter[str] = Counter()
        self.batch_rows: deque[int] = deque(maxlen=1000)
        self.seconds: deque[float] = deque(maxlen=1000)
        self._recent: deque[tuple[float, int]] = deque(maxlen=5000)

    def holds(self, model_id: str) -> bool:
        """Whether the model is in memory."""
        return model_id in self._models

    def models(self) -> dict[str, Loaded]:
        """The models in memory, least recently used first."""
        with self._lock:
            return dict(self._models)

    def rows_per_second(self) -> float:
        """Rows predicted per second over the last ten seconds, or over the last 5,000 forward passes."""
        now, recent = time.monotonic(), list(self._recent)
        last = [(at, rows) for at, rows in recent if now - at <= _RATE_SPAN]
        span = _RATE_SPAN if len(last) < len(recent) or len(recent) < 5000 else max(now - last[0][0], 0.001)
        return sum(rows for _, rows in last) / span

    def ensure(self, model_id: str) -> Loaded:
        """The model, loaded if need be; raises ModelUnavailable when it cannot be or exceeds the whole budget."""
        if (found := self._touch(model_id)) is not None:
            return found
        with self._loading:
            if (found := self._touch(model_id)) is not None:
                return found
            failed_at, error = self._failed.get(model_id, (0.0, None))
            if error is not None and time.monotonic() - failed_at < _FAILURE_LIFE:
                raise error
            with Attempt() as attempt:
                return self._load(model_id)
            self._failed[model_id] = (time.monotonic(), attempt.error)
            raise attempt.error or ModelUnavailable(f"Model {model_id} cannot be loaded.")

    def _load(self, model_id: str) -> Loaded:
        loaded = self._loader(model_id)
        self.counters["loads"] += 1
        if loaded.nbytes > self._budget:
            raise ModelUnavailable(
                f"Model {model_id} needs {loaded.nbytes / 2**20:.0f} MB; the budget for models is "
                f"{self._budget / 2**20:.0f} MB (VITRINE_ENGINE_MEMORY_MB)."
            )
        self._make_room(loaded.nbytes)
        with self._lock:
            self._models[model_id] = loaded
        return loaded

    def warm(self, work: Callable[[], None]) -> None:
        """Do some work while no model is being loaded, so that both do not import the same modules at once."""
        with self._loading:
            work()

    def run(
        self, model_id: str, requests: Sequence[Tensors], params: Params, ready: Callable[[], None] = lambda: None
    ) -> list[Outcome]:
        """The outcome of each request, in their order; requests of one layout share batches.

        `ready` is called between loading and predicting.
        """
        loaded: list[Loaded] = []
        with Attempt() as attempt:
            loaded.append(self.ensure(model_id))
            ready()
        if attempt.error is not None:
            self.counters["failed_loads"] += 1
            return [Outcome(error=_translated(model_id, attempt.error))] * len(requests)
        outcomes: list[Outcome] = [Outcome()] * len(requests)
        for index, tensors in enumerate(requests):
            if (reason := _uneven(tensors)) is not None:
                outcomes[index] = Outcome(error=reason)
        sound = [index for index, outcome in enumerate(outcomes) if outcome.error is None]
        for indexes in _alike(requests, sound, loaded[0].padding):
            found = self._together(model_id, loaded[0], [requests[index] for index in indexes], params)
            for index, outcome in zip(indexes, found, strict=True):
                outcomes[index] = outcome
        return outcomes

    def _together(self, model_id: str, loaded: Loaded, requests: list[Tensors], params: Params) -> list[Outcome]:
        counts = [_rows(tensors) for tensors in requests]
        started = time.perf_counter()
        result: list[Tensors] = []
        with Attempt() as attempt:
            result.append(self._in_chunks(loaded, join_padded(requests, loaded.padding), params))
            _check_rows(model_id, result[0], sum(counts))
        if attempt.error is not None:
            if len(requests) > 1:  # because one bad request must not spoil its neighbours' answers
                return [self._together(model_id, loaded, [tensors], params)[0] for tensors in requests]
            return [Outcome(error=_translated(model_id, attempt.error))]
        self.counters["predictions"] += sum(counts)
        seconds = time.perf_counter() - started
        parts = _split(result[0], counts)
        cut = [cut_back(part, given, loaded.padding) for part, given in zip(parts, requests, strict=True)]
        return [Outcome(part, loaded.facts, None, seconds, sum(counts)) for part in cut]

    def _in_chunks(self, loaded: Loaded, tensors: Tensors, params: Params) -> Tensors:
        total, done, parts = _rows(tensors), 0, list[Tensors]()
        while done < total:
            size = min(loaded.rows, total - done)
            chunk = tensors if size == total else {name: array[done : done + size] for name, array in tensors.items()}
            started = time.perf_counter()
            try:
                parts.append(loaded.run(chunk, params))
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as exc:
                if size == 1 or not _out_of_memory(exc):
                    raise
                self._halve(loaded, size)
                continue
            done += size
            self._note(loaded, size, time.perf_counter() - started)
        return parts[0] if len(parts) == 1 else _stack(parts)

    def _halve(self, loaded: Loaded, size: int) -> None:
        loaded.rows = loaded.most = max(1, size // 2)
        loaded.found(loaded.rows)
        self.counters["out_of_memory"] += 1
        _free(self.device)

    def _note(self, loaded: Loaded, size: int, seconds: float) -> None:
        self.counters["forward_passes"] += 1
        self.batch_rows.append(size)
        self.seconds.append(seconds)
        loaded.uses += size
        loaded.used = time.time()
        self._recent.append((time.monotonic(), size))
        rows = loaded.rows
        if seconds > UNIT and size == rows:
            loaded.rows = max(1, size // 2)
        elif seconds < UNIT / 4 and size == rows:
            loaded.rows = min(loaded.most, size * 2)
        if loaded.rows != rows:
            loaded.found(loaded.rows)

    def _touch(self, model_id: str) -> Loaded | None:
        with self._lock:
            if model_id in self._models:
                self._models.move_to_end(model_id)
            return self._models.get(model_id)

    def _make_room(self, nbytes: int) -> None:
        with self._lock:
            evicted = []
            while self._models and nbytes + sum(model.nbytes for model in self._models.values()) > self._budget:
                evicted.append(self._models.popitem(last=False))
            self.counters["evictions"] += len(evicted)
        if evicted:
            del evicted
            _free(self.device)


def _alike(requests: Sequence[Tensors], indexes: Sequence[int], padding: Padding) -> list[list[int]]:
    groups: dict[object, list[int]] = {}
    for index in indexes:
        groups.setdefault(padded_layout(requests[index], padding), []).append(index)
    return list(groups.values())


def _uneven(tensors: Tensors) -> BadInput | None:
    counts = {len(array) if array.ndim else 0 for array in tensors.values()}
    if len(counts) == 1 and 0 not in counts:
        return None
    return BadInput(f"The inputs have {sorted(counts)} rows; one number above zero, the same for all, is needed.")


def _rows(tensors: Tensors) -> int:
    return len(next(iter(tensors.values())))


def _split(outputs: Tensors, counts: Sequence[int]) -> list[Tensors]:
    ends = np.cumsum(counts)
    return [
        {name: array[end - count : end] for name, array in outputs.items()}
        for end, count in zip(ends, counts, strict=True)
    ]


def _stack(parts: Sequence[Tensors]) -> Tensors:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _check_rows(model_id: str, outputs: Tensors, rows: int) -> None:
    for name, array in outputs.items():
        if array.ndim == 0 or len(array) != rows:
            raise ModelUnavailable(
                f"Model {model_id} answered {rows} inputs with an output {name!r} of shape {list(array.shape)}; "
                f"the first number should be {rows}."
            )


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def _free(device: str) -> None:
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()


def _translated(model_id: str, error: Exception) -> DashboardError:
    if isinstance(error, DashboardError):
        return error
    text = " ".join(str(error).split())[:300]
    return ModelUnavailable(f"Model {model_id} failed on this input: {type(error).__name__}: {text}")
