"""The Inference page: the model's input form with examples to click, the answer beside it, a batch below."""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from dash import dcc, html

from dashboard.reports.examples import ExampleLink
from dashboard.reports.inference import FormField, InferenceForm, InferenceQuery
from dashboard.reports.inputs import NO_INPUT
from layouts import (
    batch,
    context,
    detection,
    explanation,
    flagging,
    formats,
    generator,
    on_slice,
    page,
    parts,
    run_picker,
    usage,
    versions,
)
from layouts.links import Path, view_link

PATH = Path.INFERENCE
QUESTION = "What does the model say to this input, and to mine?"
_TAKES = {"text": "a text", "table": "a row", "image": "a picture", "tensor": "numbers", "other": "any input"}
_LINE = 60
_LOG_MODEL = """\
with mlflow.start_run(run_id="{run}"):
    signature = mlflow.models.infer_signature(rows, model.predict(rows))
    mlflow.sklearn.log_model(
        model, name="model", signature=signature, input_example=rows[:3]
    )"""
_NUMBERS = ("double", "float", "long", "integer", "int")
_JSON = ("any", "array", "object", "map", "list", "dict", "float64", "float32", "int64", "int32", "uint8")


class Ids(StrEnum):
    """Ids of this page. `{"type": FIELD, "name": ..., "as": "number" | "text" | "json"}` is one control of the form.

    LATER is the query once more, for what may come after the answer (see vitrine.later)."""

    QUERY = "inference-query"
    LATER = "inference-later"
    MODEL = "inference-model"
    RUN = "inference-run"
    INPUT = "inference-input"
    FIELDS = "inference-fields"
    FIELD = "inference-field"
    TEXT = "inference-text"
    UPLOAD = "inference-upload"
    PREDICT = "inference-predict"
    EXAMPLES = "inference-examples"
    ROW = "inference-row"
    SLICE = "inference-slice"
    ANSWER = "inference-answer"


def build(**query: str) -> html.Div:
    """The empty page."""
    tools = run_picker.build(Ids.MODEL, Ids.RUN)
    answer = html.Div(
        [generator.live(), page.slot(Ids.ANSWER, 60, 160, first=True), flagging.said()],
        className="waits",
        **{"aria-live": "polite"},
    )
    note = "Rows of this run's evaluation, flagged inputs and files of the run; a click asks the model at once."
    left = [
        generator.build(),
        parts.card("Input", _input(), panel="live"),
        html.Div(parts.card("Examples", _examples_body(), note, panel="live"), className="examples-card"),
        explanation.build(),
    ]
    right = [html.Div(parts.card("Answer", answer, panel="live"), className="stays"), context.build()]
    cards = [
        detection.build(),
        html.Div(left, className="column span-7"),
        html.Div(right, className="column span-5"),
        versions.build(),
        on_slice.build(),
        usage.build(),
        flagging.build(),
        batch.build(),
    ]
    grid = html.Div(cards, className="grid")
    return page.build(Ids.QUERY, query, "Inference", QUESTION, tools, grid, dcc.Store(id=Ids.LATER))


def slice_options(names: Sequence[str]) -> list[dict[str, str]]:
    """The options of the slice that examples come from."""
    return [{"label": formats.slice_name(name), "value": name} for name in names]


def _examples_body() -> html.Div:
    """Which examples: of a slice, or one row by its number."""
    slices = dcc.Dropdown(id=Ids.SLICE, options=[], placeholder="All rows")
    row = dcc.Input(id=Ids.ROW, value="", type="text", inputMode="numeric", debounce=True, className="form-control")
    controls = [
        html.Div([html.Label("From slice", htmlFor=Ids.SLICE, className="field-label"), slices], className="field"),
        html.Div([html.Label("Or row number", htmlFor=Ids.ROW, className="field-label"), row], className="field"),
    ]
    return html.Div([html.Div(controls, className="flag-controls chrome"), html.Div(id=Ids.EXAMPLES)])


def _input() -> html.Div:
    """All that callbacks name; the attribute data-kind decides what of it is seen."""
    area = dcc.Textarea(id=Ids.TEXT, value="", className="form-control", placeholder="Write or paste a text")
    text = html.Div([html.Label("Text", htmlFor=Ids.TEXT, className="field-label"), area], className="for-text")
    words: list[Any] = [html.B("Choose a picture"), ", drop or paste it: PNG, JPEG, GIF, BMP, TIFF or WebP"]
    upload = html.Div(words, id=Ids.UPLOAD, className="upload", **{"data-upload": "input"})
    ask = html.Button("Predict", id=Ids.PREDICT, n_clicks=0, className="btn btn-primary")
    hint = html.Span("or press Ctrl and Enter", className="card-note chrome")
    return html.Div(
        [
            page.slot(Ids.FIELDS, 120),
            text,
            html.Div(upload, className="for-image"),
            html.Div([ask, hint], className="toolbar for-ask"),
        ],
        id=Ids.INPUT,
        className="prediction-form",
        **{"data-kind": ""},
    )


