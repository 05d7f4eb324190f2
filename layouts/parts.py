"""Building blocks of every page: cards, figures with intervals, verdicts, tables, empty and failed states."""

import math
from collections.abc import Sequence
from typing import Any

from dash import html

from dashboard.metrics.estimate import Estimate, Verdict
from layouts import formats
from mlflow_runs.records import Problem

_NARROW = 0.02  # half the width of an interval of shares within which two figures may be called the same
_SIGNS = {"better": "▲", "worse": "▼", "same": "=", "too few rows": "?"}


def card(
    title: str, children: Any, note: Any = None, span: int = 12, tools: Any = None, panel: str = ""
) -> html.Section:
    """A titled box; `note` says in one line what the figures are made of, `tools` stand at the right. `panel` is the
    name by which it can be embedded, by default its title; boxes of one name are one panel."""
    name = panel or slug(title)
    head = [html.Div([html.H2(title), html.P(note, className="card-note") if note else None])]
    head.append(html.Div([share(title), tools], className="card-tools"))
    box = [html.Div(head, className="card-head"), children]
    return html.Section(box, className=f"card-box span-{span}", **{"data-panel": name})


def opens(words: str) -> html.Span:
    """What a click does, said where it does so: not in an embedded panel, which shows no rows."""
    return html.Span(words, className="opens")


def slug(title: str) -> str:
    """A title as a name for addresses."""
    return "-".join("".join(sign if sign.isalnum() else " " for sign in title.lower()).split())[:80] or "panel"


def share(title: str) -> html.Button:
    """The button that offers a panel's link and its embed code (see assets/embed.js)."""
    spoken = {"aria-label": f"Share {title}", "title": "Share this panel"}
    return html.Button("Share", className="btn-quiet chrome share-panel", type="button", **spoken)


def empty(title: Any, text: Any) -> html.Div:
    """Why there is nothing to see, and the next step."""
    return html.Div([html.H2(title), html.P(text, className="mb-0")], className="empty")


def notice(title: str, text: str, kind: str = "error") -> html.Div:
    """A sentence the user should read; `kind` is "error" or "info"."""
    return html.Div([html.B(title), text], className=f"notice {kind}", role="alert" if kind == "error" else "status")


def problems(found: Sequence[Problem]) -> html.Div | None:
    """What of a run could not be read, artifact by artifact."""
    if not found:
        return None
    lines = [html.Li([html.Span(p.artifact, className="mono"), ": ", p.reason]) for p in found]
    return html.Div(
        [html.B("Part of this run could not be read"), html.Ul(lines, className="mb-0")], className="notice"
    )


def skeleton(*heights: int) -> html.Div:
    """Grey blocks in the places where content will appear."""
    blocks = [html.Div(className="skeleton", style={"height": height, "marginBottom": 16}) for height in heights]
    return html.Div(blocks, role="status", **{"aria-busy": "true", "aria-label": "Loading"})


def pill(text: str, kind: str = "") -> html.Span:
    """A small word in a soft colour."""
    return html.Span(text, className=f"pill {kind}".strip())


def verdict_pill(verdict: Verdict) -> html.Span:
    """The verdict as a sign and a word. Where an interval around 0 is wide, "same" would say more than is known."""
    kind = "few" if verdict.word == "too few rows" else verdict.word
    word = {"too few rows": "too few rows to tell"}.get(verdict.word, verdict.word)
    if verdict.word == "same" and verdict.detectable > _NARROW:
        word = "no clear difference"
    return html.Span([html.Span(_SIGNS[verdict.word], **{"aria-hidden": "true"}), word], className=f"pill {kind}")


def verdict_text(verdict: Verdict, versions: bool = True) -> str:
    """Difference with interval and rows; between versions also how the rows were matched. Too few rows have none."""
    if verdict.word == "too few rows":
        return f"n = {formats.count(verdict.n)}"
    how = (" paired" if verdict.paired else " not paired") if versions else ""
    difference = formats.difference(verdict.difference, verdict.low, verdict.high)
    return f"{difference}, n = {formats.count(verdict.n)}{how}"


