"""What callbacks, jobs and the API ask for predictions: result cache first, then the engine; no torch, no mlflow."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dashboard.cache import Cached, ResultCache, cache_key
from dashboard.errors import BadInput
from dashboard.inference.asking import Ask, Engine, Waiting, unheard
from dashboard.inference.cards import ModelCard, model_card
from dashboard.inference.detections import on_picture
from dashboard.inference.embedded import Told
from dashboard.inference.inputs import Given, decode_input, digest
from dashboard.inference.outputs import Prediction, predictions
from dashboard.inference.padding import Padding, cut_back, join_padded, padded_layout
from dashboard.inference.protocol import ENGINE_VERSION, Message, Tensors
from dashboard.inference.routing import Routes
from dashboard.inference.states import EngineState, combined
from dashboard.settings import Settings
from mlflow_runs.index import RunIndex
from mlflow_runs.records import RunRow

COMPUTATION = "predict"
CHUNK_ROWS, CHUNK_BYTES = 32, 8 * 2**20
_CARDS = 16
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


class InferenceClient:
    """Paths and settings until first use, so that it may be built before a fork; safe to share between threads."""

    def __init__(self, data_dir: Path, cache: ResultCache, index: RunIndex, settings: Settings) -> None:
        self._cache, self._index, self._settings = cache, index, settings
        self._told = Told()
        self._cards: dict[str, tuple[RunRow, ModelCard]] = {}
        self.routes = Routes(data_dir, settings, self._told)

    def card(self, run_id: str) -> ModelCard:
        """The card of the run's model; raises RunNotFound or ModelUnavailable."""
        row = self._index.run(run_id)
        known = self._cards.get(run_id)
        if known is None or known[0] is not row:
            if len(self._cards) >= _CARDS:
                self._cards = {}
            known = self._cards[run_id] = (row, model_card(row))
        return known[1]

    def predict(
        self,
        run_id: str,
        inputs: Sequence[Given],
        *,
        params: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        progress: Progress | None = None,
        waiting: Waiting = unheard,
    ) -> Answer:
        """Predictions of the run's model for texts, rows (dict or list) or pictures (bytes).

        Only inputs whose prediction is not in the cache reach the engine, in chunks; after each, `progress` hears how
        many are done of how many; `waiting` hears in words why a chunk waits. `deadline` is in seconds
        from now (default: the engine_timeout setting); after it the request leaves the queue. Raises BadInput,
        RunNotFound, ModelUnavailable, EngineBusy or EngineUnavailable.
        """
        started = time.perf_counter()
        until = time.monotonic() + (deadline or self._settings.engine_timeout)
        card = self.card(run_id)
        if not inputs:
            raise BadInput("There is nothing to predict: the list of inputs is empty; at least one is needed.")
        samples = [_decoded(card, given, place, len(inputs)) for place, given in enumerate(inputs)]
        query = sorted((params or {}).items(), key=repr)
        ask = _Request(card, self.routes.engine(card), params or {}, until, waiting)
        keys = [cache_key(COMPUTATION, ENGINE_VERSION, card.model_id, ask.key(digest(s), query)) for s in samples]
        found = {key: hit for key in dict.fromkeys(keys) if (hit := self._cache.peek(key)) is not None}
        missing = {key: sample for key, sample in zip(keys, samples, strict=True) if key not in found}
        engine_ms = self._fill(ask, missing, found, progress)
        cached = not missing or all(found[key].hit for key in keys)
        self._told.add("cache_hits", sum(key not in missing for key in keys))
        return Answer(
            predictions=tuple(
                _prediction(card, found[key], given, sample)
                for key, given, sample in zip(keys, inputs, samples, strict=True)
            ),
            model=card,
            cached=cached,
            age=max((found[key].age for key in keys if found[key].hit), default=None),
            latency_ms=1000 * (time.perf_counter() - started),
            engine_ms=engine_ms,
        )

    def close(self) -> None:
        """Close idle connections; the client stays usable."""
        self.routes.close()

    def elsewhere(self, card: ModelCard) -> str:
        """The address of the server that answers for the model; empty where this machine's own engines do."""
        return self.routes.elsewhere(card)

    def states(self) -> list[EngineState]:
        """Every engine that may be asked, as it is now; never raises."""
        return self.routes.states()

    def ready(self) -> bool:
        """Whether an engine that may be asked for any model answers within two seconds."""
        return any(state.ready for state in self.routes.default_states())

    def state(self) -> EngineState:
        """All engines as one; never raises for an engine that is away."""
        return combined(self.routes.default_states())

    def _fill(
        self,
        ask: "_Request",
        missing: Mapping[str, Tensors],
        found: dict[str, Cached[object]],
        progress: Progress | None,
    ) -> float:
        spent, done, total = 0.0, len(found), len(found) + len(missing)
        for chunk in chunks(missing, ask.card.padding):
            ms, results = self._chunk(ask, chunk)
            found.update(results)
            spent, done = spent + ms, done + len(chunk)
            if progress is not None:
                progress(done, total)
        return spent

    def _chunk(self, ask: "_Request", chunk: Mapping[str, Tensors]) -> tuple[float, dict[str, Cached[object]]]:
        """Predict a chunk, once for equal chunks in flight in any process; (engine's ms, result per key)."""
        measured: list[float] = []

        def answer() -> tuple[Prediction, ...]:
            samples = list(chunk.values())
            message = ask.send(join_padded(samples, ask.card.padding))
            facts = message.header.get("parameters", {})
            measured.append(float(facts.get("ms", 0.0)))
            return _read(ask.card, message.tensors, facts, samples)

        keep = ask.engine.keep
        if len(chunk) == 1:
            (key,) = chunk
            single = self._cache.compute(key, lambda: answer()[0], expire=keep)
            self._told.add("joined", single.hit)
            return sum(measured), {key: Cached(single.value, single.hit, single.age)}
        subject = ask.card.model_id
        together = self._cache.compute(cache_key("chunk", ENGINE_VERSION, subject, tuple(chunk)), answer, expire=60)
        self._told.add("joined", together.hit)
        for key, prediction in zip(chunk, together.value, strict=True):
            self._cache.store(key, prediction, expire=keep)
        return sum(measured), {
            key: Cached(prediction, together.hit, together.age)
            for key, prediction in zip(chunk, together.value, strict=True)
        }


