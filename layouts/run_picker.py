"""The run bar that pages about one run share: model picker, run picker, facts about the run."""

from typing import Any

from dash import dcc, html

from dashboard.reports.runs import file_stem
from layouts import formats, page, parts
from layouts.links import Path, page_link
from mlflow_runs.records import RunRow, StoreState


def view_of(run_id: str) -> str:
    """The id of the store that follows the chosen run alone (see layouts.page.view)."""
    return f"{run_id}-view"


def build(model_id: str, run_id: str) -> html.Div:
    """Two searchable pickers, still empty."""
    return html.Div(
        [
            _field("Model", model_id, "Search models"),
            _field("Version or run", run_id, "Search name, version, alias"),
            page.view(view_of(run_id), ("run",)),
        ],
        className="run-bar chrome",
    )


def _field(label: str, component_id: str, placeholder: str) -> html.Div:
    picker = dcc.Dropdown(id=component_id, options=[], clearable=False, searchable=True, placeholder=placeholder)
    return html.Div([html.Label(label, htmlFor=component_id), picker], className="field")


def waiting(state: StoreState) -> Any:
    """What a page shows while no run is chosen: nothing to choose, or the choice is under way."""
    if state.runs:
        return parts.skeleton(120, 320)
    if not state.reachable:
        why = formats.sentence(state.message or f"{state.uri} has not answered yet")
        return parts.empty("The tracking store cannot be reached", why)
    text = f"{state.uri} holds no runs yet. A run logged to it appears here within seconds; no reload is needed."
    return parts.empty("No runs yet", text)


def missing(run: str, state: StoreState) -> html.Div:
    """That the run of the address is not in the store, and the ways on; never another run in its place."""
    title = ["There is no run ", html.Bdi(formats.short(run, 80)), " in this store"]
    why = "It may have been deleted, or the link was made for another store."
    if not state.reachable:
        why = "The store cannot be reached now; a run that is in it appears here as soon as it can be."
    overview = page_link(Path.OVERVIEW, "open the Overview")
    return parts.empty(title, [why, " Choose a model and a run above, or ", overview, "."])


def model_options(models: list[str]) -> list[dict[str, str]]:
    """Options of the model picker."""
    return [{"label": model, "value": model} for model in models]


def run_options(rows: list[RunRow]) -> list[dict[str, str]]:
    """Options of the run picker, newest first: version, aliases, name, headline metric, age."""
    labels = [(run_label(row), row.run_id) for row in reversed(rows)]
    return [{"label": label, "value": run, "title": label} for label, run in labels]


def run_label(row: RunRow) -> str:
    """One run in one line, searchable by everything in it."""
    name = f"v{row.version}" if row.version else f"#{row.ordinal}"
    metric = next((key for key in ("macro_f1", "f1", "rmse", "accuracy") if key in row.metrics), "")
    figure = f"{formats.title(metric)} {formats.number(row.metrics[metric])}" if metric else ""
    states = ["unreadable"] if row.state == "broken" else []
    states += [f"run {row.status.lower()}"] if row.status in ("FAILED", "KILLED") else []
    aliases = [f"@{alias}" for alias in row.aliases]
    pieces = [name, *aliases, row.run_name, figure, formats.since(row.start_time), *states]
    return " · ".join(piece for piece in pieces if piece)


def facts(row: RunRow) -> html.Div:
    """Where the figures come from: run, age, commit, data."""
    data = ", ".join(f"{d.name} ({d.digest})" for d in row.datasets)
    entries: list[tuple[str, Any]] = [
        ("Run", row.run_name or row.run_id[:8]),
        ("Experiment", row.experiment),
        ("Trained", html.Span(formats.since(row.start_time), title=formats.day(row.start_time))),
        ("Commit", html.Span(row.git_commit[:8], className="mono", title=row.git_commit) if row.git_commit else None),
        ("Data", data),
        ("Indexed", formats.since(row.synced_at)),
    ]
    told = [html.Span([name, " ", html.B(value)]) for name, value in entries if value]
    return html.Div(told, className="run-facts", **{"data-stem": file_stem(row)})
