"""Wires of the run bar: options follow the index, choices change the page's query, the query mirrors to the URL."""

from typing import Any

import dash
from dash import ClientsideFunction, Input, Output, State

from dashboard.reports.runs import run_choice
from dashboard.services import Services
from layouts import page, run_picker, shell


def register(app: dash.Dash, services: Services, query: str, model: str, run: str) -> None:
    """Connect the pickers `model` and `run` to the page's query store `query`."""
    mirror(app, query)
    control(app, query, run)
    pick(app, query, run_picker.view_of(run))

    @app.callback(
        Output(model, "options"),
        Output(model, "value"),
        Output(run, "options"),
        Output(run, "value"),
        Output(page.missing(query), "children"),
        Input(run_picker.view_of(run), "data"),
        Input(model, "value"),
        Input(shell.Ids.REVISION, "data"),
    )
    def fill(view: dict[str, Any] | None, chosen: str | None, _revision: int | None) -> tuple[Any, ...]:
        asked = "" if dash.ctx.triggered_id == model else (view or {}).get("run", "")
        choice = run_choice(services, asked, chosen or "")
        options = run_picker.model_options(choice.models), run_picker.run_options(choice.rows)
        told = run_picker.missing(choice.missing, services.runs.state()) if choice.missing else None
        return options[0], choice.model, options[1], choice.run, told


def mirror(app: dash.Dash, query: str) -> None:
    """Show the page's query in the address bar and tell the shell which run is open."""
    app.clientside_callback(
        ClientsideFunction("vitrine", "mirror"), Output(shell.Ids.RUN, "data", allow_duplicate=True),
        Input(query, "data"), prevent_initial_call="initial_duplicate",
    )  # fmt: skip


def control(app: dash.Dash, query: str, component: str, prop: str = "value") -> None:
    """Let a control named `<page>-<parameter>` set that parameter of the page's query."""
    app.clientside_callback(
        ClientsideFunction("vitrine", "setParam"), Input(component, prop), State(query, "data"),
        prevent_initial_call=True,
    )  # fmt: skip


def pick(app: dash.Dash, query: str, view: str, later: bool = False) -> None:
    """Let a view (see layouts.page) follow its fields of the page's query; `later` once the first slots are filled."""
    name = "pickLater" if later else "pick"
    app.clientside_callback(
        ClientsideFunction("vitrine", name), Output(view, "data"), Input(query, "data"), State(view, "data")
    )


def follow(app: dash.Dash, query: str, component: str, prop: str = "value") -> None:
    """Let a control named `<page>-<parameter>` show that parameter when a link changes it."""
    app.clientside_callback(
        ClientsideFunction("vitrine", "follow"), Output(component, prop), Input(query, "data"),
        State(component, prop), prevent_initial_call=True,
    )  # fmt: skip
