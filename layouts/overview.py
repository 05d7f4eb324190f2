"""The Overview page: every model, what needs attention first."""

from collections.abc import Sequence
from enum import StrEnum
from math import isfinite
from typing import Any

from dash import dcc, html

from dashboard.reports.measured import LOWER_IS_BETTER
from dashboard.reports.overview import ModelCard, OverviewReport
from layouts import formats, page, parts, sparkline
from layouts.links import Path, page_link
from mlflow_runs.records import RunRow

PATH = Path.OVERVIEW
_NAMED = 5
_STATES = {"FAILED": ("run failed", "worse"), "KILLED": ("run killed", "worse"), "RUNNING": ("still running", "few")}
QUESTION = "Are the models fine, and is the newest version better than the one before?"


class Ids(StrEnum):
    """Ids of this page; SEARCH is a control of the query. While PENDING evaluations are not measured, AGAIN asks."""

    QUERY = "overview-query"
    SEARCH = "overview-search"
    BODY = "overview-body"
    PENDING = "overview-pending"
    AGAIN = "overview-again"


def build(**query: str) -> html.Div:
    """The empty page."""
    search = dcc.Input(
        id=Ids.SEARCH, value=query.get("search", ""), placeholder="Find a model", debounce=0.3, className="form-control"
    )
    tools = html.Div([html.Label("Model", htmlFor=Ids.SEARCH), search], className="field chrome")
    body = page.slot(Ids.BODY, 110, 110, 110, 110)
    stores = [dcc.Store(id=Ids.PENDING), dcc.Store(id=Ids.AGAIN)]
    return page.build(Ids.QUERY, query, "Overview", QUESTION, tools, body, *stores)


def render(report: OverviewReport) -> Any:
    """One card per model; a sentence where there is none."""
    if not report.models:
        return _nothing(report)
    pending = f"Reading {formats.plural(report.pending, 'more evaluation')} …" if report.pending else None
    cards = [_card(model) for model in report.models]
    told = html.P(pending, className="card-note mb-2", role="status") if pending else None
    return html.Div([_summary(report.models, bool(report.pending)), told, *cards])


def _summary(models: Sequence[ModelCard], pending: bool) -> html.P:
    """The page in one line: which models got worse, which cannot be read or have no figures."""
    worse = [model for model in models if model.verdict and model.verdict.word == "worse"]
    broken = [model for model in models if model.problem]
    bare = [model for model in models if model.headline is None and not (model.problem or pending)]
    share = f"{len(worse) or 'None'} of {formats.plural(len(models), 'model')}"
    line: list[Any] = [html.B(f"{share} got worse against the version before"), *_names(worse)]
    line.append(", of those read so far." if pending else ".")
    line += [f" {len(broken)} cannot be read in full", *_names(broken), "."] if broken else []
    line += [f" {len(bare)} without an evaluation", *_names(bare), "."] if bare else []
    return html.P(line, className="summary mb-3")


def _names(models: Sequence[ModelCard]) -> list[Any]:
    """Links to the first models, after a colon."""
    links = [page_link(_where(model), model.model, run=model.run.run_id) for model in models[:_NAMED]]
    rest = [f" and {len(models) - _NAMED} more"] if len(models) > _NAMED else []
    return [piece for at, link in enumerate(links) for piece in (", " if at else ": ", link)] + rest


def _nothing(report: OverviewReport) -> html.Div:
    store = report.store
    if not store.reachable:
        why = formats.sentence(store.message or f"{store.uri} has not answered yet")
        return parts.empty("The tracking store cannot be reached", f"{why} This page fills by itself.")
    if report.pending:
        return parts.empty("Reading the first evaluations", "This page fills by itself in a few seconds.")
    if store.runs:
        return parts.empty("No model matches", "Clear the search field to see every model.")
    text = f"{store.uri} holds no runs yet. A run logged to it appears here within seconds; no reload is needed."
    return parts.empty("No runs yet", text)


def _card(model: ModelCard) -> html.Section:
    if model.task is None and model.headline is None and not model.problem:
        blocks = [_name(model), _unmeasured(model)]
    else:
        blocks = [_name(model), _headline(model), _change(model), _history(model), _worst(model)]
    names = {"aria-label": model.model, "data-panel": parts.slug(model.model)}
    return html.Section([*blocks, parts.share(model.model)], className="card-box model-card mb-3", **names)


def _unmeasured(model: ModelCard) -> html.Div:
    """A model that nobody has evaluated: what can be done with it."""
    words: list[Any] = ["No evaluation is logged with it, so there are no figures."]
    if model.run.model_info is not None:
        words += [" ", page_link(Path.INFERENCE, "Try it live", run=model.run.run_id)]
    return html.Div(words, className="muted unmeasured")


