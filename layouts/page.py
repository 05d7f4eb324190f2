"""The frame of one page: its query store, title with the question it answers, and its body."""

from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from dashboard.access.users import current_user
from layouts import parts


def build(query_id: str, params: dict[str, Any], title: str, question: str, tools: Any, *body: Any) -> html.Div:
    """A page's empty tree; links of class view-link inside it write to the store `query_id`."""
    head = html.Div(
        [html.Div([html.H1(title), html.P(question, className="question")], className="page-title"), tools],
        className="page-head",
    )
    told = html.Div(id=missing(query_id), className="missing-run")
    user = current_user()
    marks = {"data-query-store": query_id} | ({} if user.edits else {"data-refused": user.refused("make embed codes")})
    return html.Div([dcc.Store(id=query_id, data=params), head, told, *body], **marks)


def missing(query_id: str) -> str:
    """The id of the place that says that the run asked for is not there; while it does, it hides the page's body."""
    return f"{query_id}-missing"


def slot(slot_id: str, *heights: int, first: bool = False) -> html.Div:
    """A place that a callback fills; grey blocks until then. Views that come later wait for those filled first (see
    vitrine.pickLater)."""
    css = {"className": "slot-first"} if first else {}
    return html.Div(parts.skeleton(*heights) if heights else None, id=slot_id, **css)


def view(view_id: str, fields: Sequence[str]) -> dcc.Store:
    """A store that follows some fields of the page's query, so that a slot waits for those only (see vitrine.pick)."""
    return dcc.Store(id=view_id, data={"fields": list(fields), "fresh": True})
