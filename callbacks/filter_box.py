"""Wires of a page's filter box: completion, clicks, saved slices."""

import time
from typing import Any

import dash
from dash import ALL, ClientsideFunction, Input, Output, State

from callbacks import run_picker
from dashboard.access.users import require_editor
from dashboard.reports.filter_words import filter_words, save_slice
from dashboard.reports.query import from_params
from dashboard.services import Services
from dashboard.state import SavedSlice
from layouts import filter_box, shell
from layouts import run_picker as picker

Params = dict[str, Any] | None


def register(app: dash.Dash, services: Services, page: str, path: str, kind: type[Any]) -> None:
    """Connect the box of `page` at `path` to the page's query, which is of this kind."""
    ids = filter_box.ids_of(page)
    run_picker.control(app, ids.query, ids.filter)
    run_picker.follow(app, ids.query, ids.filter)
    _register_browser(app, ids)
    _register_saved(app, services, page, path, kind)

    @app.callback(Output(ids.words, "data-words"), Output(ids.column, "options"), Input(_run_of(page), "data"))
    def offer(view: Params) -> tuple[Any, ...]:
        run = (view or {}).get("run", "")
        found = filter_words(services, run) if run else ()
        return filter_box.words(found), filter_box.column_options(found)


def _register_browser(app: dash.Dash, ids: filter_box.Ids) -> None:
    """What needs no server: the chosen column decides what is offered, and clicks add to the filter."""
    app.clientside_callback(
        ClientsideFunction("filterBox", "offer"),
        Output(ids.operator, "options"), Output(ids.operator, "value"), Output(ids.values, "children"),
        Output(ids.value, "placeholder"), Input(ids.column, "value"), State(ids.words, "data-words"),
        prevent_initial_call=True,
    )  # fmt: skip
    app.clientside_callback(
        ClientsideFunction("filterBox", "add"), Output(ids.add_problem, "children"),
        Input(ids.add, "n_clicks"), State(ids.column, "value"), State(ids.operator, "value"),
        State(ids.value, "value"), State(ids.words, "data-words"), State(ids.query, "data"),
        prevent_initial_call=True,
    )  # fmt: skip


def _run_of(page: str) -> str:
    return picker.view_of(f"{page}-run")


def _register_saved(app: dash.Dash, services: Services, page: str, path: str, kind: type[Any]) -> None:
    ids = filter_box.ids_of(page)
    app.clientside_callback(
        ClientsideFunction("filterBox", "again"), Input(ids.changed, "data"), State(shell.Ids.REVISION, "data"),
        prevent_initial_call=True,
    )  # fmt: skip

    @app.callback(
        Output(ids.saved, "children"),
        Input(_run_of(page), "data"),
        Input(ids.changed, "data"),
        State(ids.query, "data"),
    )
    def show(_view: Params, _changed: Any, params: Params) -> Any:
        query = from_params(kind, params or {})
        if not query.run:
            return None
        saved = services.state.slices(services.runs.run(query.run).model)
        return filter_box.render_saved(saved, ids, path, query)

    @app.callback(
        Output(ids.told, "children"),
        Output(ids.query, "data", allow_duplicate=True),
        Output(ids.changed, "data", allow_duplicate=True),
        Output(ids.name, "value"),
        Output(ids.description, "value"),
        Input(ids.save, "n_clicks"),
        State(ids.query, "data"),
        State(ids.name, "value"),
        State(ids.description, "value"),
        State(ids.author, "value"),
        prevent_initial_call=True,
    )
    def save(clicks: int, params: Params, name: str, description: str, author: str) -> tuple[Any, ...]:
        query = from_params(kind, params or {})
        model = services.runs.run(query.run).model
        wanted = SavedSlice(model, (name or "").strip(), description or "", query.filter, author or "", time.time())
        saved = save_slice(services, query.run, wanted)
        return filter_box.told(saved.name, model), {"run": query.run, "slice": saved.name}, [saved.name, clicks], "", ""

    @app.callback(
        Output(ids.query, "data", allow_duplicate=True),
        Output(ids.changed, "data", allow_duplicate=True),
        Input(ids.drop(ALL), "n_clicks"),
        State(ids.query, "data"),
        prevent_initial_call=True,
    )
    def drop(clicks: list[int], params: Params) -> tuple[Any, ...]:
        if not any(clicks) or not isinstance(dash.ctx.triggered_id, dict):
            return dash.no_update, dash.no_update
        require_editor("delete slices")
        name, query = dash.ctx.triggered_id["name"], from_params(kind, params or {})
        services.state.delete_slice(services.runs.run(query.run).model, name)
        left = {key: value for key, value in (params or {}).items() if (key, value) != ("slice", name)}
        return left if left != params else dash.no_update, [name, time.time()]
