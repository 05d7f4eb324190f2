"""GET /metrics for Prometheus: what the web workers counted together, and what engine, jobs, cache and processes say.

Workers count into files that gunicorn.conf.py names (PROMETHEUS_MULTIPROC_DIR), so their sums do not depend on which
worker answers; without it one process counts for itself.
"""

import json
import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import flask
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector

from dashboard import processes
from dashboard.cache import CACHE_ERRORS
from dashboard.readiness import readiness
from dashboard.services import Services

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0)
_CALLBACK = "/_dash-update-component"
_Metrics = Iterator[Metric]


def register(server: flask.Flask, services: Services, callbacks: Callable[[], Collection[str]]) -> None:
    """Count every request of the server and add the route; `callbacks` are the outputs that may be named in a label."""
    registry = CollectorRegistry()
    requests = Counter("vitrine_requests", "Requests answered.", ["route", "status"], registry=registry)
    waits = Histogram(
        "vitrine_callback_seconds", "Time of one callback.", ["output"], registry=registry, buckets=_BUCKETS
    )
    errors = Counter("vitrine_errors", "Errors shown to users, by code.", ["code"], registry=registry)

    @server.before_request
    def begin() -> None:
        flask.g.begun = time.perf_counter()

    @server.after_request
    def count(answer: flask.Response) -> flask.Response:
        rule = flask.request.url_rule
        requests.labels(rule.rule if rule else "none", str(answer.status_code)).inc()
        if rule and rule.rule == _CALLBACK and answer.status_code < 400:
            waits.labels(_output(callbacks())).observe(time.perf_counter() - flask.g.begun)
        if code := flask.g.get("error_code"):
            errors.labels(code).inc()
        return answer

    @server.get("/metrics")
    def metrics() -> flask.Response:
        text = generate_latest(_counted(registry)) + generate_latest(_State(services).registry())
        return flask.Response(text, content_type=CONTENT_TYPE_PLAIN_0_0_4)


def note_error(code: str) -> None:
    """Let the error that this request shows be counted."""
    if flask.has_request_context():
        flask.g.error_code = code


def _output(known: Collection[str]) -> str:
    """The callback that was asked for; one name for all that do not exist, because clients could make up any number."""
    body = flask.request.get_json(silent=True)
    output = body.get("output") if isinstance(body, dict) else None
    return output if isinstance(output, str) and output in known else "unknown"


def _counted(own: CollectorRegistry) -> CollectorRegistry:
    if not os.environ.get(FOLDER):
        return own
    shared = CollectorRegistry()
    MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    return shared


@dataclass(frozen=True)
class _State:
    """What is read at the moment of the question; a part that is away leaves its figures out and is 0 in vitrine_up."""

    services: Services

    def registry(self) -> CollectorRegistry:
        found = CollectorRegistry()
        found.register(self)
        return found

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> _Metrics:
        up = GaugeMetricFamily("vitrine_up", "Whether a part answers, as in /ready.", labels=["part"])
        for part, facts in readiness(self.services).items():
            up.add_metric([part], float(bool(facts["ok"])))
        yield up
        yield from self._engine()
        yield from self._jobs()
        yield from self._cache()
        yield from _memory(self.services.settings.data_dir)

    def _engine(self) -> _Metrics:
        state = self.services.inference.state()
        if not state.ready:
            return
        counts = CounterMetricFamily("vitrine_engine", "What the engine counted since its start.", labels=["what"])
        for what, number in state.counters.items():
            counts.add_metric([what], number)
        yield counts
        yield GaugeMetricFamily("vitrine_engine_queue", "Predictions that wait.", value=state.queue)
        yield GaugeMetricFamily("vitrine_engine_memory_bytes", "Memory of the engine's device.", value=state.memory)
        yield GaugeMetricFamily("vitrine_engine_models", "Models in memory.", value=len(state.models))

    def _jobs(self) -> _Metrics:
        load = self.services.jobs.load()
        if load is None:
            return
        found = GaugeMetricFamily("vitrine_jobs", "Background jobs at this moment.", labels=["state"])
        for state, number in load.items():
            found.add_metric([state], number)
        yield found

    def _cache(self) -> _Metrics:
        found = CounterMetricFamily(
            "vitrine_cache", "Questions to the result cache, by computation.", labels=["outcome", "computation"]
        )
        try:
            counters = self.services.cache.counters()
        except CACHE_ERRORS:
            return
        for name, number in counters.items():
            outcome, _, computation = name.partition("/")
            found.add_metric([outcome, computation], number)
        yield found


def _memory(data_dir: Path) -> _Metrics:
    """Proportional set size of each part with all its processes, from the supervisor's list; Linux only."""
    try:
        state = json.loads((data_dir / "run" / "supervisor.json").read_text())
        mark, parts = str(state["mark"]), dict(state["parts"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    memory = GaugeMetricFamily("vitrine_memory_bytes", "Proportional set size of a part.", labels=["part"])
    if "web" not in parts and os.environ.get(FOLDER):
        memory.add_metric(["web"], sum(map(proportional_bytes, _gunicorn(os.getppid()))))
    starts = CounterMetricFamily("vitrine_restarts", "Starts of a part after its first.", labels=["part"])
    for part, facts in parts.items():
        memory.add_metric([part], sum(map(proportional_bytes, processes.marked(f"{mark}/{part}/"))))
        starts.add_metric([part], int(facts["restarts"]))
    yield memory
    yield starts


def _gunicorn(master: int) -> list[int]:
    """gunicorn's master and its children, where no supervisor started it."""
    try:
        children = Path(f"/proc/{master}/task/{master}/children").read_text()
    except OSError:
        return []
    return [master, *map(int, children.split())]


def proportional_bytes(pid: int) -> int:
    """The process's share of the memory it uses, in bytes; 0 when it is gone."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:")), 0)
