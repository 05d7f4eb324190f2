"""The slices of a run that do not come with it: those saved for its model, flagged rows, those found in its rows."""

from typing import TYPE_CHECKING

from dashboard.errors import BadQuery, StateUnavailable
from dashboard.metrics.filters import parse_filter
from dashboard.metrics.found_rows import find_rows, open_found
from dashboard.metrics.slices import Slice
from dashboard.reports.row_pages import tables_of
from dashboard.state import SavedSlice
from mlflow_runs.records import Evaluation, Problem

if TYPE_CHECKING:
    from dashboard.services import Services

FLAGGED = "flagged"
# beyond this, looking for duplicates and label errors is a background job's work
LOOKED_AT_ONCE = 200_000


def named_slices(services: "Services", evaluation: Evaluation) -> tuple[tuple[Slice, ...], tuple[Problem, ...]]:
    """Saved slices (kind "saved") and found ones ("found"), with what cannot be used of them."""
    saved, problems = saved_slices(services, evaluation)
    flagged, more = flagged_slice(services, evaluation)
    return (*saved, *flagged, *found_slices(services, evaluation)), (*problems, *more)


def saved_slices(services: "Services", evaluation: Evaluation) -> tuple[tuple[Slice, ...], tuple[Problem, ...]]:
    """The slices that people saved for the run's model; one whose filter does not fit this run is a problem."""
    if evaluation.table is None:
        return (), ()
    try:
        saved = services.state.slices(services.runs.run(evaluation.run_id).model)
    except StateUnavailable as exc:
        return (), (Problem("saved slices", str(exc)),)
    if not saved:
        return (), ()
    types = tables_of(services).columns(evaluation.table)
    checked = [_checked(item, types) for item in saved]
    return tuple(c for c in checked if isinstance(c, Slice)), tuple(c for c in checked if isinstance(c, Problem))


def _checked(saved: SavedSlice, types: dict[str, str]) -> Slice | Problem:
    try:
        condition = parse_filter(saved.filter, types).sql
    except BadQuery as exc:
        return Problem("saved slices", f"{saved.name!r} does not fit this run: {exc}")
    return Slice(saved.name, "saved", saved.description, saved.filter, condition)


def found_slices(services: "Services", evaluation: Evaluation) -> tuple[Slice, ...]:
    """Duplicates and suspected label errors: looked for at once in a small table, else once a job has looked."""
    if evaluation.table is None:
        return ()
    tables = tables_of(services)
    found = open_found(tables, evaluation)
    if found is None and evaluation.n_rows <= LOOKED_AT_ONCE:
        found = find_rows(tables, evaluation)
    return tuple(found or ())


def flagged_slice(services: "Services", evaluation: Evaluation) -> tuple[tuple[Slice, ...], tuple[Problem, ...]]:
    """The flagged rows of a run's evaluation as a slice, none where nothing was flagged."""
    try:
        rows = services.flags.rows(evaluation.run_id, evaluation.digest)
    except StateUnavailable as exc:
        return (), (Problem("flags", str(exc)),)
    if not rows:
        return (), ()
    condition = f"(file_row_number IN ({', '.join(map(str, rows))}))"
    about = "Rows whose live answer someone flagged as right, wrong or unsure on the Inference page."
    return (Slice(FLAGGED, "found", about, "", condition),), ()
