"""The card that says why: a picture with its map, words or columns with their effects, one or two versions."""

from enum import StrEnum
from typing import Any

from dash import dcc, html

from dashboard.inference.explain_record import Explanation, Part
from dashboard.reports.explanation import Side, WhyQuery, WhyReport
from dashboard.reports.heat_maps import coarse
from layouts import formats, page, parts
from layouts.links import Path, base
from layouts.links_menu import menu

PATH = Path.INFERENCE
ASK, HIDDEN = "toolbar job-ask why-ask", "d-none"
SHOWN = "why-card"
FIELDS = ("run", "row", "text", "values", "upload", "flag", "file", "why", "of", "layer", "beside")
_METHODS = {
    "gradcam": "Grad-CAM",
    "hirescam": "HiResCAM",
    "occlusion": "Occlusion",
    "gradients": "Integrated gradients",
    "words": "Words left out",
    "shapley": "Shapley values",
}
_LAYERED = ("gradcam", "hirescam")
_TOP = 10


class Ids(StrEnum):
    """Ids of this card."""

    SECTION = "why-section"
    VIEW = "why-view"
    RESULT = "why-result"
    ASK = "why-ask"
    RUN = "why-run"
    CANCEL = "why-cancel"
    PROGRESS = "why-progress"
    STEP = "why-step"
    JOB = "why-job"
    FINISHED = "why-finished"
    KNOWN = "why-known"


def build() -> html.Div:
    """The empty card, hidden until there is an answer."""
    ask = html.Div(
        [
            html.Button("Explain this answer", id=Ids.RUN, n_clicks=0, className="btn btn-primary"),
            html.Button("Cancel", id=Ids.CANCEL, n_clicks=0, disabled=True, className="btn-quiet"),
            html.Progress(id=Ids.PROGRESS, value="0", max="100", **{"aria-label": "Share of the explanation done"}),
            html.Span(id=Ids.STEP, className="card-note"),
        ],
        id=Ids.ASK,
        className=ASK,
    )
    stores = [dcc.Store(id=Ids.JOB), dcc.Store(id=Ids.FINISHED), dcc.Store(id=Ids.KNOWN), page.view(Ids.VIEW, FIELDS)]
    body = html.Div([*stores, html.Div(id=Ids.RESULT, **{"aria-live": "polite"}), ask])
    note = "What in this input speaks for the answer, and what against it; computed in the background."
    return html.Div(parts.card("Why", body, note), id=Ids.SECTION, className=HIDDEN)


def ask_class(report: WhyReport, query: WhyQuery) -> str:
    """The button's row: out of sight once there is a result."""
    return f"{ASK} done" if query.why and not report.missing else ASK


def progress(step: str, share: float) -> tuple[str, str]:
    """The progress bar's value and its words."""
    return f"{100 * share:.0f}", f"{step} …"


def render(report: WhyReport, query: WhyQuery) -> Any:
    """The choices, and what is known already."""
    if not query.why:
        return None
    several = len(report.sides) > 1
    known = [_side(side, report, several) for side in report.sides if side.found is not None]
    broken = [parts.notice(_name(side.run), side.problem, "info") for side in report.sides if side.problem]
    sides = html.Div([*known, *broken], className="why-sides two" if several else "")
    return html.Div([_choices(report, query), sides, _legend(report) if known else None], className="why")


def _choices(report: WhyReport, query: WhyQuery) -> html.Div:
    found = next((side.found for side in report.sides if side.found), None)
    menus = []
    if report.classes:
        names = {name: formats.short(name, 40) for name in report.classes}
        names[report.predicted] += " (predicted)"
        menus.append(menu(PATH, query, "For", "of", names, default=report.predicted))
    if found and len(found.able) > 1:
        methods = {name: _METHODS[name] for name in found.able}
        shown = query if query.why != "auto" else _with_method(query, found.method)
        menus.append(menu(PATH, shown, "By", "why", methods))
    if found and found.method in _LAYERED and len(found.layers) > 1:
        layers = {name: f"{name} (last)" if name == found.layers[-1] else name for name in found.layers}
        menus.append(menu(PATH, query, "At layer", "layer", layers, default=found.layers[-1]))
    if report.versions:
        rows = {row.run_id: _name(row) for row in report.versions}
        menus.append(menu(PATH, query, "Beside", "beside", {"": "nothing", **rows}))
    return html.Div(menus, className="toolbar chrome mb-2", **base(query))


def _with_method(query: WhyQuery, method: str) -> WhyQuery:
    return type(query)(**{**vars(query), "why": method})


def _name(row: Any) -> str:
    version = f"v{row.version}" if row.version else f"#{row.ordinal}"
    return " · ".join([version, *(f"@{alias}" for alias in row.aliases), row.run_name])


def _side(side: Side, report: WhyReport, several: bool) -> html.Div:
    found = side.found
    assert found is not None
    score = formats.percent(found.score) if found.target else formats.number(found.score)
    said = f"{score} for {formats.short(found.target, 60)}" if found.target else f"Answer {score}"
    name = f"{_name(side.run)}: {said}" if several else said
    drawn = _drawn(found, side, report)
    spent = f"{formats.plural(found.passes, 'row')} through the model in {found.seconds:.1f} s."
    return html.Div(
        [html.H3(name, className="field-label"), drawn, html.P(f"{found.note} {spent}", className="card-note mt-1")],
        className="why-side",
    )


