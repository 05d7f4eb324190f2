"""Wires of the Inference page: form, examples and answer follow the query; the batch runs in the background."""

from typing import Any

import dash
from dash import ALL, ClientsideFunction, Input, Output, State

from callbacks import run_picker
from dashboard import uploads
from dashboard.reports.inference import (
    InferenceQuery,
    batch_finished,
    batch_found,
    inference_answer,
    inference_examples,
    inference_form,
    run_batch,
)
from dashboard.reports.query import from_params
from dashboard.services import Services
from layouts import batch, inference, prediction
from layouts import run_picker as picker_layout
from layouts.batch import Ids as Batch
from layouts.frozen import freeze
from layouts.inference import Ids

Params = dict[str, Any] | None


def register(app: dash.Dash, services: Services) -> None:
    """Register the page's callbacks and the routes of its files."""
    run_picker.register(app, services, Ids.QUERY, Ids.MODEL, Ids.RUN)
    uploads.register(app.server, services.settings)
    _register_controls(app)
    _register_batch(app, services)

    @app.callback(
        Output(Ids.FIELDS, "children"),
        Output(Ids.INPUT, "data-kind"),
        Output(Ids.TEXT, "value"),
        Input(Ids.QUERY, "data"),
    )
    def show_form(params: Params) -> tuple[Any, ...]:
        query = from_params(InferenceQuery, params or {})
        if not query.run:
            return picker_layout.waiting(services.runs.state()), "none", ""
        form = inference_form(services, query)
        return inference.render(form), inference.kind(form), form.text

    @app.callback(Output(Ids.EXAMPLES, "children"), Input(Ids.QUERY, "data"))
    def show_examples(params: Params) -> Any:
        query = from_params(InferenceQuery, params or {})
        return freeze(inference.render_examples(inference_examples(services, query.run), query)) if query.run else None

    @app.callback(Output(Ids.ANSWER, "children"), Input(Ids.QUERY, "data"))
    def show_answer(params: Params) -> Any:
        query = from_params(InferenceQuery, params or {})
        return freeze(prediction.render(inference_answer(services, query)))


def _register_controls(app: dash.Dash) -> None:
    """The Predict button, the Enter key and uploads change the query, in the browser."""
    fields = {"type": Ids.FIELD, "name": ALL, "as": ALL}
    app.clientside_callback(
        ClientsideFunction("vitrine", "predict"),
        Input(Ids.PREDICT, "n_clicks"),
        Input(fields, "n_submit"),
        State(fields, "value"),
        State(fields, "id"),
        State(Ids.TEXT, "value"),
        State(Ids.INPUT, "data-kind"),
        State(Ids.QUERY, "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("vitrine", "uploadInput"),
        Input(Ids.UPLOAD, "contents"),
        State(Ids.UPLOAD, "filename"),
        State(Ids.QUERY, "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("vitrine", "runOf"),
        Output(Batch.SUBJECT, "data"),
        Input(Ids.QUERY, "data"),
        State(Batch.SUBJECT, "data"),
    )
    app.clientside_callback(
        ClientsideFunction("vitrine", "uploadFile"),
        Output(Batch.FILE, "data"),
        Input(Batch.UPLOAD, "contents"),
        State(Batch.UPLOAD, "filename"),
        prevent_initial_call=True,
    )


def _register_batch(app: dash.Dash, services: Services) -> None:
    about = Input(Batch.FILE, "data"), Input(Batch.SUBJECT, "data")

    @app.callback(Output(Batch.FOUND, "children"), *about)
    def look(token: Params, run_id: str | None) -> Any:
        if not token or not run_id:
            return None
        return batch.render_file(token["name"], token["bytes"], batch_found(services, run_id, token))

    @app.callback(Output(Batch.RUN, "disabled"), Output(Batch.RESULT, "children"), *about)
    def recall(token: Params, run_id: str | None) -> tuple[Any, ...]:
        if not token or not run_id:
            return True, None
        done = batch_finished(services, run_id, token)
        return False, batch.render(done) if done else None

    @app.callback(
        Output(Batch.RESULT, "children", allow_duplicate=True),
        Input(Batch.RUN, "n_clicks"),
        State(Batch.FILE, "data"),
        State(Batch.SUBJECT, "data"),
        background=True,
        interval=300,
        running=[
            (Output(Batch.RUN, "disabled"), True, False),
            (Output(Batch.CANCEL, "disabled"), False, True),
            (Output(Batch.ASK, "className"), f"{batch.ASK} running", batch.ASK),
        ],
        progress=[Output(Batch.PROGRESS, "value"), Output(Batch.PROGRESS, "max"), Output(Batch.DONE, "children")],
        cancel=[Input(Batch.CANCEL, "n_clicks")],
        prevent_initial_call=True,
    )
    def work(set_progress: Any, _clicks: int, token: dict[str, Any], run_id: str) -> Any:
        summary = run_batch(services, run_id, token, lambda done, total: set_progress(batch.progress(done, total)))
        return batch.render(summary)
