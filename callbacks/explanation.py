"""Wires of the explanation: what is known is shown at once, what is asked for and not known is computed in a job."""

from typing import Any

import dash
from dash import ClientsideFunction, Input, Output, State

from callbacks import run_picker
from callbacks.background import background_job
from dashboard.reports.explanation import WhyQuery, explain_now, why_report
from dashboard.reports.query import from_params
from dashboard.services import Services
from layouts import explanation
from layouts.explanation import Ids
from layouts.frozen import freeze

Params = dict[str, Any] | None


def register(app: dash.Dash, services: Services, store: str) -> None:
    """Connect the card to the page's query store `store`."""
    run_picker.pick(app, store, Ids.VIEW)

    @app.callback(
        Output(Ids.SECTION, "className"),
        Output(Ids.RESULT, "children"),
        Output(Ids.ASK, "className"),
        Output(Ids.JOB, "data"),
        Input(Ids.VIEW, "data"),
        Input(Ids.KNOWN, "data"),
    )
    def show(view: Params, _known: Any) -> tuple[Any, ...]:
        query = from_params(WhyQuery, view or {})
        report = why_report(services, query)
        if report is None:
            return explanation.HIDDEN, None, explanation.ASK, dash.no_update
        job = view if query.why and report.missing and dash.ctx.triggered_id != Ids.KNOWN else dash.no_update
        return explanation.SHOWN, freeze(explanation.render(report, query)), explanation.ask_class(report, query), job

    @app.callback(
        Output(Ids.FINISHED, "data"),
        Input(Ids.JOB, "data"),
        **background_job(
            Ids.RUN,
            Ids.CANCEL,
            Ids.ASK,
            explanation.ASK,
            [Output(Ids.PROGRESS, "value"), Output(Ids.STEP, "children")],
            Ids.STEP,
        ),
    )
    def work(set_progress: Any, job: dict[str, Any]) -> Any:
        query = from_params(WhyQuery, job)
        explain_now(services, query, lambda step, share: set_progress(explanation.progress(step, share)))
        return job

    # by way of the browser, because Dash does not run a callback again that began the chain
    app.clientside_callback(ClientsideFunction("explain", "finished"), Input(Ids.FINISHED, "data"))
    app.clientside_callback(
        ClientsideFunction("explain", "ask"), Output(Ids.JOB, "data", allow_duplicate=True),
        Input(Ids.RUN, "n_clicks"), Input(Ids.CANCEL, "n_clicks"), State(Ids.VIEW, "data"),
        prevent_initial_call=True,
    )  # fmt: skip
