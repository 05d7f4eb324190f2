"""What callbacks, jobs and the API ask for predictions: result cache first, then the engine; no torch, no mlflow."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dashboard.cache import Cached, ResultCache, cache_key
from dashboard.errors import BadInput, EngineBusy, EngineUnavailable
from dashboard.inference.cards import ModelCard, model_card
from dashboard.inference.inputs import Given, decode_input, digest, join, layout
from dashboard.inference.outputs import Prediction, predictions
from dashboard.inference.protocol import ENGINE_VERSION, ROUTE, Message, Tensors, decode, encode
from dashboard.inference.wire import Address, EngineLost, QueueFull, Wire, wait_for_next
from dashboard.settings import Settings
from mlflow_runs.errors import DashboardError, ModelUnavailable, RunNotFound
from mlflow_runs.index import RunIndex

COMPUTATION = "predict"
CHUNK_ROWS, CHUNK_BYTES = 32, 8 * 2**20
_RESTART, _SILENCE = 10.0, 16.0
_ERRORS: dict[str, type[DashboardError]] = {
    error.code: error for error in (BadInput, EngineBusy, EngineUnavailable, ModelUnavailable, RunNotFound)
}
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Answer:
    """Predictions in the order of the inputs. `cached` only if every one was; `age` in seconds, of the oldest."""

    predictions: tuple[Prediction, ...]
    model: ModelCard
    cached: bool
    age: float | None
    latency_ms: float
    engine_ms: float


@dataclass(frozen=True)
class LoadedModel:
    """A model in the engine's memory; `rows` is the batch size found for it, `since` and `used` Unix seconds."""

    model_id: str
    bytes: int
    flavor: str
    uses: int
    since: float
    rows: int
    used: float = 0.0


