"""Wires of the context of one answer: follows the page's input."""

from typing import Any

import dash
from dash import Input, Output, State

from callbacks import run_picker
from dashboard.reports.context import context_report
from dashboard.reports.inputs import InferenceQuery
from dashboard.reports.query import from_params
from dashboard.services import Services
from layouts import context
from layouts.context import Ids
from layouts.frozen import freeze

Params = dict[str, Any] | None


def register(app: dash.Dash, services: Services, store: str) -> None:
    """Connect the card to the page's query store `store`."""
    run_picker.pick(app, store, Ids.VIEW)

    @app.callback(
        Output(Ids.SECTION, "className"),
        Output(Ids.BODY, "children"),
        Input(Ids.VIEW, "data"),
        State(store, "data"),
    )
    def show(_view: Params, params: Params) -> tuple[Any, ...]:
        query = from_params(InferenceQuery, params or {})
        report = context_report(services, query)
        return (context.SHOWN, freeze(context.render(report, query))) if report else (context.HIDDEN, None)
