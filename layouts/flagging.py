"""Flags on the Inference page: judging the answer, and the list of what was judged."""

import json
from enum import StrEnum
from typing import Any

from dash import dcc, html

from dashboard.flags import VERDICTS, Flag
from dashboard.inference.detections import Box, shown
from dashboard.reports.corrections import FlagOffer, as_text
from dashboard.reports.flags import FlagsQuery, FlagsReport, ListedFlag
from dashboard.reports.inputs import NO_INPUT, InferenceQuery
from dashboard.reports.query import to_url
from layouts import formats, page, parts, rights
from layouts.links import Path, view_link

_SEARCHED = "Reason, correction or person"
_SIGNS = {"right": "✓", "wrong": "✗", "unsure": "?"}
_KINDS = {"right": "better", "wrong": "worse", "unsure": "few"}


class Ids(StrEnum):
    """Ids of this card. `{"type": FIELD, "name": "verdict" | "corrected" | "reason"}` is one control of the judgement,
    `{"type": SAVE, "name": "answer"}` its button, `{"type": UNDO, "flag": id}` takes one flag back."""

    FIELD = "flagging-field"
    SAVE = "flagging-save"
    UNDO = "flagging-undo"
    SAID = "flagging-said"
    CHANGED = "flagging-changed"
    VIEW = "flagging-view"
    SECTION = "flagging-section"
    SCOPE = "flagging-scope"
    VERDICT = "flagging-verdict"
    SEARCH = "flagging-search"
    LIST = "flagging-list"


def said() -> html.Div:
    """The place below the answer that tells what became of a judgement."""
    return html.Div(id=Ids.SAID, **{"aria-live": "polite"})


def build() -> html.Div:
    """The empty list, out of sight until something is flagged."""
    scope = dcc.Dropdown(
        id=Ids.SCOPE, options=[{"label": "This version", "value": "run"}, {"label": "All versions", "value": "model"}],
        value="run", clearable=False,
    )  # fmt: skip
    options = [{"label": v.capitalize(), "value": v} for v in VERDICTS]
    verdict = dcc.Dropdown(id=Ids.VERDICT, options=options, placeholder="Any")
    search = dcc.Input(id=Ids.SEARCH, value="", type="search", debounce=True, className="form-control")
    labelled = (("Of", Ids.SCOPE, scope), ("Verdict", Ids.VERDICT, verdict), (_SEARCHED, Ids.SEARCH, search))
    controls = html.Div([_labelled(*item) for item in labelled], className="flag-controls chrome")
    body = [dcc.Store(id=Ids.CHANGED), page.view(Ids.VIEW, ("run",)), controls, html.Div(id=Ids.LIST)]
    note = "What people said of single answers; kept here at once, and as traces with assessments in MLflow."
    return html.Div(parts.card("Flags", html.Div(body), note), id=Ids.SECTION, className="span-12 flags-card")


def _labelled(text: str, control_id: str, control: Any) -> html.Div:
    return html.Div([html.Label(text, htmlFor=control_id, className="field-label"), control], className="field")


def render_form(offer: FlagOffer) -> html.Details:
    """Three verdicts, a correction that fits the answer, a reason."""
    options = [{"label": f"{_SIGNS[v]} {v.capitalize()}", "value": v} for v in VERDICTS]
    verdict = dcc.RadioItems(id=_field("verdict"), options=options, inline=True, className="verdicts")
    reason = dcc.Input(id=_field("reason"), value="", type="text", className="form-control", maxLength=2000)
    button = html.Button("Save flag", id={"type": Ids.SAVE, "name": "answer"}, n_clicks=0, className="btn btn-primary")
    lines = [
        html.Div(verdict, role="group", **{"aria-label": "Verdict"}),
        _drawing(offer) if offer.kind == "boxes" else _correct("Correct answer, if you know it", offer),
        html.Label([html.Span("Why (optional)", className="field-label"), reason]),
        html.Div(button),
    ]
    ask = html.Summary(["Right or wrong? ", html.B("Judge this answer")], className="btn-quiet")
    return html.Details([ask, html.Div(lines, className="judgement")], className="mt-3")


def _correct(title: str, offer: FlagOffer) -> html.Label:
    return html.Label([html.Span(title, className="field-label"), _corrected(offer)])


