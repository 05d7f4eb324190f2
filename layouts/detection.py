"""Objects in pictures: search by how many there are, and a picture with ground truth beside detections.

What follows a slider or the pointer is drawn by assets/detection.js from the boxes in `data-scene`.
"""

from enum import StrEnum
from typing import Any

import orjson
from dash import html

from dashboard.inference.detections import Box
from dashboard.reports.detection import DetectionQuery, SceneReport, SearchReport
from layouts import formats, page, parts
from layouts.links import Path, base, view_link
from mlflow_runs.suppression import CONFIDENCE, OVERLAP

PATH = Path.INFERENCE
_NO_INPUT = {"upload": "", "flag": "", "file": ""}


class Ids(StrEnum):
    """Ids of the card, which is hidden for models that find no objects."""

    CARD = "detection-card"
    VIEW = "detection-view"
    SEARCH = "detection-search"
    SCENE = "detection-scene"


def build() -> html.Div:
    """The empty card."""
    fields = ("run", "row", "upload", "flag", "file", "object", "least", "most")
    body = [
        page.view(Ids.VIEW, fields),
        html.Div(id=Ids.SEARCH),
        html.Div(id=Ids.SCENE, className="waits", **{"aria-live": "polite"}),
    ]
    note = "Pictures of this run's evaluation by what they hold, or one of your own: choose it below."
    return html.Div(parts.card("Objects in the picture", html.Div(body), note), id=Ids.CARD, hidden=True)


def render_search(report: SearchReport | None, query: DetectionQuery) -> Any:
    """What to search for, the histogram of the pictures, and the steps through the hits."""
    if report is None:
        return None
    told = {
        "data-classes": orjson.dumps(report.classes).decode(),
        "data-object": report.object,
        "data-least": str(report.least),
        "data-most": str(report.most),
        "data-highest": str(len(report.pictures) - 1),
        "data-first": "" if report.first is None else str(report.first),
    }
    return html.Div(
        [
            html.Div(html.Div(className="object-controls"), className="object-search", **told),
            _histogram(report, query),
            _steps(report, query),
        ],
        className="object-finder",
        **base(query),
    )


def _histogram(report: SearchReport, query: DetectionQuery) -> html.Div:
    """A bar per number of objects; a click leaves only the pictures that hold so many."""
    tallest = max(report.pictures)
    bars = [_bar(report, query, k, n, tallest) for k, n in enumerate(report.pictures)]
    what = f"objects of class {report.object}" if report.object else "objects"
    caption = html.Span(f"Pictures by number of {what}", className="card-note")
    return html.Div([html.Div(bars, className="object-bars"), caption])


def _bar(report: SearchReport, query: DetectionQuery, k: int, n: int, tallest: int) -> html.A:
    fill = html.I(style={"height": f"{100 * n / max(tallest, 1):.1f}%"})
    what = f"{formats.plural(n, 'picture')} with {k}"
    link = view_link(PATH, query, [html.Span(fill, className="object-bar"), str(k)], least=k, most=k, row="")
    if k == 0:  # because 0 as the largest number means no limit
        link = html.Span([html.Span(fill, className="object-bar"), str(k)])
    link.title = what
    setattr(link, "data-chosen", "true" if report.least <= k <= report.most else "false")
    return link


def _steps(report: SearchReport, query: DetectionQuery) -> Any:
    if not report.hits:
        return html.P("No picture holds so many. Widen the range.", className="muted mb-0")
    of = formats.plural(report.hits, "picture")
    where = f"{formats.count(report.position)} of {of}" if report.position else f"{of} found; this is none of them"
    steps = [
        _step("← Previous", query, report.before),
        html.Span(where, className="card-note figure-number object-position"),
        _step("Next →", query, report.after),
    ]
    return html.Nav(steps, className="toolbar", **{"aria-label": "Pictures found"})


def _step(text: str, query: DetectionQuery, row: int | None) -> Any:
    if row is None:
        return html.Span(text, className="btn-quiet", **{"aria-disabled": "true"})
    return view_link(PATH, query, text, "btn-quiet", row=str(row), **_NO_INPUT)


def render_scene(report: SceneReport | None) -> Any:
    """The picture twice, with room for boxes, sliders and counts."""
    if report is None:
        return parts.empty("No picture chosen", "Step through the pictures above, or give one of your own below.")
    scene = {
        "width": report.width,
        "height": report.height,
        "classes": report.classes,
        "truth": None if report.truth is None else [_box(box) for box in report.truth],
        "found": [_box(box) for box in report.found],
        "confidence": CONFIDENCE,
        "overlap": OVERLAP,
    }
    live = "Detections" if report.answer else "Recorded detections"
    panes = [_pane("found", live, report)]
    if report.truth is not None:
        panes = [_pane("truth", "Ground truth", report), *panes]
    tree = [
        parts.notice("No live detections", report.problem, "info") if report.problem else None,
        html.Div(panes, className="scene-panes"),
        html.Div(
            [
                html.Div([html.Div(className="scene-sliders"), html.P(_how(report), className="card-note scene-read")]),
                html.Div(className="scene-counts"),
            ],
            className="scene-below",
        ),
        html.Details([html.Summary("Boxes as a table"), html.Div(className="scene-table")], className="mt-2"),
        _origin(report),
    ]
    return html.Div(tree, className="object-scene", **{"data-scene": orjson.dumps(scene).decode()})


def _box(box: Box) -> list[Any]:
    return [box.label, *(round(value, 2) for value in box[1:5]), round(box.score, 4)]


def _pane(kind: str, title: str, report: SceneReport) -> html.Div:
    image = html.Img(src=report.image, alt=f"{title} on the picture: {report.source}", className="scene-image")
    stage = html.Div([image, html.Div(className="scene-boxes")], className="scene-stage")
    return html.Div([html.H3([title, html.Span(className="scene-n")], className="field-label"), stage],
                    className="scene-pane", **{"data-pane": kind})  # fmt: skip


def _how(report: SceneReport) -> str:
    agreed = (
        "A solid frame agrees with the other side (same class, overlap of 0.5 or more), a dashed one does not."
        if report.truth is not None
        else "There is no ground truth for this picture."
    )
    return f"{agreed} Point at a box to read it."


def _origin(report: SceneReport) -> html.Div:
    """Which picture, which model; how long it took stands in the Answer card alone."""
    facts = [("Picture", f"{report.source}, {report.width} x {report.height} pixels")]
    if report.answer is not None:
        card = report.answer.model
        facts += [("Model", f"{card.name} version {card.version}" if card.version else card.name)]
        facts += [("Raw boxes", formats.count(len(report.found)))]
    return html.Div([html.Span([n, " ", html.B(v)]) for n, v in facts], className="run-facts mt-3 mb-0")
