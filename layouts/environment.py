"""The Serving page's card about a model's requirements: what is not met here, and the environment of its own."""

from typing import Any

from dash import html

from dashboard.reports.environment import ModelNeeds
from layouts import engine_race, formats, parts

_MANY = 12


def render(found: ModelNeeds) -> Any:
    """What the model asks for and what serves it."""
    if found.reason:
        return parts.empty("Nothing to check", found.reason)
    if found.elsewhere:
        text = f"This model is asked at {found.elsewhere}; what it needs is that server's business."
        return parts.notice("Served elsewhere. ", text, "info")
    return html.Div([_verdict(found), _unmet(found), _environment(found), _failed(found)])


def _verdict(found: ModelNeeds) -> Any:
    if not found.unmet:
        return html.P("Every logged requirement of this model is met here.", className="mb-0")
    where = (
        "its own environment" if found.environment else "the engine's packages, which are not what it was logged with"
    )
    return html.P(["It is served with ", html.B(where), "."], className="mb-2")


def _unmet(found: ModelNeeds) -> Any:
    if not found.unmet:
        return None
    rows = [_row(line) for line in found.unmet[:_MANY]]
    more = f"and {len(found.unmet) - _MANY} more" if len(found.unmet) > _MANY else ""
    table = parts.table(("Required", "In the engine"), rows, (), "Requirements that the engine's packages do not meet")
    return html.Div([table, html.P(more, className="card-note") if more else None])


def _row(line: str) -> list[Any]:
    wanted, _, here = line.partition(" (")
    return [html.Td(wanted, className="cell-text mono"), here.removesuffix(")").removesuffix(" is installed")]


def _environment(found: ModelNeeds) -> Any:
    made = found.environment
    if made is None:
        if found.unmet and not found.buildable:
            text = "Another MLflow alone is no reason for an environment of its own: newer ones read older models."
            return html.P(text, className="card-note mt-2")
        return None
    facts = [
        parts.fact("Environment", "in use" if found.serving else "ready, started when asked for"),
        parts.fact("Packages of its own", formats.count(len(made.installed))),
        parts.fact("Size", engine_race.size(made.bytes)),
        parts.fact("Built", f"{formats.since(made.made)}, in {made.seconds:.0f} s"),
    ]
    return html.Div(
        [html.Div(facts, className="stat-row mt-2"), html.P(", ".join(made.installed), className="card-note")]
    )


def _failed(found: ModelNeeds) -> Any:
    if not found.failed:
        return None
    text = "\n".join(found.failed)
    return html.Details([html.Summary("The last build did not finish"), html.Pre(text, className="mono")], open=True)
