"""Wires of the frame: navigation, index revision, store state, theme."""

from collections.abc import Sequence
from typing import Any

import dash
from dash import ClientsideFunction, Input, Output, State

from dashboard.services import Services
from layouts import shell
from layouts.shell import Ids


def register(app: dash.Dash, services: Services, pages: Sequence[Any]) -> None:
    """Register the frame's callbacks; pages react to the REVISION store."""
    ids = [shell.link_id(index) for index in range(len(pages))]
    app.clientside_callback(
        ClientsideFunction("vitrine", "nav"),
        [Output(i, "href") for i in ids] + [Output(i, "aria-current") for i in ids],
        Input(Ids.URL, "pathname"),
        Input(Ids.RUN, "data"),
        State(Ids.HREFS, "data"),
    )
    app.clientside_callback(
        ClientsideFunction("vitrine", "theme"), Output(Ids.THEME, "children"), Input(Ids.THEME, "n_clicks")
    )

    app.clientside_callback(
        ClientsideFunction("vitrine", "revise"),
        Output(Ids.REVISION, "data"),
        Input(Ids.SEEN, "data"),
        State(Ids.REVISION, "data"),
    )

    @app.callback(Output(Ids.SEEN, "data"), Output(Ids.STORE, "children"), Input(Ids.TICK, "n_intervals"))
    def watch(_ticks: int) -> tuple[Any, Any]:
        state = services.runs.state()
        return state.revision, shell.render_store(state)
