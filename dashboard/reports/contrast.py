"""What wrong rows have that right rows have not (of a regression: those far off): the features that differ most."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dashboard.metrics.breakdown import near_and_far, right_and_wrong
from dashboard.metrics.coding import Column, columns_of
from dashboard.metrics.columns import quoted
from dashboard.metrics.contrast import difference, worst
from dashboard.metrics.crosstab import OUTCOME, Axis, column_axis, count_rows
from dashboard.metrics.cube import Ints, needed
from dashboard.metrics.discovery import adjusted
from dashboard.metrics.regression import absolute_error, error_limit
from dashboard.reports.chosen import Chosen, chosen_rows
from dashboard.reports.row_pages import subject_of
from mlflow_runs.records import Evaluation

if TYPE_CHECKING:
    from dashboard.cache import ResultCache
    from dashboard.services import Services

CODE_VERSION = 2
MOST = 6
FAR = 0.1  # the share of a regression's rows that counts as far off
TASKS = ("classification", "multilabel", "regression")
_BARS = 12
_DIFFER = 0.5  # a row's error where sets of classes differ is 1


@dataclass(frozen=True)
class ContrastQuery:
    """Whose rows: run, filter and slice of the page."""

    run: str = ""
    filter: str = ""
    slice: str = ""


@dataclass(frozen=True)
class Paired:
    """One feature: right and wrong rows by value or bin, of which `worst` has the highest share of wrong rows.

    `v` is Cramer's V corrected for chance, `p` the chi-square p-value adjusted over all features (Benjamini-Hochberg);
    `missing` counts rows without a value, which are no bar; `others` the values that share the last bar.
    """

    name: str
    kind: str
    values: tuple[str, ...]
    filters: tuple[str, ...]
    right: tuple[int, ...]
    wrong: tuple[int, ...]
    worst: int | None
    v: float
    p: float
    missing: int
    others: int


@dataclass(frozen=True)
class ContrastReport:
    """The features that differ most, at most six; `tested` is the number of features looked at. `limit` is the absolute
    error from which on a regression's rows count as wrong: far off."""

    right: int
    wrong: int
    tested: int
    features: tuple[Paired, ...]
    limit: float | None = None


def contrast_report(services: "Services", query: ContrastQuery) -> ContrastReport | None:
    """The report of the chosen rows; None for tasks without right and wrong. Raises what reading the run raises."""
    rows = chosen_rows(services, query.run, query.filter, query.slice)
    roles = rows.evaluation.roles
    if rows.evaluation.task not in TASKS or None in (rows.evaluation.table, roles.label, roles.prediction):
        return None
    min_rows = services.settings.min_rows
    key = rows.key("contrast", CODE_VERSION, min_rows)
    return services.cache.compute(key, lambda: contrast(rows, columns(rows, services.cache), min_rows)).value


def columns(rows: Chosen, cache: "ResultCache") -> list[Column]:
    """The features to compare: from the code sidecar where it is built, else looked up once."""
    if rows.codes is not None:
        found = list(rows.codes.columns)
    else:
        key = rows.key("columns", CODE_VERSION, subject_of(rows.evaluation))
        found = cache.compute(key, lambda: columns_of(rows.tables, rows.evaluation)).value
    return [column for column in found if column.name not in rows.evaluation.roles.slices]


def contrast(rows: Chosen, features: list[Column], min_rows: int) -> ContrastReport:
    """Compare every feature's right and wrong rows."""
    limit = None
    if rows.evaluation.task == "regression":
        limit = error_limit(rows.tables, rows.evaluation, rows.where, FAR)
        if limit is None:
            return ContrastReport(0, 0, 0, ())
    counted = count_outcomes(rows, features, limit)
    found = [difference(counts[1:]) for counts in counted]
    p = adjusted(np.array([item.p for item in found]))
    ranked = sorted((i for i, item in enumerate(found) if item.v > 0), key=lambda i: -found[i].v)[:MOST]
    right, wrong = (int(counted[0][:, k].sum()) if counted else 0 for k in (0, 1))
    shown = tuple(paired(features[i], counted[i], found[i].v, float(p[i]), min_rows) for i in ranked)
    return ContrastReport(right, wrong, len(features), shown, limit)


def count_outcomes(rows: Chosen, features: list[Column], limit: float | None = None) -> list[Ints]:
    """Right and wrong rows by code of every feature: all at once over the sidecar, else one scan each."""
    if rows.codes is not None:
        mask = rows.mask
        names = [column.name for column in features]
        if rows.evaluation.task == "multilabel":
            limit = _DIFFER
        counted = (
            right_and_wrong(rows.codes, mask, names) if limit is None else near_and_far(rows.codes, limit, mask, names)
        )
        return [counted[column.name] for column in features]
    tables, evaluation, where = rows.tables, rows.evaluation, rows.where
    outcome = outcome_axis(evaluation, limit)
    return [count_rows(tables, evaluation, column_axis(column), outcome, where, None) for column in features]


def outcome_axis(evaluation: Evaluation, limit: float | None) -> Axis:
    """Right and wrong rows: other classes or sets of classes than the label's, or an error of at least `limit`."""
    if evaluation.task == "classification":
        return OUTCOME
    _, label, prediction = needed(evaluation)
    sets = f"{quoted(label)} <> {quoted(prediction)}"
    return replace(OUTCOME, sql=sets if limit is None else f"{absolute_error(evaluation)} >= {limit!r}")


def paired(column: Column, counts: Ints, v: float, p: float, min_rows: int) -> Paired:
    """The bars of one feature: bins in their order; of categories the twelve most frequent, the rest as one."""
    used, names, filters, others = counts[1:], list(column.values[1:]), list(column.filters[1:]), column.grouped
    kept = np.flatnonzero(used.sum(axis=1) > 0)
    if column.kind == "category" and len(kept) > _BARS:
        order = kept[np.argsort(-used[kept].sum(axis=1), kind="stable")]
        kept, rest = order[: _BARS - 1], order[_BARS - 1 :]
        used = np.vstack([used, used[rest].sum(axis=0)])
        names, filters, others = [*names, "other values"], [*filters, ""], others + len(rest)
        kept = np.append(kept, len(names) - 1)
    bars = used[kept]
    return Paired(
        column.name, column.kind, tuple(names[i] for i in kept), tuple(filters[i] for i in kept),
        tuple(map(int, bars[:, 0])), tuple(map(int, bars[:, 1])), worst(bars, min_rows), v, p,
        int(counts[0].sum()), others,
    )  # fmt: skip
