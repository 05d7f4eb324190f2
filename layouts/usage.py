"""The card that takes one prediction elsewhere: code to copy, the report, the input."""

from enum import StrEnum
from typing import Any

from dash import html

from dashboard.reports.usage import Usage
from layouts import parts


class Ids(StrEnum):
    """Ids of this card."""

    BODY = "usage-body"


def build() -> html.Div:
    """The empty card, out of sight until there is an input."""
    note = "Ready code for exactly this input and model, and a report of this prediction as one file."
    card = parts.card("Use it elsewhere", html.Div(id=Ids.BODY), note)
    return html.Div(card, className="span-12 usage-card")


def render(usage: Usage | None) -> Any:
    """Links and code."""
    if usage is None:
        return None
    links = [
        html.A("Report (HTML)", href=usage.report, className="btn-quiet", target="_blank", rel="noopener"),
        html.A("Input", href=usage.input, className="btn-quiet", download=""),
        html.Span(usage.kept, className="card-note"),
    ]
    code = [_code(language, text) for language, text in usage.code.items()]
    hint = html.P("Where people sign in, the request needs the same credentials as the page.", className="card-note")
    return html.Div([html.Div(links, className="toolbar mb-2"), *code, hint])


def _code(language: str, text: str) -> html.Details:
    copy = html.Button(
        "Copy", className="btn-quiet copy-code", type="button", **{"aria-label": f"Copy {language} code"}
    )
    body = html.Div([html.Pre(text, className="mono raw", tabIndex=0), copy], className="code-box")
    return html.Details([html.Summary(language), body], className="mb-2")
