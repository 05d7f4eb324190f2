"""The rows that a page's filter and slice choose, as the reports beside the performance report need them."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dashboard.cache import cache_key
from dashboard.metrics.breakdown import Mask
from dashboard.metrics.coded_cube import chosen_mask
from dashboard.metrics.codes import Codes, open_codes
from dashboard.metrics.tables import Tables
from dashboard.reports.row_pages import subject_of, tables_of
from dashboard.reports.selection import Selection, condition_of, conditions_of, selection_of
from mlflow_runs.records import Evaluation

if TYPE_CHECKING:
    from dashboard.services import Services


@dataclass(frozen=True)
class Chosen:
    """An evaluation's table and the rows of it that a selection chooses."""

    tables: Tables
    evaluation: Evaluation
    selection: Selection

    @cached_property
    def where(self) -> str:
        """Checked SQL; BadQuery for the filter or an unknown slice."""
        return condition_of(self.tables, self.evaluation, self.selection)

    @cached_property
    def codes(self) -> Codes | None:
        """The code sidecar where it is built."""
        return open_codes(self.tables, self.evaluation)

    @cached_property
    def mask(self) -> Mask | None:
        """Which rows are chosen, by position, where the sidecar is built; None for all."""
        assert self.codes is not None
        conditions = conditions_of(self.tables, self.evaluation, self.selection)
        return chosen_mask(self.tables, self.evaluation, self.codes, conditions)

    def key(self, name: str, version: int, *rest: object) -> str:
        """The cache key of something computed from these rows."""
        found = self.evaluation
        kind = (found.task, found.roles, found.classes, found.positive_class)
        return cache_key(name, version, subject_of(found), (kind, self.where, rest))


def chosen_rows(services: "Services", run: str, filter_: str, slice_: str) -> Chosen:
    """The rows that a run's page chooses; raises what reading the evaluation raises."""
    evaluation = services.predictions.evaluation(run)
    return Chosen(tables_of(services), evaluation, selection_of(services, evaluation, filter_, slice_))
