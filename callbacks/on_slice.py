"""Wires of a run over a slice: choices follow the run, a known result is shown at once, others come from a job."""

from typing import Any

import dash
from dash import ClientsideFunction, Input, Output, State

from callbacks import run_picker
from callbacks.background import background_job
from dashboard.access.users import current_user
from dashboard.reports.on_slice import OnSliceQuery, known_on_slice, on_slice_choice, run_on_slice
from dashboard.reports.query import from_params
from dashboard.services import Services
from layouts import on_slice
from layouts.frozen import freeze
from layouts.on_slice import Ids

Params = dict[str, Any] | None


def register(app: dash.Dash, services: Services, store: str) -> None:
    """Connect the card to the page's query store `store`."""
    run_picker.pick(app, store, Ids.VIEW)

    @app.callback(
        Output(Ids.SECTION, "className"),
        Output(Ids.VERSIONS, "options"),
        Output(Ids.VERSIONS, "value"),
        Output(Ids.SLICE, "options"),
        Output(Ids.SLICE, "value"),
        Output(Ids.FILTER, "value"),
        Output(Ids.LIMIT, "value"),
        Input(Ids.VIEW, "data"),
    )
    def offer(view: Params) -> tuple[Any, ...]:
        query = from_params(OnSliceQuery, view or {})
        choice = on_slice_choice(services, query.run) if query.run else None
        if choice is None:
            return (on_slice.HIDDEN, *[dash.no_update] * 6)
        return ("", *on_slice.options(choice, query))

    @app.callback(
        Output(Ids.RESULT, "children"),
        Output(Ids.JOB, "data"),
        Input(Ids.VIEW, "data"),
        Input(Ids.KNOWN, "data"),
    )
    def show(view: Params, _known: Any) -> tuple[Any, ...]:
        query = from_params(OnSliceQuery, view or {})
        if not query.run or not query.asked:
            return None, dash.no_update
        report = known_on_slice(services, query)
        again = report is None and dash.ctx.triggered_id != Ids.KNOWN and current_user().edits
        return freeze(on_slice.render(report, query)), view if again else dash.no_update

    @app.callback(
        Output(Ids.FINISHED, "data"),
        Input(Ids.JOB, "data"),
        **background_job(
            Ids.RUN,
            Ids.CANCEL,
            Ids.ASK,
            on_slice.ASK,
            [Output(Ids.PROGRESS, "value"), Output(Ids.PROGRESS, "max"), Output(Ids.DONE, "children")],
            Ids.DONE,
        ),
    )
    def work(set_progress: Any, job: dict[str, Any]) -> Any:
        query = from_params(OnSliceQuery, job)
        run_on_slice(services, query, lambda *told: set_progress(on_slice.progress(*told)))
        return job

    # by way of the browser, because Dash does not run a callback again that began the chain
    app.clientside_callback(ClientsideFunction("explain", "finished"), Input(Ids.FINISHED, "data"))
    app.clientside_callback(
        ClientsideFunction("explain", "onSlice"), Output(Ids.JOB, "data", allow_duplicate=True),
        Input(Ids.RUN, "n_clicks"), Input(Ids.CANCEL, "n_clicks"), State(Ids.VERSIONS, "value"),
        State(Ids.SLICE, "value"), State(Ids.FILTER, "value"), State(Ids.LIMIT, "value"), State(Ids.VIEW, "data"),
        prevent_initial_call=True,
    )  # fmt: skip
