"""The batch card of the Inference page: a file in, progress, a file of predictions out."""

from enum import StrEnum
from typing import Any

from dash import dcc, html

from dashboard.inference.batch import BatchSummary
from dashboard.inference.batch_files import BatchFile
from layouts import formats, parts, rights

ASK = "toolbar mt-2 batch-ask"
_TOP = 12


class Ids(StrEnum):
    """Ids of this card."""

    UPLOAD = "batch-upload"
    FILE = "batch-file"
    SUBJECT = "batch-subject"
    FOUND = "batch-found"
    ASK = "batch-ask"
    RUN = "batch-run"
    CANCEL = "batch-cancel"
    PROGRESS = "batch-progress"
    DONE = "batch-done"
    RESULT = "batch-result"


def build() -> html.Section:
    """The empty card; the file survives a reload of the page."""
    words: list[Any] = [html.B("Choose a file"), " or drop it here: CSV, JSON lines, Parquet, or a zip of pictures"]
    marks = {"data-upload": Ids.FILE, "data-place": Ids.FOUND}
    body = [
        dcc.Store(id=Ids.FILE, storage_type="session"),
        dcc.Store(id=Ids.SUBJECT),
        rights.why("run batches"),
        html.Div(words, id=Ids.UPLOAD, className="upload", hidden=rights.off(), **marks),
        html.Div(id=Ids.FOUND, className="mt-2"),
        html.Div(
            [
                html.Button("Run", id=Ids.RUN, n_clicks=0, disabled=True, className="btn btn-primary"),
                html.Button("Cancel", id=Ids.CANCEL, n_clicks=0, disabled=True, className="btn-quiet"),
                html.Progress(id=Ids.PROGRESS, value="0", max="1", **{"aria-label": "Rows predicted"}),
                html.Span(id=Ids.DONE, className="card-note figure-number"),
            ],
            id=Ids.ASK,
            className=ASK,
        ),
        html.Div(id=Ids.RESULT, className="mt-2", **{"aria-live": "polite"}),
    ]
    note = "Every row of a file through the chosen model, in the background; the result is a CSV to download."
    return parts.card("Batch", html.Div(body), note)


def render_file(name: str, size: int, found: BatchFile) -> html.Div:
    """What the file holds and which of its columns the model does not use."""
    what = formats.plural(found.rows, "picture" if found.format == "zip" else "row")
    line = f": {what} to predict ({found.format}, {_size(size)})."
    notes = []
    if found.unused:
        names = formats.short(", ".join(found.unused), 120)
        notes.append(f"Not used by the model, kept in the result: {names}.")
    if found.skipped:
        notes.append(f"Left out because they are no pictures: {formats.plural(found.skipped, 'file')}.")
    return html.Div([html.B(name), line, html.Div(" ".join(notes), className="card-note")], className="small")


def _size(size: int) -> str:
    return f"{size / 2**20:.1f} MB" if size >= 2**20 else f"{max(1, round(size / 1024)):,} kB"


def progress(done: int, total: int) -> tuple[str, str, str]:
    """Value and maximum of the progress bar, and its words."""
    return str(done), str(max(total, 1)), f"{formats.count(done)} of {formats.count(total)}"


def render(summary: BatchSummary) -> html.Div:
    """The finished batch: counts per label, what failed, the download."""
    rate = summary.n / summary.seconds if summary.seconds > 0 else 0.0
    took = f"{summary.seconds:.1f} s ({formats.number(rate)} per second)"
    words = f"{formats.plural(summary.n, 'row')} through {summary.model} in {took}"
    cached = parts.pill("from cache", "accent") if summary.cached else None
    link = html.A("Download CSV", href=f"/results/{summary.key}.csv", className="btn btn-primary", download="")
    head = html.Div(
        [link, html.Span([html.B(summary.name), f": {words}"], className="small"), cached], className="toolbar"
    )
    return html.Div([head, _failed(summary), _labels(summary)])


def _failed(summary: BatchSummary) -> Any:
    if not summary.failed:
        return None
    title = f"{formats.plural(summary.failed, 'row')} without an answer; the reasons stand in the column error."
    return html.Div(parts.notice(title, f"The first: {summary.problem}", "info"), className="mt-2")


def _labels(summary: BatchSummary) -> Any:
    if summary.mean is not None:
        return html.P(f"Mean prediction {formats.number(summary.mean)}.", className="muted small mt-2 mb-0")
    total = sum(summary.labels.values())
    if not total:
        return None
    lines = [
        html.Div(
            [
                html.Span(formats.short(name, 60), className="cell-text", title=name, dir="auto"),
                parts.share_bar(n / total),
                html.Span(f"{formats.count(n)} · {formats.percent(n / total)}", className="num"),
            ],
            className="probability wide-end",
        )
        for name, n in list(summary.labels.items())[:_TOP]
    ]
    rest = len(summary.labels) - len(lines)
    more = html.P(f"and {formats.plural(rest, 'more label')}", className="card-note") if rest > 0 else None
    return html.Div([html.H3("Predicted", className="field-label mt-3"), *lines, more])
