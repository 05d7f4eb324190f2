"""The Serving page: the inference process as it is now, and one model's engines side by side."""

from enum import StrEnum
from typing import Any

from dash import html

from dashboard.inference.speed_report import BATCHES
from dashboard.inference.states import EngineState
from dashboard.reports.serving import EngineCard, Process, ServedModel, ServingReport
from layouts import engine_race, formats, page, parts, rights, run_picker
from layouts.links import Path, page_link

PATH = Path.SERVING
QUESTION = "How fast does it answer here, and what is loaded?"
BUILD = "Give it its own environment"
ASK = "toolbar batch-ask mt-3"
_PARTS = {
    "web": "web pages",
    "jobs": "background jobs",
    "engine": "inference",
    "backoffice": "back office",
    "heavy": "exports",
}


class Ids(StrEnum):
    """Ids of this page."""

    QUERY = "serving-query"
    LIVE = "serving-live"
    MODEL = "serving-model"
    RUN = "serving-run"
    COMPARE = "serving-compare"
    CANCEL = "serving-cancel"
    ASK = "serving-ask"
    PROGRESS = "serving-progress"
    STEP = "serving-step"
    RESULT = "serving-result"
    NEEDS = "serving-needs"
    BUILD = "serving-build"
    REMOVE = "serving-remove"
    STOP_BUILD = "serving-stop-build"
    BUILD_ASK = "serving-build-ask"
    BUILD_PROGRESS = "serving-build-progress"
    BUILD_STEP = "serving-build-step"


def build(**query: str) -> html.Div:
    """The empty page."""
    live = page.slot(Ids.LIVE, 120, 160)
    tools = run_picker.build(Ids.MODEL, Ids.RUN)
    grid = html.Div([live, _needs(), _engines()], className="grid")
    return page.build(Ids.QUERY, query, "Serving", QUESTION, tools, grid)


def _needs() -> html.Section:
    note = (
        "The packages that the chosen model was logged with, against those of the engine. An environment of its own "
        "is built in the background and served by an engine of its own."
    )
    label = {"aria-label": "Share of the environment built"}
    ask = html.Div(
        [
            html.Button(
                "Give it its own environment", id=Ids.BUILD, n_clicks=0, hidden=True, className="btn btn-primary"
            ),
            html.Button("Remove its environment", id=Ids.REMOVE, n_clicks=0, hidden=True, className="btn-quiet"),
            html.Button("Cancel", id=Ids.STOP_BUILD, n_clicks=0, disabled=True, className="btn-quiet for-running"),
            html.Progress(id=Ids.BUILD_PROGRESS, value="0", max="1", **label),
            html.Span(id=Ids.BUILD_STEP, className="card-note figure-number"),
        ],
        id=Ids.BUILD_ASK,
        className=ASK,
        hidden=True,
    )
    result = html.Div(parts.skeleton(60), id=Ids.NEEDS, **{"aria-live": "polite"})
    refused = rights.why("build or remove an environment")
    return parts.card("What the model needs", html.Div([result, refused, ask]), note)


def _engines() -> html.Section:
    note = (
        "A PyTorch model exported to ONNX, checked on real inputs against PyTorch, and timed beside eager and "
        f"compiled at {', '.join(map(str, BATCHES[:-1]))} and {BATCHES[-1]} rows per call. Predictions go on meanwhile."
    )
    progress = html.Progress(id=Ids.PROGRESS, value="0", max="1", **{"aria-label": "Share of the comparison done"})
    ask = html.Div(
        [
            html.Button("Compare engines", id=Ids.COMPARE, n_clicks=0, disabled=True, className="btn btn-primary"),
            html.Button("Cancel", id=Ids.CANCEL, n_clicks=0, disabled=True, className="btn-quiet"),
            progress,
            html.Span(id=Ids.STEP, className="card-note figure-number"),
        ],
        id=Ids.ASK,
        className=ASK,
    )
    result = html.Div(parts.skeleton(120), id=Ids.RESULT, className="mt-3", **{"aria-live": "polite"})
    return parts.card("PyTorch against ONNX", html.Div([ask, rights.why("compare engines"), result]), note)


def progress(step: str, share: float) -> tuple[str, str]:
    """Value of the progress bar and its words."""
    return f"{share:.3f}", step


def render_engines(found: EngineCard) -> Any:
    """The comparison, or why there is none yet."""
    if found.reason:
        return parts.empty("Nothing to compare", found.reason)
    if found.comparison is None:
        text = "Compare engines measures it on this machine; it takes about a minute, mostly for the compiler."
        return parts.empty("Not compared yet", text)
    return engine_race.render(found.comparison, found.stale)


def render(report: ServingReport) -> html.Div:
    """The live part of the page."""
    cards = [
        _engine(report),
        _several(report),
        parts.card("Loaded models", _models(report), _budget(report), span=8),
        _parts(report),
    ]
    return html.Div([card for card in cards if card is not None], className="grid")


