"""The filter of a page: typed with completion, built by clicks, saved as a slice for every run of the model."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from dash import dcc, html

from dashboard.access.users import current_user
from dashboard.reports.filter_words import Word
from dashboard.state import SavedSlice
from layouts import formats, rights
from layouts.links import base, view_link

_HINT = "Filter rows, for example: age BETWEEN 40 AND 60 AND region = 'north'"


@dataclass(frozen=True)
class Ids:
    """Ids of the box on one page, `<page>-<field>`; `filter` is a control of the page's query."""

    query: str
    filter: str
    words: str
    column: str
    operator: str
    value: str
    values: str
    add: str
    add_problem: str
    name: str
    description: str
    author: str
    save: str
    told: str
    saved: str
    changed: str
    drop_slice: str

    def drop(self, name: Any) -> dict[str, Any]:
        """The button that deletes a saved slice."""
        return {"type": self.drop_slice, "name": name}


def ids_of(page: str) -> Ids:
    """The ids of a page's box."""
    return Ids(**{field.name: f"{page}-{field.name.replace('_', '-')}" for field in fields(Ids)})


def build(page: str, value: str) -> html.Div:
    """The box of a page whose filter is `value`; what it offers is filled in once a run is chosen."""
    ids = ids_of(page)
    box = dcc.Input(
        id=ids.filter, value=value, placeholder=_HINT, debounce=True, className="form-control mono", autoComplete="off"
    )
    typed = html.Div([html.Label("Filter", htmlFor=ids.filter), box], className="field filter-field")
    summary = html.Summary("Build by clicks, or save as a slice")
    tools = html.Details(
        [summary, _builder(ids), _saver(ids), html.Div(id=ids.saved), dcc.Store(id=ids.changed)],
        className="filter-tools",
    )
    words = html.Div(id=ids.words, hidden=True, **{"data-words": "[]"})
    return html.Div([typed, tools, words], className="filter-box mb-3 chrome")


def _builder(ids: Ids) -> html.Div:
    """Column, operator, value."""
    column = dcc.Dropdown(id=ids.column, options=[], placeholder="Column", clearable=False, searchable=True)
    operator = dcc.Dropdown(id=ids.operator, options=[], placeholder="Operator", clearable=False, searchable=False)
    value = dcc.Input(id=ids.value, list=ids.values, className="form-control", autoComplete="off")
    return html.Div(
        [
            _field("Column", ids.column, column),
            _field("Operator", ids.operator, operator),
            _field("Value", ids.value, html.Div([value, html.Datalist(id=ids.values)])),
            html.Button("Add to the filter", id=ids.add, n_clicks=0, className="btn-quiet"),
            html.Span(id=ids.add_problem, className="small problem", role="status"),
        ],
        className="filter-row",
    )


def _saver(ids: Ids) -> html.Div:
    """Name, description, and the author where nobody signs in."""
    off, user = rights.off(), current_user()
    author = dcc.Input(id=ids.author, className="form-control", persistence=True, persistence_type="local")
    name = dcc.Input(id=ids.name, className="form-control", maxLength=200, disabled=off)
    description = dcc.Input(id=ids.description, className="form-control", disabled=off)
    return html.Div(
        [
            _field("Name of the slice", ids.name, name),
            _field("Description", ids.description, description),
            html.Div(_field("Saved by", ids.author, author), hidden=bool(user.name) or off),
            html.Button("Save as slice", id=ids.save, n_clicks=0, disabled=off, className="btn-quiet"),
            rights.why("save slices"),
            html.Div(id=ids.told, className="small told", **{"aria-live": "polite"}),
        ],
        className="filter-row",
    )


def _field(label: str, component_id: str, control: Any) -> html.Div:
    return html.Div([html.Label(label, htmlFor=component_id), control], className="field")


def words(found: Sequence[Word]) -> str:
    """The columns and values that completion offers, as JSON for the browser."""
    return json.dumps([asdict(word) for word in found])


def column_options(found: Sequence[Word]) -> list[dict[str, str]]:
    """The options of the column picker."""
    return [{"label": word.name, "value": word.name} for word in found]


def told(name: str, model: str) -> html.Span:
    """That a slice was saved."""
    return html.Span([html.B(name), f" is now a slice of every run of {model}."])


def render_saved(saved: Sequence[SavedSlice], ids: Ids, path: str, query: Any) -> Any:
    """The model's saved slices, each with a way to open and to delete it."""
    if not saved:
        return None
    lines = [_saved(item, ids, path, query) for item in saved]
    head = html.Div("Saved for this model", className="field-label")
    return html.Div([head, html.Ul(lines, className="saved-slices")], className="mt-2", **base(query))


def _saved(item: SavedSlice, ids: Ids, path: str, query: Any) -> html.Li:
    opened = view_link(path, query, item.name, slice=item.name, filter="", offset=0)
    who = f"{item.author}, {formats.since(item.created)}" if item.author else formats.since(item.created)
    drop = html.Button("Delete", id=ids.drop(item.name), n_clicks=0, className="btn-quiet")
    drop.children = ["Delete", html.Span(f" the slice {item.name}", className="visually-hidden")]
    notes = " · ".join(text for text in (item.description, who) if text)
    told = [opened, html.Span(item.filter, className="mono"), html.Span(notes, className="card-note")]
    return html.Li(told if rights.off() else [*told, drop])