def _drawn(found: Explanation, side: Side, report: WhyReport) -> Any:
    if found.map is not None:
        return _picture(found, side, report)
    if not found.parts:
        return html.P("There is nothing to leave out.", className="muted mb-0")
    return _text(found, report) if found.method == "words" else _columns(found, report)


def _picture(found: Explanation, side: Side, report: WhyReport) -> html.Div:
    """The input with its map on top; the opacity is the browser's business (assets/explain.js)."""
    what = _METHODS[found.method]
    frame = html.Div(
        [
            html.Img(src=report.picture, alt="The input", className="seen"),
            html.Img(src=side.overlay, alt=f"{what} for {found.target}", className="heat"),
        ],
        className="overlay",
    )
    slider = html.Label(["Overlay", html.Span(className="opacity-range")], className="opacity")
    return html.Div([frame, slider, _map_table(found)])


def _map_table(found: Explanation) -> html.Details:
    """The numbers behind the picture."""
    assert found.map is not None
    fields = coarse(found.map)
    rows = [[str(row + 1), *(f"{value:.2g}" for value in values)] for row, values in enumerate(fields)]
    heads = ["", *(str(column + 1) for column in range(fields.shape[1]))]
    name = f"Effect over {fields.shape[0]} x {fields.shape[1]} equal fields of the picture"
    return html.Details([html.Summary("Table"), parts.table(heads, rows, range(1, len(heads)), name)])


def _text(found: Explanation, report: WhyReport) -> html.Div:
    pieces: list[Any] = []
    last = 0
    for part in found.parts:
        pieces.append(report.text[last : part.start])
        pieces.append(_word(part, report.scale))
        last = part.end
    pieces.append(report.text[last:])
    return html.Div([html.Div(pieces, className="why-text", dir="auto"), _effects(found, report, "Word", "Every word")])


def _word(part: Part, scale: float) -> html.Span:
    share = abs(part.effect) / scale if scale else 0.0
    kind = "for" if part.effect >= 0 else "against"
    strength = {"--heat": f"{100 * min(1.0, share):.0f}%"}
    return html.Span(part.name, className=f"word {kind}", title=formats.signed(part.effect, 4), style=strength)


def _columns(found: Explanation, report: WhyReport) -> html.Div:
    total = html.P(_sum(found), className="card-note") if found.method == "shapley" else None
    ordered = sorted(found.parts, key=lambda part: -abs(part.effect))
    bars = [_bar(part, report.scale) for part in ordered[:_TOP]]
    return html.Div([total, html.Div(bars, className="effects"), _effects(found, report, "Column", "Every column")])


def _sum(found: Explanation) -> str:
    moved = sum(part.effect for part in found.parts)
    base_, score = formats.number(found.base), formats.number(found.score)
    return f"Mean {base_}, all columns together {formats.signed(moved)}, this row {score}."


def _bar(part: Part, scale: float) -> html.Div:
    """A bar to the right (for) or to the left (against) of the middle."""
    share = 50 * min(1.0, abs(part.effect) / scale) if scale else 0.0
    kind, start = ("for", "left") if part.effect >= 0 else ("against", "right")
    value = html.Span(f" {part.value}", className="muted")
    name = html.Span([part.name, value], className="cell-text", title=part.name)
    error = f" ± {formats.number(part.error)}" if part.error else ""
    number = html.Span(formats.signed(part.effect), className="num", title=f"{part.effect!r}{error}")
    bar = html.Div(html.I(className=kind, style={start: "50%", "width": f"{share:.1f}%"}), className="effect-bar")
    return html.Div([name, bar, number], className="effect")


def _effects(found: Explanation, report: WhyReport, what: str, title: str) -> html.Details:
    """Every part with its number, strongest first."""
    ordered = sorted(found.parts, key=lambda part: -abs(part.effect))
    valued = any(part.value for part in ordered)
    erring = any(part.error for part in ordered)
    heads = [what, *(["Value"] if valued else []), "Effect", *(["Standard error"] if erring else [])]
    rows = [
        [
            html.Td(formats.short(part.name, 60), className="cell-text", title=part.name),
            *([part.value] if valued else []),
            formats.signed(part.effect, 4),
            *([formats.number(part.error, 4)] if erring else []),
        ]
        for part in ordered
    ]
    unit = "probability" if found.target else "the answer's own unit"
    table = parts.table(heads, rows, range(1, len(heads)), f"{title} with its effect in {unit}")
    return html.Details([html.Summary("Table"), html.Div(table, className="tall")])


def _legend(report: WhyReport) -> html.P:
    """What the colours mean; the strongest colour is the largest effect of both sides."""
    goal = formats.short(report.target, 40) if report.target else "a higher number"
    both = ", the same scale on both sides" if len(report.sides) > 1 else ""
    signed = any(side.found and side.found.method not in _LAYERED for side in report.sides)
    against = html.Span([html.I(className="swatch against"), f"speaks against it{both}"]) if signed else None
    scale = html.Span(f"strongest: {formats.number(report.scale, 3)}")
    lines = [html.Span([html.I(className="swatch for"), f"speaks for {goal}{'' if signed else both}"]), against, scale]
    return html.P(lines, className="card-note why-legend")