def _engine(report: ServingReport) -> html.Section:
    engine = report.engine
    if not engine.ready or not engine.device:
        title = "Busy" if engine.ready else "Away, and started again by itself"
        return parts.card("Engine", parts.empty(title, f"{engine.message} This page looks again every two seconds."))
    if engine.address:
        text = f"Predictions are asked of {engine.address}, which says that it is ready."
        return parts.card("Engine", html.P(text, className="mb-0"), "A server elsewhere (VITRINE_INFERENCE_URL).")
    passes = _passes(report)
    percentiles = " / ".join(formats.number(engine.latency_ms.get(name, 0.0), 2) for name in ("p50", "p95", "p99"))
    facts = [
        parts.fact("Device", f"{engine.device}, {formats.plural(engine.threads, 'thread')}"),
        parts.fact("Memory", engine_race.size(engine.memory)),
        parts.fact("At work", formats.plural(engine.working, "model")),
        parts.fact("Waiting", formats.plural(engine.queue, "request")),
        parts.fact("Rows per second", formats.number(engine.rows_per_second, 1)),
        parts.fact("Rows per pass", formats.number(engine.batch_rows, 1) if passes else "–"),
        parts.fact("Pass, p50 / p95 / p99", f"{percentiles} ms" if passes else "–"),
        parts.fact("From cache", "–" if report.from_cache is None else formats.percent(report.from_cache)),
        parts.fact("Restarts", formats.count(report.restarts)),
    ]
    return parts.card("Engine", html.Div([html.Div(facts, className="stat-row"), _counted(report)]), _since(report))


def _several(report: ServingReport) -> html.Section | None:
    """Each engine in a row, where there is more than the one of the card above."""
    if len(report.engines) < 2:
        return None
    heads = ("Engine", "State", "Device", "Models", "Memory", "Waiting", "Rows per second", "Restarts")
    rows = [_one(engine) for engine in report.engines]
    note = "One per device, one per environment of a model's own, and servers elsewhere. A model stays with its engine."
    return parts.card("Engines", parts.table(heads, rows, (3, 4, 5, 6, 7), "Engines"), note)


def _one(engine: EngineState) -> list[Any]:
    state = parts.pill("up", "better") if engine.ready else parts.pill("away", "worse")
    name = html.Td(engine.address or engine.name, className="cell-text", title=engine.message)
    if engine.address or not engine.ready:
        return [name, state, engine.device or "–", "–", "–", "–", "–", "–"]
    return [
        name,
        state,
        engine.device,
        formats.count(len(engine.models)),
        engine_race.size(engine.memory),
        formats.count(engine.queue),
        formats.number(engine.rows_per_second, 1),
        formats.count(engine.restarts),
    ]


def _since(report: ServingReport) -> str:
    passes = formats.plural(_passes(report), "forward pass", "forward passes")
    counted = f" Passes: the last {passes}." if _passes(report) else ""
    return f"Started {formats.since(report.engine.since)}. Rows per second: the last ten seconds.{counted}"


def _passes(report: ServingReport) -> int:
    """Forward passes behind the percentiles: the engine keeps the last thousand."""
    return min(1000, report.engine.counters.get("forward_passes", 0))


def _counted(report: ServingReport) -> html.P:
    counters = report.engine.counters
    words = [
        f"{formats.plural(report.answered, 'answer')} since the start: "
        f"{formats.count(counters.get('predictions', 0))} predicted",
        f"{formats.count(counters.get('cache_hits', 0))} from the cache",
        f"{formats.count(counters.get('joined', 0))} joined to an equal request",
        formats.plural(counters.get("loads", 0), "model load"),
        f"{formats.plural(counters.get('failed_loads', 0), 'failed load')}",
        formats.plural(counters.get("evictions", 0), "eviction"),
        formats.plural(counters.get("out_of_memory", 0), "batch", "batches") + " halved for memory",
    ]
    return html.P(", ".join(words) + ".", className="card-note mt-3 figure-number")


def _budget(report: ServingReport) -> str:
    if not report.engine.budget:
        return ""
    used = f"{engine_race.size(report.model_bytes)} of {engine_race.size(report.engine.budget)}"
    return f"{used}; beyond that the least recently used model is dropped (VITRINE_ENGINE_MEMORY_MB)."


def _models(report: ServingReport) -> Any:
    if not report.models:
        text = "A model is loaded when its first prediction is asked for." if report.engine.ready else "Not known now."
        return html.P(text, className="muted mb-0")
    heads = ("Model", "Form", "Size", "Rows predicted", "Rows per batch", "Loaded", "Last used")
    rows = [_model(model) for model in report.models]
    share = parts.share_bar(report.model_bytes / report.engine.budget) if report.engine.budget else None
    return html.Div([share, parts.table(heads, rows, (2, 3, 4), "Models in the engine's memory")])


def _model(model: ServedModel) -> list[Any]:
    loaded = model.loaded
    name = page_link(Path.INFERENCE, model.name, run=model.run_id) if model.run_id else model.name
    counts = (engine_race.size(loaded.bytes), formats.count(loaded.uses), formats.count(loaded.rows))
    return [
        html.Td(name, className="cell-text"),
        f"{loaded.flavor}, {loaded.numerics}" if loaded.numerics else loaded.flavor,
        *counts,
        formats.since(loaded.since),
        formats.since(loaded.used),
    ]


def _parts(report: ServingReport) -> html.Section:
    note = "Each may end alone and is started again."
    if not report.processes:
        text = "No supervisor runs on this data folder, so restarts are not counted here."
        return parts.card("Processes", html.P(text, className="muted mb-0"), note, span=4)
    rows = [_process(process) for process in report.processes]
    table = parts.table(("Process", "State", "Started", "Restarts"), rows, (3,), "Processes of the product")
    return parts.card("Processes", table, note, span=4)


def _process(process: Process) -> list[Any]:
    ended = f"ended ({process.last_exit})" if process.last_exit else "done"
    state = parts.pill("up", "better") if process.pid else parts.pill(ended, "worse" if process.last_exit else "")
    inference = process.name.startswith(("engine-", "env-"))
    name = f"inference, {process.name}" if inference else _PARTS.get(process.name, process.name)
    return [name, state, formats.since(process.started), formats.count(process.restarts)]
