"""Wires of the Performance page."""

from typing import Any

import dash
from dash import ALL, ClientsideFunction, Input, Output, State

from callbacks import detection_errors, filter_box, run_picker, slice_finder
from dashboard.reports.confusion import MatrixQuery, matrix_report
from dashboard.reports.contrast import ContrastQuery, contrast_report
from dashboard.reports.curves import CurvesQuery, curves_or_reason
from dashboard.reports.performance import PerformanceQuery, error_rows, performance_report
from dashboard.reports.query import from_params
from dashboard.reports.version_verdict import against_before
from dashboard.reports.wrong_selection import WrongSelection, wrong_selection
from dashboard.services import Services
from layouts import contrast, curves, performance, shell
from layouts import run_picker as picker_layout
from layouts import wrong_selection as wrong_layout
from layouts.frozen import freeze
from layouts.performance import Ids

Params = dict[str, Any] | None


def register(app: dash.Dash, services: Services) -> None:
    """Register the page's callbacks."""
    run_picker.register(app, services, Ids.QUERY, Ids.MODEL, Ids.RUN)
    filter_box.register(app, services, "performance", performance.PATH, PerformanceQuery)
    slice_finder.register(app, services, Ids.QUERY)
    detection_errors.register(app, services, Ids.QUERY)
    for view in (Ids.BODY_VIEW, Ids.ROWS_VIEW):
        run_picker.pick(app, Ids.QUERY, view)
    for view in (Ids.CONTRAST_VIEW, Ids.CURVES_VIEW):
        run_picker.pick(app, Ids.QUERY, view, later=True)
    app.clientside_callback(
        ClientsideFunction("vitrine", "heatmapCell"),
        Input({"type": Ids.HEATMAP, "index": ALL}, "clickData"),
        State({"type": Ids.HEATMAP, "index": ALL}, "figure"),
        State(Ids.QUERY, "data"),
    )

    @app.callback(
        Output(Ids.BODY, "children"),
        Input(Ids.BODY_VIEW, "data"),
        Input(shell.Ids.REVISION, "data"),
        State(Ids.QUERY, "data"),
    )
    def show(_view: Params, _revision: int | None, params: Params) -> Any:
        query = from_params(PerformanceQuery, params or {})
        if not query.run:
            return picker_layout.waiting(services.runs.state())
        if wrong := _wrong(services, query):
            return freeze(wrong_layout.render(wrong, performance.PATH, query))
        report = performance_report(services, query)
        matrix = matrix_report(services, from_params(MatrixQuery, params or {})) if report.confusion else None
        return freeze(performance.render(report, query, matrix))

    @app.callback(Output(Ids.AGAINST, "children"), Input(picker_layout.view_of(Ids.RUN), "data"))
    def show_verdict(view: Params) -> Any:
        run = str((view or {}).get("run") or "")
        return freeze(performance.render_against(against_before(services, run))) if run else None

    @app.callback(Output(Ids.ROWS, "children"), Input(Ids.ROWS_VIEW, "data"), State(Ids.QUERY, "data"))
    def show_rows(_view: Params, params: Params) -> Any:
        query = from_params(PerformanceQuery, params or {})
        if not query.run or not (query.label or query.predicted or query.open) or _wrong(services, query):
            return None
        return freeze(performance.render_rows(error_rows(services, query), query))

    @app.callback(Output(Ids.CONTRAST, "children"), Input(Ids.CONTRAST_VIEW, "data"), State(Ids.QUERY, "data"))
    def show_contrast(_view: Params, params: Params) -> Any:
        query = from_params(PerformanceQuery, params or {})
        if not query.run or _wrong(services, query):
            return None
        report = contrast_report(services, from_params(ContrastQuery, params or {}))
        return freeze(contrast.render(report, performance.PATH, query))

    @app.callback(Output(Ids.CURVES, "children"), Input(Ids.CURVES_VIEW, "data"), State(Ids.QUERY, "data"))
    def show_curves(_view: Params, params: Params) -> Any:
        query = from_params(PerformanceQuery, params or {})
        if not query.run or _wrong(services, query):
            return None
        report = curves_or_reason(services, from_params(CurvesQuery, params or {}))
        return freeze(curves.render(report, performance.PATH, query))


def _wrong(services: Services, query: PerformanceQuery) -> WrongSelection | None:
    """What of the page's filter and slice cannot be used: told once, by the body."""
    return wrong_selection(services, query.run, query.filter, query.slice)
