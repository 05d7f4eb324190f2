"""The small editor of column roles on the Data page: what each column is read as, to be corrected and undone."""

from enum import StrEnum
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from dashboard.reports.column_roles import ROLES, TASKS, ColumnRoles
from layouts import formats, rights

HIDDEN = "d-none"
_NAMES = {"label": "Label (truth)", "prediction": "Prediction", "score": "Score of the positive class", "id": "Row id"}
_SHOWN = {"multilabel": "several classes per row"}


class Ids(StrEnum):
    """Ids of the editor; `CHANGED` tells the page that the run is read anew."""

    SECTION = "data-roles"
    TASK = "data-roles-task"
    APPLY = "data-roles-apply"
    UNDO = "data-roles-undo"
    TOLD = "data-roles-told"
    CHANGED = "data-roles-changed"


def select_id(role: str) -> str:
    """The id of a role's select."""
    return f"{Ids.SECTION}-{role}"


def section() -> html.Details:
    """The closed editor; hidden until a run with a table is shown."""
    fields = [_field("Task", Ids.TASK, [{"label": _SHOWN.get(task, task), "value": task} for task in TASKS])]
    fields += [_field(_NAMES.get(role, role.capitalize()), select_id(role), []) for role in ROLES]
    buttons = [
        html.Button("Apply", id=Ids.APPLY, className="btn btn-primary btn-sm", disabled=rights.off()),
        html.Button("Undo correction", id=Ids.UNDO, className="btn-quiet", disabled=True),
        html.Span(id=Ids.TOLD, className="card-note", role="status"),
        rights.why("correct how columns are read"),
    ]
    note = html.P(
        "A correction is remembered with the run and used on every page and in the API; the run itself stays as it is.",
        className="card-note",
    )
    body = [note, html.Div(fields, className="role-fields"), html.Div(buttons, className="toolbar mt-2")]
    box = html.Div(body, className="card-box mt-2")
    children = [html.Summary("Columns are read wrongly?"), box, dcc.Store(id=Ids.CHANGED)]
    return html.Details(children, id=Ids.SECTION, className=HIDDEN)


def _field(name: str, select: str, options: list[dict[str, str]]) -> html.Div:
    made = dbc.Select(id=select, options=options, size="sm")
    return html.Div([html.Label(name, htmlFor=select, className="field-label"), made])


def options(found: ColumnRoles) -> list[dict[str, str]]:
    """What a role's select offers."""
    return [{"label": "(none)", "value": ""}, *({"label": name, "value": name} for name in found.columns)]


def state(found: ColumnRoles) -> tuple[Any, ...]:
    """The editor's class, task, whether there is nothing to undo, and what is told of a correction."""
    told = ""
    if found.changed is not None:
        told = f"Corrected {formats.since(found.changed)}" + (f" by {found.author}" if found.author else "") + "."
    return "roles mb-3 chrome" if found.columns else HIDDEN, found.task, found.changed is None or rights.off(), told
