"""Wires of the editor of column roles: it shows how the run is read, and has it read anew."""

from typing import Any

import dash
from dash import ClientsideFunction, Input, Output, State

from dashboard.access.users import require_editor
from dashboard.reports.column_roles import ROLES, column_roles, correct_roles, undo_roles
from dashboard.services import Services
from layouts import column_roles as editor
from layouts import shell
from layouts.column_roles import Ids

Params = dict[str, Any] | None


def register(app: dash.Dash, services: Services, store: str) -> None:
    """Connect the editor to the page's query store `store`."""
    selects = [editor.select_id(role) for role in ROLES]

    @app.callback(
        Output(Ids.SECTION, "className"),
        Output(Ids.TASK, "value"),
        Output(Ids.UNDO, "disabled"),
        Output(Ids.TOLD, "children"),
        *(Output(select, "options") for select in selects),
        *(Output(select, "value") for select in selects),
        Input(store, "data"),
        Input(Ids.CHANGED, "data"),
    )
    def show(params: Params, _changed: Any) -> tuple[Any, ...]:
        found = column_roles(services, (params or {}).get("run") or "")
        return *editor.state(found), *[editor.options(found)] * len(ROLES), *found.chosen

    @app.callback(
        Output(Ids.CHANGED, "data"),
        Input(Ids.APPLY, "n_clicks"),
        State(store, "data"),
        State(Ids.TASK, "value"),
        *(State(select, "value") for select in selects),
        prevent_initial_call=True,
    )
    def apply(clicks: int, params: dict[str, Any], task: str, *chosen: str) -> Any:
        author = require_editor("correct how columns are read").name
        correct_roles(services, params["run"], task or "", dict(zip(ROLES, chosen, strict=True)), author)
        return ["applied", clicks]

    @app.callback(
        Output(Ids.CHANGED, "data", allow_duplicate=True),
        Input(Ids.UNDO, "n_clicks"),
        State(store, "data"),
        prevent_initial_call=True,
    )
    def undo(clicks: int, params: dict[str, Any]) -> Any:
        require_editor("correct how columns are read")
        undo_roles(services, params["run"])
        return ["undone", clicks]

    # every page part that follows the store's revision is asked anew
    app.clientside_callback(
        ClientsideFunction("filterBox", "again"), Input(Ids.CHANGED, "data"), State(shell.Ids.REVISION, "data"),
        prevent_initial_call=True,
    )  # fmt: skip
