"""The frame around every page: navigation, store state, theme switch, notices."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import dash
from dash import dcc, html

from dashboard.settings import Settings
from layouts import formats, parts
from layouts.links import Path, page_link
from mlflow_runs.records import StoreState

_TICK_MS = 1500


class Ids(StrEnum):
    """Ids of the frame. RUN is the run the open page shows; REVISION changes whenever the run index changes (SEEN) and
    nothing on the page is loading: Dash drops an answer under way when its question is asked again."""

    URL = "shell-url"
    TICK = "shell-tick"
    SEEN = "shell-seen"
    REVISION = "shell-revision"
    RUN = "shell-run"
    HREFS = "shell-hrefs"
    STORE = "shell-store"
    THEME = "shell-theme"
    NOTICES = "shell-notices"


def link_id(index: int) -> str:
    """Id of the navigation link of the page at `index`."""
    return f"shell-link-{index}"


def build(settings: Settings, pages: Sequence[Any]) -> html.Div:
    """The frame without content; `pages` have name and path."""
    links = [html.A(page.name, href=page.path, id=link_id(i), className="page-link-in") for i, page in enumerate(pages)]
    state = [
        dcc.Location(id=Ids.URL, refresh=False),
        dcc.Interval(id=Ids.TICK, interval=_TICK_MS),
        dcc.Store(id=Ids.SEEN),
        dcc.Store(id=Ids.REVISION),
        dcc.Store(id=Ids.RUN),
        dcc.Store(id=Ids.HREFS, data=[page.path for page in pages]),
    ]
    return html.Div(
        [
            *state,
            html.A("Skip to content", href="#content", className="skip-link"),
            _top_bar(settings.title, links),
            html.Main(dash.page_container, id="content", tabIndex=-1),
            html.Div("Intervals are 95%. Times are UTC.", className="page-footer"),
            html.Div(id=Ids.NOTICES, className="notices", **{"aria-live": "polite"}),
        ]
    )


def _top_bar(title: str, links: list[html.A]) -> html.Header:
    brand = html.A([html.Span(className="brand-mark"), title], href="/", className="brand page-link-in")
    switch = html.Button("Theme: auto", id=Ids.THEME, className="theme-switch", n_clicks=0, type="button")
    return html.Header(
        [
            brand,
            html.Nav(links, className="nav-links", **{"aria-label": "Pages"}),
            html.Div(id=Ids.STORE, className="store-state", role="status"),
            switch,
        ],
        className="topbar",
    )


def render_store(state: StoreState) -> list[Any]:
    """The store's state in a few words; the full address and reason in the tooltip."""
    if state.reachable:
        text = f"{formats.plural(state.runs, 'run')}, synced {formats.since(state.synced_at)}"
        return [html.Span(className="dot"), html.Span(text, title=state.uri)]
    if state.synced_at is None:
        words = "store not reachable" if state.message else "connecting to the store …"
        return [html.Span(className="dot bad"), html.Span(words, title=state.message or state.uri)]
    text = f"store not reachable, figures from {formats.since(state.synced_at)}"
    return [html.Span(className="dot bad"), html.Span(text, title=state.message or state.uri)]


def nowhere(**_query: str) -> html.Div:
    """What stands at an address without a page, and the way on."""
    text = ["The pages stand in the bar above; ", page_link(Path.OVERVIEW, "the Overview"), " shows every model."]
    return parts.empty("There is no page at this address", text)


def notice(title: str, text: str) -> html.Div:
    """How an error is shown in place of a result."""
    return parts.notice(title, text)
