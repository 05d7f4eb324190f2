"""The shape of the engine's state in the API, and how a report becomes it."""

from pydantic import with_config
from typing_extensions import TypedDict

from dashboard.api.documents import moment
from dashboard.api.shapes import CLOSED
from dashboard.inference.states import EngineState
from dashboard.reports.serving import ServedModel, ServingReport


@with_config(CLOSED)
class ServedModelShape(TypedDict):
    """A model in the engine's memory."""

    model_id: str
    name: str
    """The model's name and version; the model id where the index does not know it."""
    run_id: str | None
    numerics: str
    """How it is computed where that differs from plain, such as `channels last`; else empty."""
    flavor: str
    """The form it is served in, such as `pytorch`, `pt2`, `pytorch as onnx`, `sklearn`."""
    bytes: int
    rows_predicted: int
    rows_per_batch: int
    """The batch size found good so far."""
    loaded_at: str | None
    """ISO 8601, UTC."""
    used_at: str | None
    """ISO 8601, UTC."""


@with_config(CLOSED)
class ProcessShape(TypedDict):
    """One process of the product."""

    name: str
    up: bool
    started_at: str | None
    """ISO 8601, UTC."""
    restarts: int


@with_config(CLOSED)
class EngineShape(TypedDict):
    """One engine that may be asked: of a device, of a model's own environment, or a server elsewhere."""

    name: str
    address: str | None
    """Where it is, for a server elsewhere."""
    ready: bool
    message: str
    device: str
    models: int
    memory_bytes: int
    queue: int
    rows_per_second: float
    restarts: int


@with_config(CLOSED)
class LatencyShape(TypedDict):
    """Percentiles of one forward pass in ms over the last 1,000; 0 before the first."""

    p50: float
    p95: float
    p99: float


@with_config(CLOSED)
class CountersShape(TypedDict):
    """Counts since the inference process started."""

    predictions: int
    """Rows that the models predicted."""
    requests: int
    forward_passes: int
    cache_hits: int
    """Rows answered from the result cache."""
    joined: int
    """Requests that waited for an equal one in flight and took its answer."""
    loads: int
    failed_loads: int
    evictions: int
    out_of_memory: int
    """Batches that were halved because memory ran out."""


@with_config(CLOSED)
class ServingDocument(TypedDict):
    """The inference process as it is now; numbers are 0 while it is away."""

    ready: bool
    message: str
    """Why it does not answer; empty when all is well."""
    device: str
    threads: int
    memory_bytes: int
    """What the process holds: on a GPU there, else in RAM."""
    model_bytes: int
    budget_bytes: int
    models: list[ServedModelShape]
    """Most recently used first."""
    queue: int
    """Requests that wait."""
    working: int
    """Models that are being loaded or at work."""
    rows_per_second: float
    """Over the last ten seconds."""
    mean_batch_rows: float
    """Over the last 1,000 forward passes."""
    latency_ms: LatencyShape
    counters: CountersShape
    cache_hit_rate: float | None
    """Share of answers from the cache or joined to an equal request; null before the first answer."""
    restarts: int
    since: str | None
    """When the inference process started (ISO 8601, UTC)."""
    processes: list[ProcessShape]
    engines: list[EngineShape]


def serving_document(report: ServingReport) -> ServingDocument:
    """The report as JSON."""
    engine, counters, latency = report.engine, report.engine.counters, report.engine.latency_ms
    return {
        "ready": engine.ready,
        "message": engine.message,
        "device": engine.device,
        "threads": engine.threads,
        "memory_bytes": engine.memory,
        "model_bytes": report.model_bytes,
        "budget_bytes": engine.budget,
        "models": [_model(model) for model in report.models],
        "queue": engine.queue,
        "working": engine.working,
        "rows_per_second": engine.rows_per_second,
        "mean_batch_rows": engine.batch_rows,
        "latency_ms": {"p50": latency.get("p50", 0.0), "p95": latency.get("p95", 0.0), "p99": latency.get("p99", 0.0)},
        "counters": {
            "predictions": counters.get("predictions", 0),
            "requests": counters.get("requests", 0),
            "forward_passes": counters.get("forward_passes", 0),
            "cache_hits": counters.get("cache_hits", 0),
            "joined": counters.get("joined", 0),
            "loads": counters.get("loads", 0),
            "failed_loads": counters.get("failed_loads", 0),
            "evictions": counters.get("evictions", 0),
            "out_of_memory": counters.get("out_of_memory", 0),
        },
        "cache_hit_rate": report.from_cache,
        "restarts": report.restarts,
        "since": moment(engine.since),
        "processes": [
            {
                "name": item.name,
                "up": item.pid is not None,
                "started_at": moment(item.started),
                "restarts": item.restarts,
            }
            for item in report.processes
        ],
        "engines": [_engine(item) for item in report.engines],
    }


def _engine(state: EngineState) -> EngineShape:
    return {
        "name": state.name,
        "address": state.address or None,
        "ready": state.ready,
        "message": state.message,
        "device": state.device,
        "models": len(state.models),
        "memory_bytes": state.memory,
        "queue": state.queue,
        "rows_per_second": state.rows_per_second,
        "restarts": state.restarts,
    }


def _model(model: ServedModel) -> ServedModelShape:
    loaded = model.loaded
    return {
        "model_id": loaded.model_id,
        "name": model.name,
        "run_id": model.run_id or None,
        "numerics": loaded.numerics,
        "flavor": loaded.flavor,
        "bytes": loaded.bytes,
        "rows_predicted": loaded.uses,
        "rows_per_batch": loaded.rows,
        "loaded_at": moment(loaded.since),
        "used_at": moment(loaded.used),
    }
