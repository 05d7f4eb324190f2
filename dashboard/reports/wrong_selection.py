"""A page's filter or slice that cannot be used: told once for the whole page, with what there is to choose from."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dashboard.errors import BadQuery
from dashboard.metrics.filters import parse_filter
from dashboard.metrics.slices import find_slice
from dashboard.reports.row_pages import tables_of
from dashboard.reports.selection import selection_of, slices_of
from mlflow_runs.records import RunRow

if TYPE_CHECKING:
    from dashboard.services import Services


@dataclass(frozen=True)
class WrongSelection:
    """The parameter that cannot be used, why, and the names of the run's slices."""

    run: RunRow
    parameter: Literal["filter", "slice"]
    reason: str
    slices: tuple[str, ...]


def wrong_selection(services: "Services", run: str, filter_: str, slice_: str) -> WrongSelection | None:
    """What of a page's selection cannot be used; None where all can, or where the run has no table to select from."""
    if not (filter_ or slice_):
        return None
    evaluation, tables = services.predictions.evaluation(run), tables_of(services)
    if evaluation.table is None:
        return None
    chosen = selection_of(services, evaluation, filter_, slice_)
    slices, _ = slices_of(tables, evaluation, chosen.slices_file, chosen.others)
    parameter: Literal["filter", "slice"] = "filter"
    try:
        parse_filter(chosen.filter, tables.columns(evaluation.table))
        parameter = "slice"
        if slice_:
            find_slice(slices, slice_)
    except BadQuery as exc:
        names = tuple(item.name for item in slices)
        reason = str(exc) if parameter == "filter" else f"This evaluation has no slice {slice_[:80]!r}."
        return WrongSelection(services.runs.run(run), parameter, reason, names)
    return None
