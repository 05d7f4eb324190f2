"""How one answer of a model is drawn: the label or value, how it compares with the record, probabilities, origin."""

import json
from typing import Any

from dash import html

from dashboard.inference.client import Answer
from dashboard.inference.detections import shown
from dashboard.inference.outputs import Prediction
from dashboard.reports.inference import InferenceAnswer, Outside
from layouts import formats, parts, picture
from mlflow_runs.suppression import CONFIDENCE, OVERLAP

_TOP = 5
_STRANGE = 3
_LONGEST_RAW = 20_000


def render(found: InferenceAnswer | None) -> Any:
    """The answer, or what to do to get one."""
    if found is None:
        return parts.empty("Nothing asked yet", "Click an example, or give an input of your own.")
    prediction = found.answer.predictions[0]
    said = html.Div(_said(prediction), className=_css(prediction), dir="auto")
    head = html.Div([said, _interval(found), _outcome(found, prediction), _outside(found)], className="answer-head")
    details, origin = _details(prediction, found.truth), _origin(found.answer, found.source)
    if found.picture is not None:
        return html.Div([picture.render(found.picture, found.answer.model.name), origin])
    if prediction.label is None or not prediction.probabilities:
        return html.Div([head, details, origin])
    return _scored([head, details, _threshold(found), origin], prediction, found)


def _scored(children: list[Any], prediction: Prediction, found: InferenceAnswer) -> html.Div:
    """An answer with scores reads "unknown" below the threshold: both are drawn, `data-unknown` decides."""
    top, limit = next(iter(prediction.probabilities.values())), found.unknown.threshold
    below = html.B(_limit(limit), className="unknown-below")
    why = html.P(["No class reaches ", below, ". The best candidates:"], className="muted mb-0")
    unknown = html.Div([html.Div("unknown", className="answer"), why], className="answer-head when-unknown")
    marks = {"data-top": f"{top:.6g}", "data-unknown": "true" if top < limit else "false"}
    return html.Div([unknown, *children], className="scored", **marks)


def _threshold(found: InferenceAnswer) -> html.Div:
    """The slider is made and moved in the browser (assets/explain.js)."""
    limit, declared = found.unknown.threshold, found.unknown.declared
    marks = {"data-threshold": f"{limit:g}", "data-declared": f"{declared:g}"}
    said = f" (the run declares {_limit(declared)})" if declared else ""
    words = html.Span(["Unknown below ", html.B(_limit(limit), className="unknown-value"), said])
    return html.Div([words, html.Span(className="unknown-range", **marks)], className="unknown-threshold mt-2 chrome")


def _limit(threshold: float) -> str:
    return f"{100 * threshold:.0f}%" if threshold else "off"


def _css(prediction: Prediction) -> str:
    """A number of objects follows the sliders of the picture where that is on the page (assets/detection.js)."""
    return "answer when-known" + (" scene-answer" if prediction.boxes is not None else "")


def _said(prediction: Prediction) -> str:
    if prediction.boxes is not None:
        return formats.plural(len(shown(prediction.boxes)), "object")
    if prediction.labels is not None:
        return formats.short(", ".join(prediction.labels), 200) or "none of the labels"
    if prediction.label is not None:
        return formats.short(prediction.label, 200)
    return formats.number(prediction.value) if prediction.value is not None else "Answer"


def _interval(found: InferenceAnswer) -> Any:
    """Between which numbers the truth probably lies, and how that is known."""
    if found.interval is None:
        return None
    low, high, n = found.interval.low, found.interval.high, found.interval.n
    words = f"{formats.number(low)} to {formats.number(high)}"
    how = (
        f"{100 * found.interval.level:.0f}% of the evaluation's {formats.plural(n, 'residual')} lie in a span like this"
    )
    return html.P(
        [html.B(words), f" · {how}"], className="muted mb-0", title="the answer plus the residuals' quantiles"
    )


def _outside(found: InferenceAnswer) -> Any:
    """That nobody measured the model on values like these."""
    if not found.outside:
        return None
    told = [_strange(item) for item in found.outside[:_STRANGE]]
    more = len(found.outside) - len(told)
    words = "; ".join([*told, *([f"and {formats.plural(more, 'more value')}"] if more else [])])
    text = f"{words}. How good the model is there was never measured."
    return parts.notice("Outside what the evaluation held", text, "info")


