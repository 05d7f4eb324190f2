"""Wires of the card that takes one prediction elsewhere."""

from typing import Any

import dash
import flask
from dash import Input, Output

from dashboard import prediction_pages
from dashboard.reports.explanation import WhyQuery
from dashboard.reports.query import from_params
from dashboard.reports.usage import usage_of
from dashboard.services import Services
from layouts import usage
from layouts.frozen import freeze
from layouts.usage import Ids


def register(app: dash.Dash, services: Services, store: str) -> None:
    """Connect the card to the page's query store `store`, and add the routes of what it links to."""
    prediction_pages.register(app.server, services)

    @app.callback(Output(Ids.BODY, "children"), Input(store, "data"))
    def show(params: dict[str, Any] | None) -> Any:
        query = from_params(WhyQuery, params or {})
        return freeze(usage.render(usage_of(services, query, flask.request.url_root.rstrip("/"))))
