"""Wires of several versions at once: the choice follows the run, the asking runs in the background and streams."""

from typing import Any

import dash
from dash import Input, Output, State

from callbacks.background import background_job
from callbacks.run_picker import control
from dashboard.reports.query import from_params
from dashboard.reports.version_choice import VersionsQuery, chosen_versions, version_choices
from dashboard.reports.versions import ask_versions, versions_found
from dashboard.services import Services
from layouts import versions
from layouts.frozen import freeze
from layouts.versions import Ids

Params = dict[str, Any] | None


def register(app: dash.Dash, services: Services, store: str, later: str) -> None:
    """Connect the card to the page's query store `store`, and what it shows to `later`, which follows it."""
    control(app, store, Ids.CHOICE)
    _register_work(app, services, store)

    # in one answer, because a dropdown throws away values that its options do not have yet
    @app.callback(
        Output(Ids.CARD, "className"),
        Output(Ids.CHOICE, "options"),
        Output(Ids.CHOICE, "placeholder"),
        Output(Ids.CHOICE, "value"),
        Input(later, "data"),
        State(Ids.CHOICE, "value"),
    )
    def offer(params: Params, shown: list[str] | None) -> tuple[Any, ...]:
        query = from_params(VersionsQuery, params or {})
        rows = version_choices(services, query.run)
        usual = chosen_versions(services, VersionsQuery(query.run)) if len(rows) > 1 else ()
        value = dash.no_update if query.named == (shown or []) else query.named
        return versions.SHOWN if usual else versions.HIDDEN, versions.options(rows), versions.placeholder(usual), value

    @app.callback(Output(Ids.RESULT, "children"), Output(Ids.RUN, "disabled"), Input(later, "data"))
    def recall(params: Params) -> tuple[Any, bool]:
        query = from_params(VersionsQuery, params or {})
        found = versions_found(services, query)
        return freeze(versions.render(found)) if found else None, not query.asks


def _register_work(app: dash.Dash, services: Services, store: str) -> None:
    """The job; another question ends it too."""
    shown = [Output(Ids.PROGRESS, "value"), Output(Ids.PROGRESS, "max"), Output(Ids.DONE, "children")]
    answers = Output(Ids.RESULT, "children", allow_duplicate=True)
    job = background_job(Ids.RUN, Ids.CANCEL, Ids.ASK, versions.ASK, [*shown, answers], interval=150)

    @app.callback(
        Output(Ids.RESULT, "children", allow_duplicate=True),
        Input(Ids.RUN, "n_clicks"),
        State(store, "data"),
        **job | {"cancel": [*job["cancel"], Input(store, "data")]},
    )
    def work(set_progress: Any, _clicks: int, params: dict[str, Any]) -> Any:
        query = from_params(VersionsQuery, params)
        report = ask_versions(services, query, lambda now: set_progress(versions.progress(now)))
        return freeze(versions.render(report))
