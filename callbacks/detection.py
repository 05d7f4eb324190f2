"""Wires of the card with objects in pictures: search and picture follow the query, sliders need no server."""

from typing import Any

import dash
from dash import Input, Output

from callbacks import run_picker
from dashboard.reports.detection import DetectionQuery, detects, scene_report, search_report
from dashboard.reports.query import from_params
from dashboard.services import Services
from layouts import detection
from layouts.detection import Ids
from layouts.frozen import freeze

Params = dict[str, Any] | None


def register(app: dash.Dash, services: Services, query_id: str) -> None:
    """Register the card's callbacks; `query_id` is the page's query store."""
    run_picker.pick(app, query_id, Ids.VIEW)

    @app.callback(Output(Ids.SEARCH, "children"), Output(Ids.CARD, "hidden"), Input(Ids.VIEW, "data"))
    def show_search(params: Params) -> tuple[Any, bool]:
        query = from_params(DetectionQuery, params or {})
        if not query.run or not detects(services.runs.run(query.run)):
            return None, True
        return freeze(detection.render_search(search_report(services, query), query)), False

    @app.callback(Output(Ids.SCENE, "children"), Input(Ids.VIEW, "data"))
    def show_scene(params: Params) -> Any:
        query = from_params(DetectionQuery, params or {})
        if not query.run or not detects(services.runs.run(query.run)):
            return None
        return freeze(detection.render_scene(scene_report(services, query)))
