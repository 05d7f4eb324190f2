"""An engine as it is now: what the Serving page, the API and readiness are told of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class LoadedModel:
    """A model in the engine's memory; `rows` is the batch size found for it, `since` and `used` Unix seconds.

    `numerics` tells how it is computed where that differs from plain, such as "channels last".
    """

    model_id: str
    bytes: int
    flavor: str
    uses: int
    since: float
    rows: int
    used: float = 0.0
    numerics: str = ""


@dataclass(frozen=True)
class EngineState:
    """An engine as it is now; `message` says why where `ready` is false. Times in Unix seconds, memory in bytes.

    `name` is the engine's own, `engine` for the first; `address` is set where it is not on this machine.
    """

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
    name: str = "engine"
    address: str = ""


def combined(states: Sequence[EngineState]) -> EngineState:
    """Several engines as one: sums; percentiles are those of the slowest; ready where any is."""
    if len(states) == 1:
        return states[0]
    live = [state for state in states if state.ready] or list(states)
    counters = Counter[str]()
    for state in live:
        counters.update(state.counters)
    away = [f"{state.name}: {state.message}" for state in states if state.message]
    starts = [state.since for state in live if state.since is not None]
    return EngineState(
        ready=any(state.ready for state in states),
        message=" ".join(away),
        device=", ".join(dict.fromkeys(state.device for state in live if state.device)),
        threads=sum(state.threads for state in live),
        memory=sum(state.memory for state in live),
        budget=sum(state.budget for state in live),
        models=tuple(model for state in live for model in state.models),
        counters=counters,
        latency_ms={name: max(s.latency_ms.get(name, 0.0) for s in live) for name in ("p50", "p95", "p99")},
        batch_rows=_mean_rows(live),
        queue=sum(state.queue for state in live),
        restarts=sum(state.restarts for state in live),
        since=min(starts) if starts else None,
        working=sum(state.working for state in live),
        rows_per_second=sum(state.rows_per_second for state in live),
    )


def _mean_rows(states: Sequence[EngineState]) -> float:
    passes = [min(1000, state.counters.get("forward_passes", 0)) for state in states]
    return sum(n * s.batch_rows for n, s in zip(passes, states, strict=True)) / max(sum(passes), 1)
