"""The card that puts one input through several versions: a choice, a tile for each answer, and which is best."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from dash import dcc, html

from dashboard.reports.version_choice import MOST, version_name
from dashboard.reports.versions import Best, Tile, VersionsReport
from layouts import formats, parts
from layouts.frozen import freeze
from mlflow_runs.records import RunRow

ASK = "toolbar mt-2 several-ask"
HIDDEN = "span-12 several-card hidden"
SHOWN = "span-12 several-card"
_NOTE = "One input through up to nine versions or models; each answer appears as soon as it is there."


class Ids(StrEnum):
    """Ids of this card. CHOICE sets the parameter `versions` of the page's query."""

    CARD = "several-card"
    CHOICE = "several-versions"
    ASK = "several-ask"
    RUN = "several-run"
    CANCEL = "several-cancel"
    PROGRESS = "several-progress"
    DONE = "several-done"
    RESULT = "several-result"


def build() -> html.Div:
    """The empty card, hidden until the run's model has company."""
    picker = dcc.Dropdown(id=Ids.CHOICE, options=[], multi=True, searchable=True, placeholder="The usual choice")
    ask = html.Div(
        [
            html.Button("Ask all", id=Ids.RUN, n_clicks=0, className="btn btn-primary"),
            html.Button("Cancel", id=Ids.CANCEL, n_clicks=0, disabled=True, className="btn-quiet"),
            html.Progress(id=Ids.PROGRESS, value="0", max="1", **{"aria-label": "Versions that have answered"}),
            html.Span(id=Ids.DONE, className="card-note figure-number"),
        ],
        id=Ids.ASK,
        className=ASK,
    )
    body = [
        html.Div([html.Label("Versions", htmlFor=Ids.CHOICE, className="field-label"), picker], className="chrome"),
        ask,
        html.Div(id=Ids.RESULT, className="mt-3", **{"aria-live": "polite"}),
    ]
    return html.Div(parts.card("Several at once", html.Div(body), _NOTE), id=Ids.CARD, className=HIDDEN)


def options(rows: Sequence[RunRow]) -> list[dict[str, str]]:
    """Options of the picker."""
    return [{"label": _choice(row), "value": row.run_id} for row in rows]


def _choice(row: RunRow) -> str:
    aliases = f" ({', '.join(row.aliases)})" if row.aliases else ""
    return f"{version_name(row)}{aliases} · {row.run_name}"


def placeholder(usual: Sequence[RunRow]) -> str:
    """What is asked while nothing is chosen."""
    names = ", ".join(f"v{row.version}" if row.version else row.run_name for row in usual)
    return f"Without a choice: {names}. Up to {MOST}."


def progress(report: VersionsReport) -> tuple[str, str, str, Any]:
    """Value and end of the progress bar, its words, and the tiles so far."""
    total = len(report.tiles)
    return str(report.done), str(total), f"{report.done} of {total}", freeze(render(report))


def render(report: VersionsReport) -> html.Div:
    """A tile for each version, then which of them is measurably best."""
    pictures = any(tile.picture for tile in report.tiles)
    reference = None if pictures else report.reference
    tiles = [_tile(tile, report.tiles[0].run.model, reference) for tile in report.tiles]
    css = "several-tiles pictures" if pictures else "several-tiles"
    return html.Div([html.Div(tiles, className=css), *_bests(report)])


def _tile(tile: Tile, model: str, reference: str | None) -> html.Div:
    row = tile.run
    short = f"v{row.version}" if row.version and row.model == model else version_name(row)
    marks = [parts.pill("reference", "accent")] if row.run_id == reference else []
    marks += [parts.pill("differs", "worse")] if tile.differs else []
    name = html.Span(f"{short} · {row.run_name}", className="several-name", title=row.run_id)
    head = html.Div([name, *marks], className="several-head")
    return html.Div([head, _content(tile)], className=f"several-tile {tile.state}", **{"data-at": f"{tile.at:.3f}"})


def _content(tile: Tile) -> Any:
    if tile.state == "failed":
        return html.P(tile.problem, className="problem small mb-0")
    if tile.state != "done":
        words = "Asking the model …" if tile.state == "asking" else "Waiting"
        return html.Div([html.Div(className="skeleton several-blank"), html.Span(words, className="card-note")])
    return html.Div([_answer(tile), html.Span(_foot(tile), className="card-note")])


def _answer(tile: Tile) -> Any:
    if tile.picture is not None:
        image = html.Img(src=tile.picture.link, alt=f"The answer of {version_name(tile.run)}: {tile.run.run_name}")
        return html.A(image, href=tile.picture.link, download=f"{tile.run.run_name}.png", title="Download")
    if tile.value is not None:
        return html.Div([html.Div(formats.number(tile.value), className="several-said"), _interval(tile)])
    if tile.label:
        score = None if tile.score is None else [parts.share_bar(tile.score), formats.percent(tile.score)]
        share = html.Div(score, className="several-score") if score else None
        return html.Div([html.Div(formats.short(tile.label, 80), className="several-said", dir="auto"), share])
    return html.Pre(tile.raw, className="mono raw")


def _interval(tile: Tile) -> html.Span:
    if tile.low is None or tile.high is None:
        return html.Span("no interval: too few evaluated rows", className="card-note")
    return html.Span(f"{formats.span(tile.low, tile.high)} (95% of its residuals)", className="card-note")


def _foot(tile: Tile) -> str:
    return "from cache" if tile.cached else f"{formats.number(tile.ms, 1)} ms"


def _bests(report: VersionsReport) -> list[Any]:
    found: list[Any] = []
    if report.bests:
        names = [formats.slice_name(best.slice) or "all rows" for best in report.bests]
        rows = [[name, formats.count(b.n), _best(b)] for name, b in zip(names, report.bests, strict=True)]
        heads = ("Rows of the evaluation", "n", "Fewest errors, paired")
        found.append(html.H3("Which one to believe here", className="field-label mt-3"))
        found.append(parts.table(heads, rows, numeric=(1,), caption="Best version on the input's slices"))
    return [*found, html.P(report.note, className="card-note mt-2 mb-0")] if report.note else found


def _best(best: Best) -> Any:
    if best.word == "best":
        return html.Span([html.B(best.name), " ", parts.pill("measurably best", "better")])
    if best.word == "too few rows":
        return parts.pill("too few rows to tell", "few")
    return html.Span([parts.pill("same", "same"), " no version is measurably better than all others"])
