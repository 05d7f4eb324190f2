"""Wires of the Data page."""

from typing import Any

import dash
from dash import Input, Output

from callbacks import column_roles, filter_box, run_picker
from dashboard.reports.data import DataQuery, data_report, row_page
from dashboard.reports.query import from_params
from dashboard.reports.wrong_selection import wrong_selection
from dashboard.services import Services
from layouts import data, shell
from layouts import run_picker as picker_layout
from layouts import wrong_selection as wrong_layout
from layouts.column_roles import Ids as Roles
from layouts.data import Ids
from layouts.frozen import freeze


def register(app: dash.Dash, services: Services) -> None:
    """Register the page's callbacks."""
    run_picker.register(app, services, Ids.QUERY, Ids.MODEL, Ids.RUN)
    filter_box.register(app, services, "data", data.PATH, DataQuery)
    column_roles.register(app, services, Ids.QUERY)

    @app.callback(Output(Ids.BODY, "children"), Input(Ids.QUERY, "data"), Input(shell.Ids.REVISION, "data"))
    def show(params: dict[str, Any] | None, _revision: int | None) -> Any:
        query = from_params(DataQuery, params or {})
        if not query.run:
            return picker_layout.waiting(services.runs.state())
        if wrong := wrong_selection(services, query.run, query.filter, query.slice):
            return freeze(wrong_layout.render(wrong, data.PATH, query))
        return freeze(data.render(data_report(services, query), query))

    @app.callback(Output(Ids.ROWS, "children"), Input(Ids.QUERY, "data"), Input(Roles.CHANGED, "data"))
    def show_rows(params: dict[str, Any] | None, _changed: Any) -> Any:
        query = from_params(DataQuery, params or {})
        if not query.run or wrong_selection(services, query.run, query.filter, query.slice):
            return None
        image_column = services.predictions.evaluation(query.run).roles.image
        return freeze(data.render_rows(row_page(services, query), query, image_column))
