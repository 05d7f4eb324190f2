"""The card that puts one answer in context: slices with their figures, calibration, the nearest labelled rows."""

from enum import StrEnum
from typing import Any

from dash import dcc, html

from dashboard.metrics.estimate import Estimate
from dashboard.reports.context import Calibrated, ContextReport, Place, Undecided
from dashboard.reports.inputs import NO_INPUT, InferenceQuery
from dashboard.reports.known_rows import KnownRow, KnownRows
from layouts import formats, page, parts
from layouts.links import Path, page_link, view_link

PATH = Path.INFERENCE
ASK, HIDDEN, SHOWN = "toolbar job-ask context-ask", "d-none", "context-card"
FIELDS = ("run", "row", "text", "values", "upload", "flag", "file", "unknown")
_WORDS = {
    "fits": ("scores like it fit", "better"),
    "too high": ("scores like it are too high", "worse"),
    "too low": ("scores like it are too low", "worse"),
    "too few rows": ("too few rows to tell", "few"),
    "no rows": ("no rows to tell", "few"),
}


class Ids(StrEnum):
    """Ids of this card."""

    SECTION = "context-section"
    VIEW = "context-view"
    BODY = "context-body"
    ASK = "context-ask"
    RUN = "context-run"
    CANCEL = "context-cancel"
    PROGRESS = "context-progress"
    STEP = "context-step"
    FINISHED = "context-finished"
    KNOWN = "context-known"


def build() -> html.Div:
    """The empty card, hidden until there is an answer."""
    ask = html.Div(
        [
            html.Button("Nearest by what the model sees", id=Ids.RUN, n_clicks=0, className="btn btn-primary"),
            html.Button("Cancel", id=Ids.CANCEL, n_clicks=0, disabled=True, className="btn-quiet"),
            html.Progress(id=Ids.PROGRESS, value="0", max="100", **{"aria-label": "Share of the pictures looked at"}),
            html.Span(id=Ids.STEP, className="card-note"),
        ],
        id=Ids.ASK,
        className=HIDDEN,
    )
    stores = [page.view(Ids.VIEW, FIELDS), dcc.Store(id=Ids.FINISHED), dcc.Store(id=Ids.KNOWN)]
    body = html.Div([*stores, html.Div(id=Ids.BODY, **{"aria-live": "polite"}), ask])
    note = "How good the model was on evaluated rows like this input; the figures are those of the Performance page."
    return html.Div(parts.card("In context", body, note), id=Ids.SECTION, className=HIDDEN)


def ask_class(report: ContextReport) -> str:
    """The row of the button that has the model look; out of sight where it has looked or cannot."""
    return HIDDEN if report.nearest is None or report.nearest.looked else ASK


def render(report: ContextReport, query: InferenceQuery) -> html.Div:
    """Slices, calibration, nearest rows."""
    return html.Div(
        [_places(report, query), _calibration(report), _nearest(report.nearest, query)], className="context"
    )


def _places(report: ContextReport, query: InferenceQuery) -> html.Section:
    names = list(report.places[0].figures)
    of = f" of {formats.short(report.predicted, 30)}" if report.predicted else ""
    heads = ["Slice", "Rows", *(f"{formats.title(name)}{of}" for name in names)]
    rows = [
        [_slice(place, query), formats.count(place.n), *map(_figure, place.figures.values())] for place in report.places
    ]
    table = parts.table(heads, rows, [1], "Slices that this input is in, with the model's figures there")
    return html.Section([table, *(html.P(text, className="card-note mt-1") for text in _notes(report))])


def _slice(place: Place, query: InferenceQuery) -> html.A:
    name = formats.slice_name(place.slice) or "all rows"
    return page_link(Path.PERFORMANCE, name, run=query.run, slice=place.slice)


