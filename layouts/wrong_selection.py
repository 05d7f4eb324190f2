"""What a page shows for a filter or slice that cannot be used: the reason, the way back, and the slices there are."""

from typing import Any

from dash import html

from dashboard.reports.wrong_selection import WrongSelection
from layouts import formats, run_picker
from layouts.links import base, view_link


def render(found: WrongSelection, path: str, query: Any) -> html.Div:
    """One message for the whole page; every link of it leads to a view that works."""
    way = view_link(path, query, f"Remove the {found.parameter}", **{found.parameter: ""}, offset=0)
    title = html.B(f"This {found.parameter} cannot be used")
    told = html.Div([title, found.reason, " ", way], className="notice error", role="alert")
    return html.Div([run_picker.facts(found.run), _chips(found, path, query), told], **base(query))


def _chips(found: WrongSelection, path: str, query: Any) -> html.Div | None:
    """The slices to choose instead; a wrong filter goes with the choice."""
    if not found.slices:
        return None
    kept = {"offset": 0} | ({"filter": ""} if found.parameter == "filter" else {})
    choices = {"All rows": "", **{formats.slice_name(name): name for name in found.slices}}
    links = [view_link(path, query, text, "chip", slice=name, **kept) for text, name in choices.items()]
    return html.Div([html.Span("Slice", className="field-label"), *links], className="toolbar mb-3 chrome")
