"""The slices where a run is significantly worse that nobody named: searched in the background, then kept."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from dashboard.cache import cache_key
from dashboard.metrics.breakdown import Mask
from dashboard.metrics.classification import Floats
from dashboard.metrics.codes import Codes, build_codes, open_codes, prune_codes
from dashboard.metrics.comparison import error_differences, independent
from dashboard.metrics.discovery import SHOWN, Found, Question, classification_errors, discover, squared_errors
from dashboard.metrics.estimate import Estimate, Verdict
from dashboard.metrics.found_rows import find_rows, open_found, prune_found
from dashboard.metrics.intervals import proportion
from dashboard.metrics.regression import Errors, root_mean_square
from dashboard.reports.row_pages import subject_of, tables_of
from dashboard.reports.selection import measurable
from mlflow_runs.errors import DataMissing
from mlflow_runs.records import Evaluation

if TYPE_CHECKING:
    from dashboard.services import Services

CODE_VERSION = 1
JOB = "weak-slices"
SEARCHED = ("classification", "multilabel", "regression")
Metric = Literal["accuracy", "subset_accuracy", "rmse"]
_METRICS: dict[str, Metric] = {"regression": "rmse", "multilabel": "subset_accuracy"}
_KEPT_FINDINGS = 2000
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class WeakSlice:
    """A discovered slice against all other rows; `also` are filters that select nearly the same rows."""

    filter: str
    n: int
    value: Estimate
    complement: Estimate
    verdict: Verdict
    p_adjusted: float
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class WeakSlices:
    """What a search found, most striking first. `metric` is accuracy, for sets of classes subset_accuracy, or rmse; `n`
    the rows searched, `columns` how many columns could be combined, `tested` how many slices were compared, at a
    false-discovery rate of `false_discovery`."""

    metric: Metric
    n: int
    columns: int
    tested: int
    false_discovery: float
    smallest: int
    slices: tuple[WeakSlice, ...] = ()


@dataclass(frozen=True)
class Search:
    """What a run's page says of the search: what was found, if it was done, and how much there is to search."""

    possible: bool
    rows: int = 0
    columns: int = 0
    found: WeakSlices | None = None
    looked: bool = True


def search_of(services: "Services", run_id: str) -> Search:
    """The state of the search of a run, from the cache alone."""
    evaluation = services.predictions.evaluation(run_id)
    if not searchable(evaluation):
        return Search(False)
    columns = len(evaluation.roles.features) + len(evaluation.roles.slices)
    looked = open_found(tables_of(services), evaluation) is not None
    return Search(True, evaluation.n_rows, columns, known_weak_slices(services, evaluation), looked)


def searchable(evaluation: Evaluation) -> bool:
    """Whether there are predictions to search: classes, sets of classes or numbers, with labels."""
    try:
        return evaluation.task in SEARCHED and measurable(evaluation)
    except DataMissing:
        return False


def known_weak_slices(services: "Services", evaluation: Evaluation) -> WeakSlices | None:
    """The result of an earlier search of the same rows with the same settings."""
    found = services.cache.peek(search_key(services, evaluation))
    return found.value if found is not None and isinstance(found.value, WeakSlices) else None


def find_weak_slices(
    services: "Services", run_id: str, progress: Progress = lambda share, words: None, again: bool = False
) -> WeakSlices:
    """Prepare the columns, look for duplicates and label errors, search; each only if that was not done before, but
    `again` repeats the search.

    `progress` hears the share done and what is being done; it may raise to cancel. DataMissing without predictions.
    """
    evaluation = services.predictions.evaluation(run_id)
    if not measurable(evaluation):
        raise DataMissing(f"Run {run_id} carries figures only; weak slices are searched in predictions with labels.")
    if evaluation.task not in SEARCHED:
        raise DataMissing(f"Weak slices are searched for {' and '.join(SEARCHED)}; run {run_id} is {evaluation.task}.")
    key = search_key(services, evaluation)
    if again:
        services.cache.store(key, found := _search(services, evaluation, progress))
        return found
    return services.cache.compute(key, lambda: _search(services, evaluation, progress)).value


def search_key(services: "Services", evaluation: Evaluation) -> str:
    """What a search depends on: the rows, what their columns mean, and the question."""
    kind = (evaluation.task, evaluation.roles, evaluation.classes, evaluation.positive_class)
    settings = (question(services), services.settings.min_rows)
    return cache_key("weak_slices", CODE_VERSION, subject_of(evaluation), (kind, settings))


def question(services: "Services") -> Question:
    """What is searched: combinations of two conditions that hold a minimum of rows."""
    # twice as many as are shown, because some explain others
    return Question(smallest=max(Question().smallest, services.settings.min_rows), top=2 * SHOWN)


