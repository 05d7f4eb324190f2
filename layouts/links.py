"""Addresses of the pages, and links that change the page's query in place."""

from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from dash import html

from dashboard.reports.query import to_url


class Path(StrEnum):
    """Where each page lives."""

    OVERVIEW = "/"
    DATA = "/data"
    PERFORMANCE = "/performance"
    INFERENCE = "/inference"
    SERVING = "/serving"


def view_link(path: str, query: Any, children: Any, css: str = "", **changes: Any) -> html.A:
    """A real link to the query with `changes`; inside its own page a plain click loads nothing but the new figures.

    What it takes back (changes to "" or 0) is named in `data-clear`, because it may have been set after the drawing."""
    taken = " ".join(name for name, value in changes.items() if value in ("", 0))
    given = {"data-clear": taken} if taken else {}
    return html.A(children, href=to_url(path, query, **changes), className=f"view-link {css}".strip(), **given)


def base(query: Any) -> dict[str, str]:
    """What a box of view links was drawn for, as an attribute: links inside it change the page's query only in what
    they differ by, because the rest may have changed since."""
    return {"data-base": to_url("", query).removeprefix("?")}


def page_link(path: str, children: Any, css: str = "", **params: Any) -> html.A:
    """A link to another page with these URL parameters, followed without reloading the application."""
    encoded = urlencode({name: value for name, value in params.items() if value != ""})
    return html.A(children, href=f"{path}?{encoded}" if encoded else path, className=f"page-link-in {css}".strip())


def download(table: str, query: Any) -> html.A:
    """A link that downloads the table behind a panel as CSV, every row and digit of it."""
    return html.A(
        "CSV", href=to_url(f"/export/{table}.csv", query), className="btn-quiet chrome", download=f"{table}.csv"
    )