def kind(form: InferenceForm) -> str:
    """What the form consists of: a text box, an upload, typed fields, or nothing."""
    if form.card is None:
        return "none"
    return form.card.kind if form.card.kind in ("text", "image") else "fields"


def render(form: InferenceForm) -> Any:
    """The model in one line, then its typed fields or the chosen picture; why there is no form where none is."""
    if form.card is None:
        code = html.Pre(_LOG_MODEL.format(run=form.run.run_id), className="mono raw text-start", tabIndex=0)
        text = "So there is nothing to ask. Log its model in it, in any flavor of MLflow, and it can be tried here:"
        return parts.empty("This run holds no model", [text, code])
    card = form.card
    name = f"{card.name} version {card.version}" if card.version else card.name
    flavors = ", ".join(flavor for flavor in card.flavors if flavor != "python_function") or "python_function"
    source = f" Shown: {form.source}." if form.source else ""
    lines: list[Any] = [html.P(f"{name} takes {_TAKES[card.kind]} ({flavors}).{source}", className="card-note mb-2")]
    if form.preview:
        lines.append(html.Img(src=form.preview, className="preview", alt=f"The input: {form.source}"))
    if form.fields:
        lines.append(html.Div([_field(item) for item in form.fields], className="field-grid"))
    return html.Div(lines)


def _field(item: FormField) -> html.Div:
    name, optional = item.field.name, "" if item.field.required else ", optional"
    label = html.Span(formats.short(name, 40), title=f"{name}: {item.field.type}{optional}", className="field-label")
    control = _control(item)
    return html.Div([html.Label([label, control]), html.Span(_range(item), className="card-note")], className="field")


def _control(item: FormField) -> Any:
    kind_, value = _as(item.field.type), item.value
    control_id = {"type": Ids.FIELD, "name": item.field.name, "as": kind_}
    if item.choices:
        chosen = None if value is None else str(value)
        options = list(dict.fromkeys([*item.choices, *([chosen] if chosen is not None else [])]))
        return dcc.Dropdown(id=control_id, options=options, value=chosen, clearable=not item.field.required)
    if kind_ == "json":
        text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
        return dcc.Textarea(id=control_id, value=text, className="form-control mono")
    shown = "" if value is None else str(value)
    if len(shown) > _LINE or "\n" in shown:
        return dcc.Textarea(id=control_id, value=shown, className="form-control", rows=3)
    return dcc.Input(id=control_id, value=shown, type="text", className="form-control")


def _as(type_name: str) -> str:
    return "number" if type_name in _NUMBERS else "json" if type_name in _JSON else "text"


def _range(item: FormField) -> str:
    if item.field.type == "any":
        return 'a text, numbers such as [1, 2, 3], or a row such as {"age": 40}'
    if item.low is None or item.high is None:
        return "" if item.field.required else "optional"
    return f"{formats.bound(item.low)} to {formats.bound(item.high)}"


def render_examples(found: Mapping[str, tuple[ExampleLink, ...]], query: InferenceQuery) -> Any:
    """Inputs to click: rows of the evaluation by how the recorded prediction did, flagged ones, logged files."""
    if not found:
        return None
    groups = [
        html.Div([html.H3(kind_.capitalize(), className="field-label"), _examples(links, query)], className="mb-2")
        for kind_, links in found.items()
    ]
    return html.Div(groups)


def _examples(links: tuple[ExampleLink, ...], query: InferenceQuery) -> html.Div:
    return html.Div([_example(link, query) for link in links], className="examples")


def _example(link: ExampleLink, query: InferenceQuery) -> html.A:
    image = html.Img(src=link.image, alt=f"picture: {link.about}")
    shown = image if link.image else html.Span(link.title, dir="auto")
    outcome = html.Span(_outcome(link), className="example-label", title=link.spoken, dir="auto")
    anchor = view_link(PATH, query, [shown, outcome], "example", **{**NO_INPUT, link.parameter: link.value})
    setattr(anchor, "aria-current", "true" if getattr(query, link.parameter) == link.value else "false")
    return anchor


def _outcome(link: ExampleLink) -> str:
    label, said = _figure(link.label), _figure(link.prediction)
    return label if link.label == link.prediction or not link.prediction else f"{label}, said {said}"


def _figure(text: str) -> str:
    """A class name as it is; a number with a fraction shortened."""
    whole, point, rest = text.partition(".")
    return formats.number(float(text)) if point and whole.lstrip("-").isdecimal() and rest.isdecimal() else text