@dataclass(frozen=True)
class _Request:
    """What all chunks of one call share."""

    card: ModelCard
    engine: Engine
    params: Mapping[str, Any]
    until: float
    waiting: Waiting

    def key(self, content: str, query: object) -> object:
        """What the answer depends on beside the model: the input, the parameters, and a server elsewhere."""
        return (content, query, self.engine.subject) if self.engine.subject else (content, query)

    def send(self, tensors: Tensors) -> Message:
        """The engine's answer to these inputs."""
        return self.engine.infer(Ask(self.card, tensors, self.until, self.params, self.waiting))


def _decoded(card: ModelCard, given: Given, place: int, total: int) -> Tensors:
    try:
        return decode_input(card, given)
    except BadInput as exc:
        raise type(exc)(f"Input {place + 1}: {exc}" if total > 1 else str(exc)) from exc


def _read(
    card: ModelCard, outputs: Tensors, facts: Mapping[str, Any], samples: Sequence[Tensors]
) -> tuple[Prediction, ...]:
    """One prediction per sample; row by row where each row's output has a length of its own."""
    if None not in card.padding.values():
        return predictions(card, outputs, facts, len(samples))
    rows = [{name: array[i : i + 1] for name, array in outputs.items()} for i in range(len(samples))]
    cut = [cut_back(row, sample, card.padding) for row, sample in zip(rows, samples, strict=True)]
    return tuple(predictions(card, row, facts, 1)[0] for row in cut)


def _prediction(card: ModelCard, found: Cached[object], given: Given, sample: Tensors) -> Prediction:
    """The stored prediction; boxes on the very picture that was given, because others may look the same small."""
    if isinstance(found.value, Prediction):
        boxes = found.value.boxes
        return replace(found.value, boxes=on_picture(card, boxes, given, sample)) if boxes else found.value
    raise TypeError(f"the cache holds a {type(found.value).__name__} where a prediction belongs")


def chunks(missing: Mapping[str, Tensors], padding: Padding) -> Iterator[dict[str, Tensors]]:
    """The inputs in chunks of one layout each, inputs of one layout together wherever they stood."""
    buckets: dict[object, dict[str, Tensors]] = {}
    for key, sample in missing.items():
        buckets.setdefault(padded_layout(sample, padding), {})[key] = sample
    for bucket in buckets.values():
        yield from _sized(bucket)


def _sized(bucket: Mapping[str, Tensors]) -> Iterator[dict[str, Tensors]]:
    chunk: dict[str, Tensors] = {}
    size = 0
    for key, sample in bucket.items():
        nbytes = sum(array.nbytes for array in sample.values())
        if chunk and (len(chunk) >= CHUNK_ROWS or size + nbytes > CHUNK_BYTES):
            yield chunk
            chunk, size = {}, 0
        chunk[key] = sample
        size += nbytes
    if chunk:
        yield chunk
