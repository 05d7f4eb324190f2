"""Wires of the Overview page."""

from typing import Any

import dash
from dash import ClientsideFunction, Input, Output, State

from callbacks import run_picker
from dashboard.reports.overview import OverviewQuery, overview_report
from dashboard.reports.query import from_params
from dashboard.services import Services
from layouts import overview, shell
from layouts.frozen import freeze
from layouts.overview import Ids


def register(app: dash.Dash, services: Services) -> None:
    """Register the page's callbacks."""
    run_picker.mirror(app, Ids.QUERY)
    run_picker.control(app, Ids.QUERY, Ids.SEARCH)

    app.clientside_callback(ClientsideFunction("vitrine", "again"), Input(Ids.PENDING, "data"), State(Ids.AGAIN, "id"))

    @app.callback(
        Output(Ids.BODY, "children"),
        Output(Ids.PENDING, "data"),
        Input(Ids.QUERY, "data"),
        Input(shell.Ids.REVISION, "data"),
        Input(Ids.AGAIN, "data"),
    )
    def show(params: dict[str, Any] | None, _revision: int | None, _again: int | None) -> tuple[Any, int]:
        report = overview_report(services, from_params(OverviewQuery, params or {}))
        return freeze(overview.render(report)), report.pending