def _name(model: ModelCard) -> html.Div:
    link = page_link(_where(model), model.model, "model-name", run=model.run.run_id)
    tags = [parts.pill(_version(model.run), "accent"), *(parts.pill(f"@{alias}") for alias in model.run.aliases)]
    state = _STATES.get(model.run.status)
    tags += [parts.pill(*state)] if state else []
    kind = f"{model.task or 'no evaluation'} · {formats.plural(model.n_versions, 'version')}"
    trouble = html.Div(model.problem, className="small", style={"color": "var(--worse)"}) if model.problem else None
    when = html.Div(f"{kind} · newest {formats.since(model.run.start_time)}", className="card-note")
    return html.Div([html.H2(link), html.Div(tags, className="toolbar my-1"), when, trouble])


def _where(model: ModelCard) -> Path:
    return Path.PERFORMANCE if model.task or model.headline or model.run.model_info is None else Path.INFERENCE


def _version(run: RunRow) -> str:
    return f"v{run.version}" if run.version else f"run {run.ordinal}"


def _headline(model: ModelCard) -> html.Div:
    if model.headline is None:
        return html.Div("No figures", className="muted")
    estimate = model.headline
    interval = formats.span(estimate.low, estimate.high)
    rows = f"n = {formats.count(estimate.n)}" if estimate.n else ""  # ready-made figures may not say
    left = f"{formats.plural(model.n_left_out, 'row')} without label or prediction left out" if model.n_left_out else ""
    return html.Div(
        [
            html.Span(formats.title(model.metric), className="stat-name"),
            html.Div(formats.number(estimate.value), className="headline"),
            html.Span(" · ".join(text for text in (interval, rows) if text), className="stat-range"),
            html.Div(left, className="card-note") if left else None,
        ]
    )


def _change(model: ModelCard) -> html.Div:
    if model.verdict is None or model.previous is None:
        return _no_verdict(model)
    before = page_link(Path.PERFORMANCE, _version(model.previous), run=model.previous.run_id)
    pill = parts.verdict_pill(model.verdict)
    return html.Div(
        [
            html.Span(["Against ", before], className="stat-name"),
            html.Div(page_link(Path.PERFORMANCE, pill, run=model.run.run_id), className="my-1"),
            html.Div(parts.verdict_text(model.verdict), className="stat-range"),
            html.Div("lower is better", className="card-note") if model.metric in LOWER_IS_BETTER else None,
        ]
    )


def _no_verdict(model: ModelCard) -> html.Div:
    """Two figures that cannot be told apart from chance are shown side by side, without a verdict."""
    known = {point.run_id: point.estimate for point in model.history}
    before = known.get(model.previous.run_id) if model.previous else None
    if model.previous is None or before is None or model.headline is None:
        return html.Div(
            [html.Span("Against the version before", className="stat-name"), html.Div("nothing to compare")]
        )
    link = page_link(Path.PERFORMANCE, _version(model.previous), run=model.previous.run_id)
    change = f"{formats.number(before.value)} → {formats.number(model.headline.value)}"
    # figures that were logged ready-made have none; with intervals the comparison is still to come, or a table is gone
    known_ends = all(isfinite(end) for estimate in (before, model.headline) for end in (estimate.low, estimate.high))
    why = "not compared yet" if known_ends else "no verdict: logged figures without predictions have no interval"
    return html.Div(
        [
            html.Span(["Against ", link], className="stat-name"),
            html.Div(change, className="figure-number my-1"),
            html.Div(why, className="stat-range"),
        ]
    )


def _history(model: ModelCard) -> html.Div:
    points = [point.estimate for point in model.history]
    name = f"{formats.title(model.metric)} over {formats.plural(len(points), 'version')}"
    return html.Div([html.Span(name, className="stat-name"), sparkline.build(points, formats.title(model.metric))])


def _worst(model: ModelCard) -> html.Div:
    if model.worst_slice is None:
        ready = model.headline is not None and page_link(Path.PERFORMANCE, "find some", run=model.run.run_id)
        none = html.Div(["none declared", *([", ", ready] if ready else [])], className="muted")
        return html.Div([html.Span("Weakest slice", className="stat-name"), none])
    worst = model.worst_slice
    estimate = worst.metrics.get(model.metric) or next(iter(worst.metrics.values()))
    link = page_link(Path.PERFORMANCE, formats.slice_name(worst.name), run=model.run.run_id, slice=worst.name)
    return html.Div(
        [
            html.Span(f"Weakest slice by {formats.title(model.metric)}", className="stat-name"),
            html.Div(link),
            html.Div(f"{formats.number(estimate.value)} · n = {formats.count(worst.n)}", className="stat-range"),
        ]
    )
