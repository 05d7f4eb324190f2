"""Wires of the context of one answer: follows the page's input."""

from typing import Any

import dash
from dash import ClientsideFunction, Input, Output, State

from callbacks import run_picker
from callbacks.background import background_job
from dashboard.reports.context import context_report
from dashboard.reports.inputs import InferenceQuery
from dashboard.reports.query import from_params
from dashboard.reports.seen import look
from dashboard.services import Services
from layouts import context, explanation
from layouts.context import Ids
from layouts.frozen import freeze

Params = dict[str, Any] | None


def register(app: dash.Dash, services: Services, store: str) -> None:
    """Connect the card to the page's query store `store`."""
    run_picker.pick(app, store, Ids.VIEW)

    @app.callback(
        Output(Ids.SECTION, "className"),
        Output(Ids.BODY, "children"),
        Output(Ids.ASK, "className"),
        Input(Ids.VIEW, "data"),
        Input(Ids.KNOWN, "data"),
        State(store, "data"),
    )
    def show(_view: Params, _known: Any, params: Params) -> tuple[Any, ...]:
        query = from_params(InferenceQuery, params or {})
        report = context_report(services, query)
        if report is None:
            return context.HIDDEN, None, context.HIDDEN
        return context.SHOWN, freeze(context.render(report, query)), context.ask_class(report)

    @app.callback(
        Output(Ids.FINISHED, "data"),
        Input(Ids.RUN, "n_clicks"),
        State(store, "data"),
        **background_job(
            Ids.RUN,
            Ids.CANCEL,
            Ids.ASK,
            context.ASK,
            [Output(Ids.PROGRESS, "value"), Output(Ids.STEP, "children")],
            Ids.STEP,
        ),
    )
    def work(set_progress: Any, clicks: int, params: Params) -> int:
        query = from_params(InferenceQuery, params or {})
        look(services, query, lambda step, share: set_progress(explanation.progress(step, share)))
        return clicks

    # by way of the browser, as for explanations
    app.clientside_callback(ClientsideFunction("explain", "finished"), Input(Ids.FINISHED, "data"))
