"""The card that runs models over a slice of the evaluation: what to run, progress, figures, disagreements."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from dash import dcc, html

from dashboard.reports.on_slice import LIMITS, MOST_VERSIONS, OnSliceChoice, OnSliceQuery, OnSliceReport
from dashboard.reports.slice_runs import Dispute, Score, model_name
from layouts import formats, page, parts, rights, run_picker
from layouts.links import Path, view_link

PATH = Path.INFERENCE
ASK, HIDDEN = "toolbar job-ask", "d-none"
FIELDS = ("run", "over", "on", "where", "limit")


class Ids(StrEnum):
    """Ids of this card."""

    SECTION = "on-slice-section"
    VIEW = "on-slice-view"
    VERSIONS = "on-slice-versions"
    SLICE = "on-slice-slice"
    FILTER = "on-slice-filter"
    LIMIT = "on-slice-limit"
    ASK = "on-slice-ask"
    RUN = "on-slice-run"
    CANCEL = "on-slice-cancel"
    PROGRESS = "on-slice-progress"
    DONE = "on-slice-done"
    JOB = "on-slice-job"
    FINISHED = "on-slice-finished"
    KNOWN = "on-slice-known"
    RESULT = "on-slice-result"


def build() -> html.Div:
    """The empty card, hidden until a run with rows for its model is chosen."""
    limits = [{"label": f"{n:,}", "value": str(n)} for n in LIMITS]
    form = html.Div(
        [
            _field(
                "Versions (the first is the baseline)", Ids.VERSIONS, dcc.Dropdown([], [], id=Ids.VERSIONS, multi=True)
            ),
            _field("Slice", Ids.SLICE, dcc.Dropdown([], "", id=Ids.SLICE, placeholder="all rows")),
            _field("Filter", Ids.FILTER, _filter()),
            _field("At most", Ids.LIMIT, dcc.Dropdown(limits, "500", id=Ids.LIMIT, clearable=False)),
        ],
        className="on-slice-form",
    )
    ask = html.Div(
        [
            html.Button("Run", id=Ids.RUN, n_clicks=0, disabled=rights.off(), className="btn btn-primary"),
            html.Button("Cancel", id=Ids.CANCEL, n_clicks=0, disabled=True, className="btn-quiet"),
            html.Progress(id=Ids.PROGRESS, value="0", max="1", **{"aria-label": "Rows asked"}),
            html.Span(id=Ids.DONE, className="card-note figure-number"),
            rights.why("run models over slices"),
        ],
        id=Ids.ASK,
        className=ASK,
    )
    stores = [dcc.Store(id=Ids.JOB), dcc.Store(id=Ids.FINISHED), dcc.Store(id=Ids.KNOWN), page.view(Ids.VIEW, FIELDS)]
    body = html.Div([*stores, form, ask, html.Div(id=Ids.RESULT, **{"aria-live": "polite"})])
    note = "Versions run now over rows of this run's evaluation, in the background, compared on the same rows."
    return html.Div(parts.card("On a slice", body, note), id=Ids.SECTION, className=HIDDEN)


def _field(label: str, control_id: str, control: Any) -> html.Div:
    return html.Div([html.Label(label, htmlFor=control_id), control], className="field")


def _filter() -> dcc.Input:
    return dcc.Input(
        id=Ids.FILTER, value="", type="text", className="form-control mono", placeholder="such as age > 70"
    )


def options(choice: OnSliceChoice, query: OnSliceQuery) -> tuple[Any, ...]:
    """Options and values of versions and slice, the filter, the limit; unasked: this run and the one before it."""
    versions = [{"label": run_picker.run_label(row), "value": row.run_id} for row in choice.versions]
    slices = [{"label": formats.short(formats.slice_name(name), 60), "value": name} for name in choice.slices]
    return versions, list(query.asked or _usual(choice, query)), slices, query.on or None, query.where, query.limit


def _usual(choice: OnSliceChoice, query: OnSliceQuery) -> tuple[str, ...]:
    known = [row.run_id for row in choice.versions]
    before = known[known.index(query.run) + 1 :][:1] if query.run in known else []
    return (*before, *([query.run] if query.run in known else []))[:MOST_VERSIONS]


def progress(done: int, total: int, name: str) -> tuple[str, str, str]:
    """Value and maximum of the progress bar, and its words."""
    return str(done), str(max(total, 1)), f"{formats.count(done)} of {formats.count(total)}, {formats.short(name, 40)}"


def render(report: OnSliceReport | None, query: OnSliceQuery) -> Any:
    """The figures of every version, then the rows on which they disagree."""
    if report is None:
        return None
    return html.Div([html.P(_rows(report, query), className="card-note"), _scores(report), *_disputes(report, query)])


def _rows(report: OnSliceReport, query: OnSliceQuery) -> str:
    named = f"slice {formats.slice_name(query.on)}" if query.on else ""
    where = " and ".join(text for text in (named, query.where) if text) or "all rows"
    if report.seed is None:
        return f"All {formats.plural(report.n, 'labelled row')} of {where}."
    return (
        f"{formats.count(report.n)} of the {formats.plural(report.available, 'labelled row')} of {where}, drawn at"
        f" random with seed {report.seed}."
    )


def _scores(report: OnSliceReport) -> html.Div:
    names = [name for name in ("accuracy", "macro_f1", "rmse", "mae", "r2") if name in report.scores[0].overall]
    several = len(report.scores) > 1
    against = f"{formats.title(report.headline)} against the first, same rows"
    heads = ["Version", *map(formats.title, names), *([against] if several else [])]
    rows = [_score(score, names, several) for score in report.scores]
    return html.Div(parts.table(heads, rows, (), "Figures of every version on these rows"))


def _score(score: Score, names: Sequence[str], several: bool) -> list[Any]:
    failed = None
    if score.failed:
        failed = html.Div(
            f"{formats.plural(score.failed, 'row')} without an answer: {score.problem}", className="card-note"
        )
    name = html.Div([html.B(model_name(score.run)), f" {score.run.run_name}", failed])
    cells = [_figure(score, figure) for figure in names]
    return [name, *cells, *([_verdict(score)] if several else [])]


def _figure(score: Score, name: str) -> html.Div:
    found = score.overall[name]
    if found.too_few:
        return html.Div(html.Span("too few rows", className="pill few"))
    interval = html.Span(formats.span(found.low, found.high), className="stat-range")
    return html.Div([html.B(formats.number(found.value)), " ", interval])


def _verdict(score: Score) -> Any:
    if score.verdict is None:
        return html.Span("baseline", className="pill")
    return html.Div(
        [parts.verdict_pill(score.verdict), " ", html.Span(parts.verdict_text(score.verdict), className="stat-range")]
    )


def _disputes(report: OnSliceReport, query: OnSliceQuery) -> list[Any]:
    if len(report.scores) < 2:
        return []
    title = html.H3(f"They disagree on {formats.plural(report.disputed, 'row')}", className="field-label mt-3")
    if not report.disputes:
        return [title]
    heads = ["Row", "Input", "Label", *(model_name(score.run) for score in report.scores)]
    rows = [_dispute(item, query) for item in report.disputes]
    left = report.disputed - len(report.disputes)
    more = html.P(f"The first {len(rows)} are shown.", className="card-note mt-1") if left else None
    return [
        title,
        html.Div(parts.table(heads, rows, (), "Rows on which the versions disagree"), className="tall"),
        more,
    ]


def _dispute(item: Dispute, query: OnSliceQuery) -> list[Any]:
    link = view_link(PATH, query, str(item.row), row=str(item.row))
    image = html.Img(src=item.image, alt=f"picture of row {item.row}", className="thumb") if item.image else None
    shown = html.Td(image if item.image else item.title, className="cell-text", title=item.title)
    said = [html.Span(text, className="" if text == item.label else "said-wrong") for text in item.said]
    return [link, shown, item.label, *said]
