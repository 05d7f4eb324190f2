"""Wires of the Inference page: form and answer follow the query, all else comes after; jobs run in the background."""

from typing import Any

import dash
from dash import ALL, ClientsideFunction, Input, Output, State

from callbacks import batch, context, detection, explanation, generator, on_slice, run_picker, usage, versions
from callbacks import flagging as flags
from dashboard import uploads
from dashboard.reports.examples import example_slices, inference_examples
from dashboard.reports.inference import InferenceQuery, inference_answer, inference_form
from dashboard.reports.query import from_params
from dashboard.services import Services
from layouts import flagging, inference, prediction
from layouts import run_picker as picker_layout
from layouts.frozen import freeze
from layouts.inference import Ids

Params = dict[str, Any] | None


def register(app: dash.Dash, services: Services) -> None:
    """Register the page's callbacks and the routes of its files."""
    run_picker.register(app, services, Ids.QUERY, Ids.MODEL, Ids.RUN)
    uploads.register(app.server, services.settings)
    app.clientside_callback(
        ClientsideFunction("vitrine", "later"),
        Output(Ids.LATER, "data"),
        Input(Ids.QUERY, "data"),
        State(Ids.LATER, "data"),
    )
    _register_controls(app)
    batch.register(app, services, Ids.QUERY)
    generator.register(app, services, Ids.LATER)
    detection.register(app, services, Ids.QUERY)
    versions.register(app, services, Ids.QUERY, Ids.LATER)
    explanation.register(app, services, Ids.LATER)
    context.register(app, services, Ids.LATER)
    on_slice.register(app, services, Ids.LATER)
    flags.register(app, services, Ids.LATER)
    usage.register(app, services, Ids.LATER)

    @app.callback(
        Output(Ids.FIELDS, "children"),
        Output(Ids.INPUT, "data-kind"),
        Output(Ids.TEXT, "value"),
        Input(Ids.QUERY, "data"),  # at once, because later it would write over what is typed next
    )
    def show_form(params: Params) -> tuple[Any, ...]:
        query = from_params(InferenceQuery, params or {})
        if not query.run:
            return picker_layout.waiting(services.runs.state()), "none", ""
        form = inference_form(services, query)
        return inference.render(form), inference.kind(form), form.text

    @app.callback(
        Output(Ids.SLICE, "options"),
        Output(Ids.SLICE, "value"),
        Input(picker_layout.view_of(Ids.RUN), "data"),
        State(Ids.QUERY, "data"),
    )
    def offer_slices(view: Params, params: Params) -> tuple[Any, ...]:
        run = str((view or {}).get("run") or "")
        return inference.slice_options(example_slices(services, run) if run else []), (params or {}).get("slice")

    @app.callback(Output(Ids.EXAMPLES, "children"), Input(Ids.LATER, "data"), Input(flagging.Ids.CHANGED, "data"))
    def show_examples(params: Params, _changed: Any) -> Any:
        query = from_params(InferenceQuery, params or {})
        return freeze(inference.render_examples(inference_examples(services, query), query)) if query.run else None

    @app.callback(Output(Ids.ANSWER, "children"), Input(Ids.QUERY, "data"))
    def show_answer(params: Params) -> Any:
        query = from_params(InferenceQuery, params or {})
        if query.asks:
            services.limits.spend("predictions")
        found = inference_answer(services, query)
        return freeze([prediction.render(found), flags.judgement(services, query, found)])


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
        ClientsideFunction("inputs", "row"),
        Input(Ids.ROW, "value"),
        State(Ids.QUERY, "data"),
        prevent_initial_call=True,
    )
    run_picker.follow(app, Ids.QUERY, Ids.ROW)
    run_picker.control(app, Ids.QUERY, Ids.SLICE)