def _figure(estimate: Estimate | None) -> Any:
    if estimate is None:
        return html.Span("no rows", className="pill few")
    n = html.Span(f"n = {formats.count(estimate.n)}", className="stat-range")
    if estimate.too_few or estimate.value > 1 or estimate.high > 1:
        value = "too few rows" if estimate.too_few else formats.number(estimate.value)
        return html.Div([html.Span(value, className="pill few" if estimate.too_few else ""), " ", _range(estimate), n])
    return html.Div([parts.estimate_cell(estimate), _range(estimate), n], className="context-figure")


def _range(estimate: Estimate) -> html.Span:
    return html.Span(
        f"{formats.span(estimate.low, estimate.high)}, " if not estimate.too_few else "", className="stat-range"
    )


def _notes(report: ContextReport) -> list[str]:
    notes = []
    if report.more:
        notes.append(f"The input is in {formats.plural(report.more, 'more slice')}.")
    if report.outside:
        notes.append(_outside(report.outside))
    if report.undecided:
        shown = "; ".join(_undecided(item) for item in report.undecided[:4])
        more = f" and {len(report.undecided) - 4} more" if len(report.undecided) > 4 else ""
        notes.append(f"Cannot be decided for this input: {shown}{more}.")
    return notes


def _outside(others: int) -> str:
    """The slices without the input, whose figures say nothing about it."""
    return "The one other slice does not hold it." if others == 1 else f"The {others:,} other slices do not hold it."


def _undecided(item: Undecided) -> str:
    """A slice with what it depends on; a list of rows, and rows marked one by one, say nothing of other inputs."""
    listed = item.columns == ("its rows",) or item.columns == (f"slice_{item.name}",)
    names = ", ".join(formats.short(name, 40) for name in item.columns[:3])
    how = "a list of evaluated rows" if listed else f"depends on {names}"
    return f"{formats.slice_name(item.name)} ({how})"


def _calibration(report: ContextReport) -> html.Section | None:
    found = report.calibrated
    if found is None:
        return _why_not(report.reason)
    word, kind = _WORDS[found.word]
    title = html.H3(["Is the score to be trusted? ", parts.pill(word, kind)], className="field-label")
    return html.Section([title, html.P(_observed(found, report.predicted), className="small mb-0")])


def _why_not(reason: str) -> html.Section | None:
    return html.Section(html.P(reason, className="card-note")) if reason else None


def _observed(found: Calibrated, predicted: str) -> str:
    bounds = f"{formats.percent(found.bin_low)} and {formats.percent(found.bin_high)}"
    if not found.n:
        return f"No evaluated row got a score between {bounds} for {predicted}."
    interval = f"{formats.percent(found.low)} to {formats.percent(found.high)}"
    rows = formats.plural(found.n, "evaluated row")
    return (
        f"The score of {predicted} is {formats.percent(found.score)}. Of the {rows} with a score between {bounds}"
        f" (mean {formats.percent(found.mean)}), {formats.percent(found.share)} were {predicted}"
        f" (95% interval {interval})."
    )


def _nearest(found: KnownRows | None, query: InferenceQuery) -> html.Section | None:
    if found is None:
        return None
    title = html.H3("Nearest labelled rows", className="field-label")
    if not found.rows:
        return html.Section([title, html.P("No labelled row is like this input.", className="muted small mb-0")])
    links = [_known(row, query) for row in found.rows]
    note = f"By {found.how}, among {formats.plural(found.searched, 'row')}."
    return html.Section([title, html.Div(links, className="near"), html.P(note, className="card-note mt-1")])


def _known(known: KnownRow, query: InferenceQuery) -> html.A:
    image = html.Img(src=known.image, alt=f"picture of row {known.row}") if known.image else None
    outcome = known.label if known.label == known.prediction else f"{known.label}, said {known.prediction}"
    spoken = f"Row {known.row}: label {known.label}, recorded prediction {known.prediction}"
    label = html.Span(outcome, className="example-label", title=spoken)
    far = html.Span(f"distance {formats.number(known.distance, 2)}", className="example-label")
    shown = html.Span(known.title, dir="auto") if image is None else image  # an element without children is falsy
    body = [shown, label, far]
    return view_link(PATH, query, body, "example", **{**NO_INPUT, "row": str(known.row)})
