"""Wires of the batch card: an uploaded file is looked at, then predicted in the background."""

from typing import Any

import dash
from dash import ClientsideFunction, Input, Output, State

from callbacks.background import background_job
from dashboard.access.users import current_user
from dashboard.reports.batches import batch_finished, batch_found, batch_running, cancel_batch, run_batch
from dashboard.services import Services
from layouts import batch
from layouts.batch import Ids as Batch

Params = dict[str, Any] | None


def register(app: dash.Dash, services: Services, store: str) -> None:
    """Connect the card to the page's query store `store`."""
    _register_file(app, store)
    _register_work(app, services)


def _register_file(app: dash.Dash, store: str) -> None:
    app.clientside_callback(
        ClientsideFunction("vitrine", "runOf"),
        Output(Batch.SUBJECT, "data"),
        Input(store, "data"),
        State(Batch.SUBJECT, "data"),
    )


def _register_work(app: dash.Dash, services: Services) -> None:
    about = Input(Batch.FILE, "data"), Input(Batch.SUBJECT, "data")

    @app.callback(Output(Batch.FOUND, "children"), *about)
    def look(token: Params, run_id: str | None) -> Any:
        if not token or not run_id:
            return None
        return batch.render_file(token["name"], token["bytes"], batch_found(services, run_id, token))

    # a batch that a page began which was then left or loaded anew: its button is pressed again, and the job follows it
    @app.callback(
        Output(Batch.RUN, "disabled"),
        Output(Batch.RESULT, "children"),
        Output(Batch.RUN, "n_clicks"),
        *about,
        State(Batch.RUN, "n_clicks"),
    )
    def recall(token: Params, run_id: str | None, clicks: int) -> tuple[Any, ...]:
        if not token or not run_id or not current_user().edits:
            return True, None, dash.no_update
        done = batch_finished(services, run_id, token)
        again = clicks + 1 if not done and batch_running(services, run_id, token) else dash.no_update
        return False, batch.render(done) if done else None, again

    @app.callback(
        Input(Batch.CANCEL, "n_clicks"),
        State(Batch.FILE, "data"),
        State(Batch.SUBJECT, "data"),
        prevent_initial_call=True,
    )
    def cancel(clicks: int, token: Params, run_id: str | None) -> None:
        if clicks and token and run_id:
            cancel_batch(services, run_id, token)

    @app.callback(
        Output(Batch.RESULT, "children", allow_duplicate=True),
        Input(Batch.RUN, "n_clicks"),
        State(Batch.FILE, "data"),
        State(Batch.SUBJECT, "data"),
        **background_job(
            Batch.RUN,
            Batch.CANCEL,
            Batch.ASK,
            batch.ASK,
            [Output(Batch.PROGRESS, "value"), Output(Batch.PROGRESS, "max"), Output(Batch.DONE, "children")],
        ),
    )
    def work(set_progress: Any, _clicks: int, token: dict[str, Any], run_id: str) -> Any:
        summary = run_batch(services, run_id, token, lambda done, total: set_progress(batch.progress(done, total)))
        return batch.render(summary)
