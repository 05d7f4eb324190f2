"""Wires of flags: a judgement is kept, one is taken back, the list follows the run and its filters."""

from typing import Any

import dash
from dash import ALL, Input, Output, State

from callbacks import run_picker
from dashboard.access.users import current_user
from dashboard.reports.flags import FlagsQuery, flag_answer, flag_offer, flags_report, undo_flag
from dashboard.reports.inference import InferenceAnswer, InferenceQuery
from dashboard.reports.query import from_params
from dashboard.services import Services
from layouts import flagging
from layouts.flagging import Ids
from layouts.frozen import freeze

Params = dict[str, Any] | None


def register(app: dash.Dash, services: Services, store: str) -> None:
    """Connect judgement and list to the page's query store `store`."""
    run_picker.pick(app, store, Ids.VIEW)
    _register_changes(app, services, store)
    _register_list(app, services, store)


def judgement(services: Services, query: InferenceQuery, found: InferenceAnswer | None) -> Any:
    """The controls that judge an answer, none for viewers and without an answer."""
    if found is None or not current_user().edits:
        return None
    return flagging.render_form(flag_offer(services, query.run, found.answer.model, found.answer.predictions[0]))


def _register_changes(app: dash.Dash, services: Services, store: str) -> None:
    fields = {"type": Ids.FIELD, "name": ALL}

    @app.callback(
        Output(Ids.SAID, "children"),
        Output(Ids.CHANGED, "data"),
        Input({"type": Ids.SAVE, "name": ALL}, "n_clicks"),
        State(fields, "value"),
        State(fields, "id"),
        State(store, "data"),
        prevent_initial_call=True,
    )
    def keep(clicks: list[int], values: list[Any], ids: list[dict[str, str]], params: Params) -> tuple[Any, ...]:
        if not any(clicks):
            return None, dash.no_update
        said = {item["name"]: value or "" for item, value in zip(ids, values, strict=True)}
        flag = flag_answer(services, from_params(InferenceQuery, params or {}), **said)
        return flagging.render_saved(flag), flag.id

    @app.callback(
        Output(Ids.CHANGED, "data", allow_duplicate=True),
        Input({"type": Ids.UNDO, "flag": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def take_back(clicks: list[int]) -> Any:
        if not any(clicks):
            return dash.no_update
        return f"undone {undo_flag(services, dash.ctx.triggered_id['flag']).id}"


def _register_list(app: dash.Dash, services: Services, store: str) -> None:
    @app.callback(
        Output(Ids.LIST, "children"),
        Input(Ids.VIEW, "data"),
        Input(Ids.CHANGED, "data"),
        Input(Ids.SCOPE, "value"),
        Input(Ids.VERDICT, "value"),
        Input(Ids.SEARCH, "value"),
        State(store, "data"),
    )
    def show(_view: Params, _changed: Any, scope: str, verdict: str | None, search: str, params: Params) -> Any:
        run = str((params or {}).get("run") or "")
        query = FlagsQuery(run, scope, verdict or "", search or "")
        return freeze(flagging.render(flags_report(services, query))) if run else None