def _search(services: "Services", evaluation: Evaluation, progress: Progress) -> WeakSlices:
    asked, codes = question(services), _prepared(services, evaluation, progress)
    errors = classification_errors(codes) if evaluation.task == "classification" else squared_errors(codes)
    # a search in these codes reports shares of its own; here it is the last four tenths
    found, tested = discover(codes, errors, asked, progress=lambda share: progress(0.6 + 0.4 * share, "searching"))
    metric: Metric = _METRICS.get(evaluation.task or "", "accuracy")
    figures = _Figures(metric, services.settings.min_rows, _sums(errors[used := ~np.isnan(errors)]))
    inside = {item.codes: _sums(errors[used & rows_of(codes, item)]) for item in found}
    every = [figures.slice(item, inside[item.codes]) for item in found if figures.own(item.codes, inside)]
    # both tests must agree: the adjusted p of the search, and the interval that stands beside it on the page
    measured = tuple(item for item in every if item.verdict.word == "worse")[:SHOWN]
    usable = sum(len(column.values) > 1 for column in codes.columns)
    return WeakSlices(metric, figures.all.n, usable, tested, asked.significance, asked.smallest, measured)


def _prepared(services: "Services", evaluation: Evaluation, progress: Progress) -> Codes:
    """The run's code sidecar, and the found rows beside it."""
    tables = tables_of(services)
    if open_found(tables, evaluation) is None:
        progress(0.0, "looking for duplicates and label errors")
        find_rows(tables, evaluation, lambda share: progress(0.2 * share, "looking for duplicates and label errors"))
        prune_found(tables, _KEPT_FINDINGS)
    if open_codes(tables, evaluation) is None:
        prune_codes(tables, services.settings.sidecar_mb)
    return build_codes(tables, evaluation, lambda share: progress(0.2 + 0.4 * share, "preparing the columns"))


_Conditions = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class _Figures:
    """The page's own figures of discovered slices, from sums of errors inside them and over all rows."""

    metric: str
    min_rows: int
    all: Errors

    def estimate(self, sums: Errors) -> Estimate:
        """Accuracy from errors of 0 and 1, RMSE from squared errors."""
        if self.metric != "rmse":
            return proportion(sums.n - sums.square, sums.n, self.min_rows)
        return root_mean_square(sums, self.min_rows)

    def against(self, inside: Errors, outside: Errors) -> Verdict:
        """One set of rows against others."""
        better = self.metric != "rmse"
        ours, theirs = self.estimate(inside), self.estimate(outside)
        return independent(ours, theirs, higher_is_better=better, min_rows=self.min_rows)

    def own(self, codes: _Conditions, inside: dict[_Conditions, Errors]) -> bool:
        """Whether a slice is worse in its own right.

        It is not where it does no worse than the rest of a wider slice that was found, nor where nothing is wrong
        with it but for a narrower one that does worse than its rest.
        """
        mine = set(codes)
        wider = [inside[other] for other in inside if set(other) < mine]
        narrower = [inside[other] for other in inside if set(other) > mine]
        sums = inside[codes]
        if any(self.against(sums, whole.minus(sums)).word != "worse" for whole in wider):
            return False
        worst = [part for part in narrower if self.against(part, sums.minus(part)).word == "worse"]
        return all(self.against(sums.minus(part), self.all.minus(sums)).word == "worse" for part in worst)

    def slice(self, found: Found, sums: Errors) -> WeakSlice:
        """A discovered slice against all other rows."""
        rest = self.all.minus(sums)
        value, complement = self.estimate(sums), self.estimate(rest)
        return WeakSlice(
            found.filter, found.n, value, complement, self.against(sums, rest), found.p_adjusted, found.also
        )


def rows_of(codes: Codes, found: Found) -> Mask:
    """Which rows of the table a discovered slice holds."""
    rows: Mask = np.logical_and.reduce([np.asarray(codes.codes(name)) == code for name, code in found.codes])
    return rows


def _sums(errors: Floats) -> Errors:
    """Sums over errors that are 0 or 1, or squared."""
    total = float(errors.sum())
    return Errors(len(errors), 0, float(np.sqrt(np.abs(errors)).sum()), total, float((errors**2).sum()))


def discover_difference(
    services: "Services", candidate_id: str, baseline_id: str, progress: Progress = lambda share, words: None
) -> tuple[list[Found], int]:
    """Where a candidate got worse than a baseline on the same rows (by id), and how many slices were tested.

    `value` and `complement` of what is found are mean differences of errors, candidate minus baseline.
    """
    candidate, baseline = services.predictions.evaluation(candidate_id), services.predictions.evaluation(baseline_id)
    codes = _prepared(services, candidate, progress)
    errors = error_differences(tables_of(services), candidate, baseline)
    return discover(codes, errors, question(services), progress=lambda share: progress(0.6 + 0.4 * share, "searching"))
