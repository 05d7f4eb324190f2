"""Wires of the Serving page: the live part follows the shell's tick, the comparison runs in the background."""

from typing import Any

import dash
from dash import Input, Output, State

from callbacks import run_picker
from callbacks.background import background_job
from dashboard.access.users import current_user
from dashboard.reports.environment import ModelNeeds, build_environment, model_needs, remove_environment
from dashboard.reports.query import from_params
from dashboard.reports.serving import (
    ServingQuery,
    cancel_comparison,
    compare_engines,
    comparing,
    engine_card,
    serving_report,
)
from dashboard.services import Services
from layouts import environment, serving, shell
from layouts import run_picker as picker_layout
from layouts.serving import Ids

Params = dict[str, Any] | None


def register(app: dash.Dash, services: Services) -> None:
    """Register the page's callbacks."""
    run_picker.register(app, services, Ids.QUERY, Ids.MODEL, Ids.RUN)

    @app.callback(Output(Ids.LIVE, "children"), Input(shell.Ids.TICK, "n_intervals"))
    def show_live(_ticks: int) -> Any:
        return serving.render(serving_report(services))

    @app.callback(
        Output(Ids.RESULT, "children"),
        Output(Ids.COMPARE, "disabled"),
        Input(Ids.QUERY, "data"),
        Input(shell.Ids.REVISION, "data"),
    )
    def show_engines(params: Params, _revision: int | None) -> tuple[Any, bool]:
        query = from_params(ServingQuery, params or {})
        if not query.run:
            return picker_layout.waiting(services.runs.state()), True
        found = engine_card(services, query)
        return serving.render_engines(found), bool(found.reason) or not current_user().edits

    # a comparison that a page began which was then left or loaded anew: its button is pressed again, and the job
    # follows it
    @app.callback(Output(Ids.COMPARE, "n_clicks"), Input(Ids.RUN, "value"), State(Ids.COMPARE, "n_clicks"))
    def follow(run_id: str | None, clicks: int) -> Any:
        return (clicks or 0) + 1 if run_id and current_user().edits and comparing(services, run_id) else dash.no_update

    @app.callback(Input(Ids.CANCEL, "n_clicks"), State(Ids.RUN, "value"), prevent_initial_call=True)
    def cancel(clicks: int, run_id: str | None) -> None:
        if clicks and run_id:
            cancel_comparison(services, run_id)

    _register_needs(app, services)

    @app.callback(
        Output(Ids.RESULT, "children", allow_duplicate=True),
        Input(Ids.COMPARE, "n_clicks"),
        State(Ids.RUN, "value"),
        **background_job(
            Ids.COMPARE,
            Ids.CANCEL,
            Ids.ASK,
            serving.ASK,
            [Output(Ids.PROGRESS, "value"), Output(Ids.STEP, "children")],
            Ids.STEP,
        ),
    )
    def compare(set_progress: Any, _clicks: int, run_id: str) -> Any:
        compare_engines(services, run_id, lambda step, share: set_progress(serving.progress(step, share)))
        return serving.render_engines(engine_card(services, ServingQuery(run_id)))


def _register_needs(app: dash.Dash, services: Services) -> None:
    """What the model needs: the list, and building or removing its own environment."""

    @app.callback(
        Output(Ids.NEEDS, "children"),
        Output(Ids.BUILD, "hidden"),
        Output(Ids.REMOVE, "hidden"),
        Output(Ids.BUILD_ASK, "hidden"),
        Input(Ids.QUERY, "data"),
    )
    def show_needs(params: Params) -> tuple[Any, bool, bool, bool]:
        query = from_params(ServingQuery, params or {})
        if not query.run:
            return picker_layout.waiting(services.runs.state()), True, True, True
        return needs_shown(model_needs(services, query.run))

    @app.callback(
        Output(Ids.NEEDS, "children", allow_duplicate=True),
        Output(Ids.BUILD, "hidden", allow_duplicate=True),
        Output(Ids.REMOVE, "hidden", allow_duplicate=True),
        Output(Ids.BUILD_ASK, "hidden", allow_duplicate=True),
        Input(Ids.REMOVE, "n_clicks"),
        State(Ids.RUN, "value"),
        prevent_initial_call=True,
    )
    def remove(_clicks: int, run_id: str) -> tuple[Any, bool, bool, bool]:
        return needs_shown(remove_environment(services, run_id))

    @app.callback(
        Output(Ids.NEEDS, "children", allow_duplicate=True),
        Output(Ids.BUILD, "hidden", allow_duplicate=True),
        Output(Ids.REMOVE, "hidden", allow_duplicate=True),
        Output(Ids.BUILD_ASK, "hidden", allow_duplicate=True),
        Input(Ids.BUILD, "n_clicks"),
        State(Ids.RUN, "value"),
        **background_job(
            Ids.BUILD,
            Ids.STOP_BUILD,
            Ids.BUILD_ASK,
            serving.ASK,
            [Output(Ids.BUILD_PROGRESS, "value"), Output(Ids.BUILD_STEP, "children")],
            Ids.BUILD_STEP,
        ),
    )
    def build(set_progress: Any, _clicks: int, run_id: str) -> tuple[Any, bool, bool, bool]:
        told = build_environment(services, run_id, lambda step, share: set_progress(serving.progress(step, share)))
        return needs_shown(told)


def needs_shown(found: ModelNeeds) -> tuple[Any, bool, bool, bool]:
    """The card's content, and whether the buttons to build and to remove, and both with their row, are hidden."""
    edits = current_user().edits
    build, remove = edits and found.buildable and found.environment is None, edits and found.environment is not None
    return environment.render(found), not build, not remove, not (build or remove)