@dataclass(frozen=True)
class EngineState:
    """The engine as it is now; `message` says why where `ready` is false. Times in Unix seconds, memory in bytes."""

    ready: bool
    message: str = ""
    device: str = ""
    threads: int = 0
    memory: int = 0
    budget: int = 0
    models: tuple[LoadedModel, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    batch_rows: float = 0.0
    queue: int = 0
    restarts: int = 0
    since: float | None = None
    working: int = 0
    rows_per_second: float = 0.0


class InferenceClient:
    """Paths and settings until first use, so that it may be built before a fork; safe to share between threads."""

    def __init__(self, data_dir: Path, cache: ResultCache, index: RunIndex, settings: Settings) -> None:
        self._cache, self._index, self._settings = cache, index, settings
        self._wire = Wire(data_dir / "run" / "engine.json", ROUTE)
        self._log = data_dir / "logs" / "engine.log"
        self._told: Counter[str] = Counter()
        self._lock = threading.Lock()

    def card(self, run_id: str) -> ModelCard:
        """The card of the run's model; raises RunNotFound or ModelUnavailable."""
        return model_card(self._index.run(run_id))

    def predict(
        self,
        run_id: str,
        inputs: Sequence[Given],
        *,
        params: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        progress: Progress | None = None,
    ) -> Answer:
        """Predictions of the run's model for texts, rows (dict or list) or pictures (bytes).

        Only inputs whose prediction is not in the cache reach the engine, in chunks; after each, `progress` hears how
        many are done of how many. `deadline` is in seconds from now (default: the engine_timeout setting). Raises
        BadInput, RunNotFound, ModelUnavailable, EngineBusy or EngineUnavailable.
        """
        started = time.perf_counter()
        until = time.monotonic() + (deadline or self._settings.engine_timeout)
        card = self.card(run_id)
        if not inputs:
            raise BadInput("There is nothing to predict: the list of inputs is empty; at least one is needed.")
        samples = [_decoded(card, given, place, len(inputs)) for place, given in enumerate(inputs)]
        query = sorted((params or {}).items(), key=repr)
        keys = [cache_key(COMPUTATION, ENGINE_VERSION, card.model_id, (digest(sample), query)) for sample in samples]
        found = {key: hit for key in dict.fromkeys(keys) if (hit := self._cache.peek(key)) is not None}
        missing = {key: sample for key, sample in zip(keys, samples, strict=True) if key not in found}
        engine_ms = self._fill(card, missing, found, params or {}, until, progress)
        cached = not missing or all(found[key].hit for key in keys)
        with self._lock:
            self._told["cache_hits"] += sum(key not in missing for key in keys)
        return Answer(
            predictions=tuple(_prediction(found[key]) for key in keys),
            model=card,
            cached=cached,
            age=max((found[key].age for key in keys if found[key].hit), default=None),
            latency_ms=1000 * (time.perf_counter() - started),
            engine_ms=engine_ms,
        )

    def close(self) -> None:
        """Close idle connections; the client stays usable."""
        self._wire.close()

    def ready(self) -> bool:
        """Whether the engine answers within two seconds."""
        return self.state().ready

    def state(self) -> EngineState:
        """The engine as it is now; never raises for an engine that is away."""
        try:
            address = self._wire.address()
            reply = decode(self._wire.post(address, self._body(address, {"op": "state"}, {}), 2.0)).header
        except EngineUnavailable as exc:
            return EngineState(False, str(exc))
        except QueueFull:
            return EngineState(True, "The queue is full.")
        except EngineLost as exc:
            return EngineState(False, f"The inference process does not answer: {exc}.")
        names = ("device", "threads", "memory", "budget", "counters", "latency_ms", "batch_rows", "queue", "since")
        models = tuple(LoadedModel(**model) for model in reply["models"])
        known = {name: reply[name] for name in (*names, "working", "rows_per_second")}
        return EngineState(True, models=models, restarts=address.starts - 1, **known)

    def _fill(
        self,
        card: ModelCard,
        missing: Mapping[str, Tensors],
        found: dict[str, Cached[object]],
        params: Mapping[str, Any],
        until: float,
        progress: Progress | None,
    ) -> float:
        spent, done, total = 0.0, len(found), len(found) + len(missing)
        for chunk in _chunks(missing):
            ms, results = self._chunk(card, chunk, params, until)
            found.update(results)
            spent, done = spent + ms, done + len(chunk)
            if progress is not None:
                progress(done, total)
        return spent

    def _chunk(
        self, card: ModelCard, chunk: Mapping[str, Tensors], params: Mapping[str, Any], until: float
    ) -> tuple[float, dict[str, Cached[object]]]:
        """Predict a chunk, once for equal chunks in flight in any process; (engine's ms, result per key)."""
        measured: list[float] = []

        def ask() -> tuple[Prediction, ...]:
            message = self._ask(card.model_id, join(list(chunk.values())), params, until)
            facts = message.header.get("parameters", {})
            measured.append(float(facts.get("ms", 0.0)))
            return predictions(card, message.tensors, facts, len(chunk))

        if len(chunk) == 1:
            (key,) = chunk
            single = self._cache.compute(key, lambda: ask()[0])
            self._joined(single.hit)
            return sum(measured), {key: Cached(single.value, single.hit, single.age)}
        together = self._cache.compute(cache_key("chunk", ENGINE_VERSION, card.model_id, tuple(chunk)), ask, expire=60)
        self._joined(together.hit)
        for key, prediction in zip(chunk, together.value, strict=True):
            self._cache.store(key, prediction)
        return sum(measured), {
            key: Cached(prediction, together.hit, together.age)
            for key, prediction in zip(chunk, together.value, strict=True)
        }

    def _joined(self, hit: bool) -> None:
        with self._lock:
            self._told["joined"] += hit

    def _ask(self, model_id: str, tensors: Tensors, params: Mapping[str, Any], until: float) -> Message:
        """The engine's answer, asked a second time when the engine was restarted meanwhile."""
        header = {"op": "infer", "model_name": model_id, "parameters": {"params": dict(params)}}
        address = self._wire.address()
        try:
            return self._once(address, header, tensors, until)
        except EngineLost:
            fresh = wait_for_next(self._wire, address, min(until, time.monotonic() + _RESTART))
        if fresh is None:
            raise self._away(address)
        return self._again(fresh, header, tensors, until)

    def _again(self, address: Address, header: Mapping[str, Any], tensors: Tensors, until: float) -> Message:
        patience = min(until, time.monotonic() + _RESTART)
        while True:
            try:
                return self._once(address, header, tensors, until)
            except EngineLost as exc:  # because a fresh engine writes its address just before it listens
                if time.monotonic() > patience or "refused" not in str(exc):
                    raise self._away(address) from exc
            time.sleep(0.05)

    def _once(self, address: Address, header: Mapping[str, Any], tensors: Tensors, until: float) -> Message:
        message = self._post(address, header, tensors, until)
        pause = 0.01
        while message.header.get("state") == "running":
            if time.monotonic() + pause > until:
                raise EngineBusy(
                    f"Model {header['model_name']} is still being loaded or at work after the time given; "
                    "try again in a few seconds."
                )
            time.sleep(pause)
            pause = min(0.25, pause * 1.5)
            message = self._post(address, {"op": "result", "ticket": message.header["ticket"]}, {}, until)
        if message.header.get("state") == "lost":
            raise EngineLost("the engine was restarted")
        if message.header.get("state") == "failed":
            error = message.header["error"]
            raise _ERRORS.get(error["code"], ModelUnavailable)(error["message"])
        return message

    def _post(self, address: Address, header: Mapping[str, Any], tensors: Tensors, until: float) -> Message:
        left = min(_SILENCE, until - time.monotonic())
        if left <= 0:
            raise EngineBusy("The prediction was given up because its time was over; try again in a few seconds.")
        try:
            return decode(self._wire.post(address, self._body(address, header, tensors), left))
        except QueueFull as exc:
            limit = self._settings.engine_queue
            raise EngineBusy(f"{limit} predictions are waiting already (the limit); try again in a second.") from exc

    def _body(self, address: Address, header: Mapping[str, Any], tensors: Tensors) -> bytes:
        with self._lock:
            told, self._told = dict(self._told), Counter()
        return encode({**header, "key": address.key, "told": told}, tensors)

    def _away(self, address: Address) -> EngineUnavailable:
        return EngineUnavailable(
            f"The inference process {address.pid} (127.0.0.1:{address.port}) does not answer; it is restarted by "
            f"itself, try again in a few seconds. Its log is {self._log}."
        )


def _decoded(card: ModelCard, given: Given, place: int, total: int) -> Tensors:
    try:
        return decode_input(card, given)
    except BadInput as exc:
        raise type(exc)(f"Input {place + 1}: {exc}" if total > 1 else str(exc)) from exc


def _prediction(found: Cached[object]) -> Prediction:
    if isinstance(found.value, Prediction):
        return found.value
    raise TypeError(f"the cache holds a {type(found.value).__name__} where a prediction belongs")


def _chunks(missing: Mapping[str, Tensors]) -> Iterator[dict[str, Tensors]]:
    chunk: dict[str, Tensors] = {}
    size = 0
    for key, sample in missing.items():
        nbytes = sum(array.nbytes for array in sample.values())
        alike = not chunk or layout(next(iter(chunk.values()))) == layout(sample)
        if chunk and (len(chunk) >= CHUNK_ROWS or size + nbytes > CHUNK_BYTES or not alike):
            yield chunk
            chunk, size = {}, 0
        chunk[key] = sample
        size += nbytes
    if chunk:
        yield chunk
