"""The card of discovered slices: a button that searches in the background, and what was found."""

import re
from enum import StrEnum
from typing import Any

from dash import dcc, html

from dashboard.reports.performance import PerformanceQuery
from dashboard.reports.slice_finder import Search, WeakSlice, WeakSlices
from layouts import formats, page, parts
from layouts.links import Path, base, view_link

PATH = Path.PERFORMANCE
ASK = "toolbar job-ask"
FIND = "Find weak slices"
HIDDEN = "d-none"
_DECLARED = re.compile(r'(?:"slice_([^"]+)"|\bslice_(\w+)) = (true|false)')
# measured on two busy cores: 1.5 million rows of 18 columns took 5.5 seconds
_CELLS_PER_SECOND = 4_000_000


class Ids(StrEnum):
    """Ids of this card."""

    SECTION = "finder-section"
    ABOUT = "finder-about"
    ASK = "finder-ask"
    RUN = "finder-run"
    CANCEL = "finder-cancel"
    PROGRESS = "finder-progress"
    DONE = "finder-done"
    RESULT = "finder-result"
    FINISHED = "finder-finished"
    VIEW = "finder-view"


def section() -> html.Div:
    """The empty card, hidden until a run with predictions is chosen."""
    ask = html.Div(
        [
            html.Button(FIND, id=Ids.RUN, n_clicks=0, className="btn btn-primary"),
            html.Button("Cancel", id=Ids.CANCEL, n_clicks=0, disabled=True, className="btn-quiet"),
            html.Progress(id=Ids.PROGRESS, value="0", max="100", **{"aria-label": "Share of the search that is done"}),
            html.Span(id=Ids.DONE, className="card-note figure-number"),
        ],
        id=Ids.ASK,
        className=ASK,
    )
    view = page.view(Ids.VIEW, ("run", "filter"))
    body = html.Div([dcc.Store(id=Ids.FINISHED), view, ask, html.Div(id=Ids.RESULT, **{"aria-live": "polite"})])
    card = parts.card("Discovered slices", body, html.Span(" ", id=Ids.ABOUT))
    return html.Div(card, id=Ids.SECTION, className=HIDDEN)


def button(search: Search) -> str:
    """What the button does: a result can be asked for anew."""
    return "Search again" if search.found is not None and search.looked else FIND


def about(search: Search) -> str:
    """What the search does, or did."""
    if search.found is not None:
        found = search.found
        rate = f"{100 * found.false_discovery:.0f}%"
        return (
            f"{formats.plural(found.tested, 'combination')} of up to two column values tested over all"
            f" {formats.plural(found.n, 'labelled row')}, false discovery {rate}; at least {found.smallest} rows each."
            " What a wider or narrower slice of the list explains is left out."
        )
    seconds = search.rows * max(search.columns, 1) / _CELLS_PER_SECOND
    return (
        f"Tests every combination of up to two column values over all {formats.plural(search.rows, 'row')} and lists"
        f" those that do significantly worse than the others; takes {duration(seconds)}, in the background."
    )


def duration(seconds: float) -> str:
    """A rough time in words."""
    if seconds < 3:
        return "a few seconds"
    if seconds < 90:
        return f"about {5 * max(1, round(seconds / 5))} seconds"
    return f"about {round(seconds / 60)} minutes"


def progress(share: float, words: str) -> tuple[str, str]:
    """The progress bar's value, and its words."""
    return f"{100 * share:.0f}", f"{words} …"


def render(found: WeakSlices | None, query: PerformanceQuery) -> Any:
    """The slices that were found, most striking first."""
    if found is None:
        return None
    if not found.slices:
        over = (
            f"in {formats.plural(found.columns, 'column')}" if found.columns else "as there are no columns to combine"
        )
        return html.P(f"No slice is significantly worse than the other rows, {over}.", className="muted mb-0")
    name = formats.title(found.metric)
    heads = ["Slice", "n", name, "All other rows", "Verdict", "Adjusted p"]
    cells = [_cells(item, query) for item in found.slices]
    return html.Div(parts.table(heads, cells, [1, 3, 5], "Discovered slices"), **base(query))


def _cells(item: WeakSlice, query: PerformanceQuery) -> list[Any]:
    chosen = query.filter == item.filter
    wanted = "" if chosen else item.filter
    link = view_link(
        PATH, query, named(item.filter), "chip mono", filter=wanted, slice="", label="", predicted="", offset=0
    )
    setattr(link, "aria-current", "true" if chosen else "false")
    also = _also(item.also)
    verdict = html.Div([parts.verdict_pill(item.verdict), " ", html.Span(_difference(item), className="stat-range")])
    return [
        html.Div([link, also], className="slice-cell"),
        formats.count(item.n),
        parts.estimate_cell(item.value) if item.value.high <= 1 else _plain(item),
        formats.number(item.complement.value),
        verdict,
        p_value(item.p_adjusted),
    ]


def named(filter_: str) -> str:
    """A discovered filter in which declared slices stand by their names."""
    return _DECLARED.sub(lambda m: ("" if m[3] == "true" else "not ") + formats.slice_name(m[1] or m[2]), filter_)


def _also(filters: tuple[str, ...]) -> Any:
    if not filters:
        return None
    rest = f" and {len(filters) - 1} more" if len(filters) > 1 else ""
    text = f"nearly the same rows: {formats.short(named(filters[0]), 80)}{rest}"
    return html.Div(text, className="card-note", title="\n".join(filters))


def _plain(item: WeakSlice) -> Any:
    span = html.Span(formats.span(item.value.low, item.value.high), className="stat-range")
    return html.Div([html.B(formats.number(item.value.value)), " ", span])


def _difference(item: WeakSlice) -> str:
    verdict = item.verdict
    return formats.difference(verdict.difference, verdict.low, verdict.high)


def p_value(p: float) -> str:
    """A p-value in plain words: digits where they tell something."""
    if p < 0.0001:
        return "< 0.0001"
    return f"{p:.4f}" if p < 0.01 else f"{p:.3f}"