def _strange(item: Outside) -> str:
    name, value = formats.short(item.name, 40), formats.short(item.value, 40)
    if item.low is None or item.high is None:
        return f"{name} is {value}, which no evaluated row has"
    return f"{name} is {value}, evaluated rows have {formats.bound(item.low)} to {formats.bound(item.high)}"


def _outcome(found: InferenceAnswer, prediction: Prediction) -> Any:
    """Right or wrong against the record; for numbers the difference."""
    if found.truth is None:
        return None
    if prediction.value is not None and found.number is not None:
        off = formats.signed(prediction.value - found.number)
        return html.P(f"Recorded: {formats.number(found.number)}, so {off}.", className="muted mb-0")
    if prediction.label is None:
        return html.P(f"Recorded label: {found.truth}", className="muted mb-0")
    if prediction.label == found.truth:
        return html.Span(parts.pill("✓ right, as recorded", "better"), className="when-known")
    wrong = parts.pill(f"✗ wrong, recorded is {formats.short(found.truth, 60)}", "worse")
    return html.Span(wrong, className="when-known")


def _details(prediction: Prediction, truth: str | None) -> Any:
    if prediction.probabilities:
        return _probabilities(prediction, truth)
    if prediction.boxes is not None:
        limits = (
            html.B(f"{CONFIDENCE:.2f}", className="scene-confidence"),
            html.B(f"{OVERLAP:.2f}", className="scene-overlap"),
        )
        words = [
            "With a confidence of at least ",
            limits[0],
            "; boxes of one class that overlap by more than ",
            limits[1],
        ]
        return html.P([*words, " count once."], className="muted mb-0")
    if prediction.label is None and prediction.value is None:
        text = json.dumps(prediction.raw, ensure_ascii=False, indent=1, default=str)
        return html.Pre(formats.short(text, _LONGEST_RAW), className="mono raw", tabIndex=0)
    return None


def _probabilities(prediction: Prediction, truth: str | None) -> html.Div:
    lines = [_line(name, share, truth) for name, share in prediction.probabilities.items()]
    rest = html.Details([html.Summary(f"Show all {len(lines)} classes"), *lines[_TOP:]]) if len(lines) > _TOP else None
    return html.Div([html.H3("Probability", className="field-label"), *lines[:_TOP], rest], className="mt-3")


def _line(name: str, share: float, truth: str | None) -> html.Div:
    mark = html.Span("recorded", className="pill accent") if name == truth else None
    label = html.Span([html.Span(name, className="cell-text", title=name, dir="auto"), mark], className="class-name")
    shown = "< 0.1%" if 0 < share < 0.0005 else formats.percent(share)
    number = html.Span(shown, className="num", title=repr(share))
    return html.Div([label, parts.share_bar(share), number], className="probability")


def _origin(answer: Answer, source: str) -> html.Div:
    """What was asked, which model answered, how long it took, whether it came from the cache."""
    card = answer.model
    model = f"{card.name} version {card.version}" if card.version else card.name
    entries: list[tuple[str, Any]] = [
        ("Input", source),
        ("Model", model),
        ("Run", html.Span(card.run_name or card.run_id[:8], title=card.run_id)),
        _duration(answer),
    ]
    facts = [html.Span([name, " ", html.B(value)]) for name, value in entries]
    cached = parts.pill(f"from cache, {formats.age(answer.age or 0.0)}", "accent") if _kept(answer) else None
    return html.Div([*facts, cached], className="run-facts mt-3 mb-0")


def _duration(answer: Answer) -> tuple[str, str]:
    """What took how long: the model, an equal question that was under way already, or a look into the cache."""
    whole = f"{formats.number(answer.latency_ms, 1)} ms"
    if _kept(answer):
        return "Looked up in", whole
    return (
        "Answered in",
        whole if answer.cached else f"{whole}, {formats.number(answer.engine_ms, 1)} ms of it in the model",
    )


def _kept(answer: Answer) -> bool:
    """Whether the answer was there before the question; one that came meanwhile is that of an equal question."""
    return answer.cached and 1000 * (answer.age or 0.0) > answer.latency_ms
