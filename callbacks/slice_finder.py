"""Wires of the discovered slices: what is known is shown at once, what is not is searched in the background."""

from typing import Any

import dash
from dash import ClientsideFunction, Input, Output, State

from callbacks import run_picker
from callbacks.background import background_job
from dashboard.reports.performance import PerformanceQuery
from dashboard.reports.query import from_params
from dashboard.reports.slice_finder import Search, find_weak_slices, search_of
from dashboard.services import Services
from layouts import shell, slice_finder
from layouts.slice_finder import Ids

Params = dict[str, Any] | None


def register(app: dash.Dash, services: Services, store: str) -> None:
    """Connect the card to the page's query store `store`."""
    run_picker.pick(app, store, Ids.VIEW)

    @app.callback(
        Output(Ids.SECTION, "className"),
        Output(Ids.ABOUT, "children"),
        Output(Ids.RUN, "children"),
        Output(Ids.RESULT, "children"),
        Input(Ids.VIEW, "data"),
        Input(Ids.FINISHED, "data"),
        State(store, "data"),
    )
    def show(_view: Params, _finished: Any, params: Params) -> tuple[Any, ...]:
        query = from_params(PerformanceQuery, params or {})
        search = search_of(services, query.run) if query.run else Search(False)
        if not search.possible:
            return slice_finder.HIDDEN, "", slice_finder.FIND, None
        return (
            "mt-3",
            slice_finder.about(search),
            slice_finder.button(search),
            slice_finder.render(search.found, query),
        )

    @app.callback(
        Output(Ids.FINISHED, "data"),
        Input(Ids.RUN, "n_clicks"),
        State(store, "data"),
        **background_job(
            Ids.RUN,
            Ids.CANCEL,
            Ids.ASK,
            slice_finder.ASK,
            [Output(Ids.PROGRESS, "value"), Output(Ids.DONE, "children")],
        ),
    )
    def search(set_progress: Any, _clicks: int, params: dict[str, Any]) -> Any:
        query = from_params(PerformanceQuery, params)
        known = search_of(services, query.run).found is not None  # then the button was pressed to look once more

        def tell(share: float, words: str) -> None:
            set_progress(slice_finder.progress(share, words))

        find_weak_slices(services, query.run, tell, again=known)
        return {"run": query.run}

    # the page is asked anew, because the job may have found slices for its tables as well
    app.clientside_callback(
        ClientsideFunction("filterBox", "again"), Input(Ids.FINISHED, "data"), State(shell.Ids.REVISION, "data"),
        prevent_initial_call=True,
    )  # fmt: skip