def stat(name: str, estimate: Estimate) -> html.Div:
    """One overall figure with its interval."""
    return html.Div(
        [
            html.Span(name, className="stat-name"),
            html.Span(formats.number(estimate.value), className="stat-value"),
            html.Span(_range_text(estimate), className="stat-range"),
        ],
        className="stat",
    )


def headline(name: str, estimate: Estimate) -> html.Div:
    """The one large figure of a page."""
    return html.Div(
        [
            html.Span(name, className="stat-name"),
            html.Div(formats.number(estimate.value), className="headline"),
            html.Span(_range_text(estimate), className="stat-range"),
        ]
    )


def fact(name: str, value: Any) -> html.Div:
    """One plain count with its name."""
    return html.Div(
        [html.Span(name, className="stat-name"), html.Span(value, className="stat-value")], className="stat"
    )


def _range_text(estimate: Estimate) -> str:
    if estimate.too_few:
        return f"too few rows (n = {estimate.n})"
    return formats.span(estimate.low, estimate.high)


def estimate_cell(estimate: Estimate) -> Any:
    """A share between 0 and 1 as number and bar with its interval; words where the rows are too few."""
    if estimate.too_few:
        return html.Span("too few rows", className="pill few", title=f"value {formats.number(estimate.value)}")
    spoken = f"{formats.number(estimate.value)}, 95% interval {formats.span(estimate.low, estimate.high) or 'unknown'}"
    value = "undefined" if estimate.undefined else formats.number(estimate.value)
    return html.Div(
        [html.Span(value, className="value"), _bar(estimate)], className="estimate", title=spoken, role="img",
        **{"aria-label": spoken},
    )  # fmt: skip


def _bar(estimate: Estimate) -> html.Div:
    if not 0 <= estimate.value <= 1:
        return html.Div()
    parts = [html.I(className="fill", style={"width": f"{100 * estimate.value:.1f}%"})]
    if math.isfinite(estimate.low) and math.isfinite(estimate.high):
        low, high = max(0.0, estimate.low), min(1.0, estimate.high)
        place = {"left": f"{100 * low:.1f}%", "width": f"{100 * (high - low):.1f}%"}
        parts.append(html.I(className="range", style=place))
    parts.append(html.I(className="tick", style={"left": f"{100 * estimate.value:.1f}%"}))
    return html.Div(parts, className="bar")


def share_bar(share: float) -> html.Div:
    """A plain share between 0 and 1 as a bar."""
    return html.Div(html.I(style={"width": f"{100 * min(1.0, max(0.0, share)):.1f}%"}), className="share")


def table(
    heads: Sequence[Any], rows: Sequence[Sequence[Any]], numeric: Sequence[int] = (), caption: str = ""
) -> html.Div:
    """A data table; `numeric` lists the columns that are aligned right. Cells may be components or html.Td."""
    kind = ["num" if position in numeric else None for position in range(len(heads))]
    head = html.Thead(html.Tr([_head(cell, kind[i]) for i, cell in enumerate(heads)]))
    body = html.Tbody([html.Tr([_cell(cell, kind[i]) for i, cell in enumerate(row)]) for row in rows])
    title = html.Caption(caption, className="visually-hidden") if caption else None
    scroll = {"tabIndex": 0, "role": "region", "aria-label": caption or "Table"}
    return html.Div(html.Table([title, head, body], className="data"), className="table-scroll", **scroll)


def _head(cell: Any, kind: str | None) -> html.Th:
    return cell if isinstance(cell, html.Th) else html.Th(cell, className=kind, scope="col")


def _cell(cell: Any, kind: str | None) -> html.Td:
    return cell if isinstance(cell, html.Td) else html.Td(cell, className=kind)