def _drawing(offer: FlagOffer) -> html.Div:
    """Boxes to draw on the picture, or to write; assets/boxes.js shows the picture and lets each follow the other."""
    axis = {"visible": False, "fixedrange": True}
    figure = {"data": [], "layout": {"xaxis": axis, "yaxis": axis, "margin": dict.fromkeys("lrtb", 0)}}
    config = {"displaylogo": False, "displayModeBar": True, "modeBarButtons": [["drawrect", "eraseshape"]]}
    graph = dcc.Graph(figure=figure, config=config, responsive=True, className="drawing")
    how = "Drag on the picture to add a box; click one to move, resize or erase it."
    marks = {"data-classes": json.dumps(offer.choices)}
    return html.Div(
        [
            html.Span("Correct boxes, if you know them", className="field-label"),
            html.P(how, className="card-note mb-1"),
            html.Div(className="drawing-class"),
            graph,
            _correct("One line for each: class, x, y, width, height in pixels; or the word none", offer),
        ],
        className="drawn-boxes",
        **marks,
    )


def _corrected(offer: FlagOffer) -> Any:
    if offer.kind == "class" and offer.choices:
        return dcc.Dropdown(id=_field("corrected"), options=list(offer.choices), placeholder="Choose a class")
    if offer.kind == "boxes":
        return dcc.Textarea(id=_field("corrected"), value="", className="form-control mono", rows=4)
    if offer.kind == "json":
        return dcc.Textarea(id=_field("corrected"), value="", className="form-control mono", placeholder="JSON")
    return dcc.Input(id=_field("corrected"), value="", type="text", className="form-control")


def _field(name: str) -> dict[str, str]:
    return {"type": Ids.FIELD, "name": name}


def render_saved(flag: Flag) -> html.Div:
    """What was kept, with the way to its place in the list."""
    words = f"{_SIGNS[flag.verdict]} Kept as {flag.verdict}"
    more = f", corrected to {_value(flag.corrected)}" if flag.corrected else ""
    return html.Div(f"{words}{more}. It stands among the flags below and is on its way to MLflow.", className="kept")


def render(report: FlagsReport) -> Any:
    """One page of flags with undo, and the downloads."""
    if not report.total:
        asked = report.query.verdict or report.query.search
        words = "No flag matches." if asked else "No flags here."
        words += "" if asked or rights.off() else " Judge an answer above and it is listed."
        return html.P(words, className="muted mb-0" if asked else "muted mb-0 no-flags")
    heads = ["Input", "Answer", "Verdict", "Correct", "Reason", "By", "When", "MLflow", ""]
    rows = [_row(item, report.query) for item in report.flags]
    return html.Div([parts.table(heads, rows, caption="Flags"), _foot(report)])


def _row(item: ListedFlag, query: FlagsQuery) -> list[Any]:
    flag = item.flag
    image = html.Img(src=item.image, className="thumb", alt=f"flagged {flag.source}")
    shown = image if item.image else html.Span(formats.short(_value(flag.input), 60), dir="auto")
    link = view_link(Path.INFERENCE, InferenceQuery(run=query.run), shown, **{**NO_INPUT, "flag": flag.id})
    pill = parts.pill(f"{_SIGNS[flag.verdict]} {flag.verdict}", _KINDS[flag.verdict])
    button = html.Button("Undo", id={"type": Ids.UNDO, "flag": flag.id}, n_clicks=0, className="btn-quiet")
    undo = None if rights.off() else button
    when = html.Span(formats.since(flag.created), title=formats.day(flag.created))
    correct: Any = _value(flag.corrected) if flag.corrected else "–"
    stored = html.Span("written" if flag.stored else "waiting", title=flag.problem or None)
    reason = html.Span(formats.short(flag.reason, 80), title=flag.reason, dir="auto")
    answer = html.Span(formats.short(answer_text(flag.output), 40), dir="auto")
    return [
        link,
        answer,
        pill,
        html.Span(formats.short(correct, 40), dir="auto"),
        reason,
        flag.author,
        when,
        stored,
        undo,
    ]


def answer_text(output: str) -> str:
    """A flag's output in a few words."""
    answer = json.loads(output)
    if "boxes" in answer:
        return formats.plural(len(shown([Box(*box) for box in answer["boxes"]])), "object")
    for name in ("label", "labels", "value"):
        if name in answer:
            return _value(json.dumps(answer[name], ensure_ascii=False))
    return output


def _value(text: str) -> str:
    """A JSON text as people read it."""
    return as_text(json.loads(text)) if text else ""


def _foot(report: FlagsReport) -> html.Div:
    shown = f"{formats.count(len(report.flags))} of {formats.plural(report.total, 'flag')}, newest first"
    links = [
        html.A(kind.upper(), href=to_url(f"/export/flags.{kind}", report.query), className="btn-quiet", download="")
        for kind in ("csv", "jsonl")
    ]
    return html.Div([html.Span(shown, className="card-note"), *links], className="toolbar mt-2")
