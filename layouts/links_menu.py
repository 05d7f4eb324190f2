"""Small menus of links: one line when closed, a list of views of the page when open."""

from collections.abc import Mapping
from typing import Any

from dash import html

from layouts import formats
from layouts.links import view_link


def menu(path: str, query: Any, label: str, parameter: str, options: Mapping[str, str], default: str = "") -> Any:
    """A menu that sets `parameter` of the page's query; `options` maps value to text, `default` is left out of URLs."""
    chosen = getattr(query, parameter) or default
    links = []
    for value, text in options.items():
        link = view_link(path, query, text, "menu-item", **{parameter: "" if value == default else value})
        setattr(link, "aria-current", "true" if value == chosen else "false")
        links.append(link)
    shown = formats.short(options.get(chosen, chosen), 28)
    summary = html.Summary([html.Span(label, className="muted"), " ", shown], className="chip")
    return html.Details([summary, html.Div(links, className="menu-list")], className="menu")


def switch(path: str, query: Any, text: str, parameter: str) -> html.A:
    """A link that turns a parameter on or off."""
    on = bool(getattr(query, parameter))
    link = view_link(path, query, text, "chip", **{parameter: "" if on else "1"})
    setattr(link, "aria-current", "true" if on else "false")
    return link
