"""Wires of the Performance page's card with false positives and misses."""

from typing import Any

import dash
from dash import Input, Output

from callbacks import run_picker
from dashboard.reports.detection_errors import DetectionErrorsQuery, detection_errors
from dashboard.reports.query import from_params
from dashboard.reports.wrong_selection import wrong_selection
from dashboard.services import Services
from layouts import detection_errors as layout
from layouts.detection_errors import Ids
from layouts.frozen import freeze

Params = dict[str, Any] | None


def register(app: dash.Dash, services: Services, query_id: str) -> None:
    """Register the card's callback; `query_id` is the page's query store."""
    run_picker.pick(app, query_id, Ids.VIEW)

    @app.callback(Output(Ids.CARD, "children"), Input(Ids.VIEW, "data"))
    def show_errors(params: Params) -> Any:
        query = from_params(DetectionErrorsQuery, params or {})
        if not query.run or wrong_selection(services, query.run, query.filter, query.slice):
            return None
        return freeze(layout.render(detection_errors(services, query), query))
