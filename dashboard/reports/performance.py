"""What the Performance page shows, and the pure functions that compute it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.metrics.coded_cube import chosen_mask
from dashboard.metrics.coded_rows import cell_rows, coded_page, confidences
from dashboard.metrics.codes import Codes, open_codes
from dashboard.metrics.columns import class_text, holds_class, number, quoted, string
from dashboard.metrics.cube import needed
from dashboard.metrics.estimate import Estimate
from dashboard.metrics.filters import parse_filter
from dashboard.metrics.rows import Rows, confidence, fetch_rows
from dashboard.metrics.slices import find_slice
from dashboard.metrics.tables import Tables
from dashboard.reports.figures import LoggedMetric as LoggedMetric
from dashboard.reports.figures import logged_metrics, measure_figures
from dashboard.reports.measured import HEADLINES, Measured
from dashboard.reports.measured import ClassRow as ClassRow
from dashboard.reports.measured import Confusion as Confusion
from dashboard.reports.measured import Residuals as Residuals
from dashboard.reports.measured import SliceRow as SliceRow
from dashboard.reports.row_pages import RowPage, as_page, tables_of
from dashboard.reports.selection import Selection, conditions_of, measurable, measured_of, selection_of, slices_of
from mlflow_runs.records import Evaluation, Problem, RunRow, Task

if TYPE_CHECKING:
    from dashboard.services import Services

PAGE = 25


@dataclass(frozen=True)
class PerformanceQuery:
    """The Performance page's URL; every field is a URL parameter of the same name.

    `open` shows the rows behind the page: "all", or "errors". `down`, `across`, `shares`, `arrange` and `dim` belong to
    the confusion matrix (see MatrixQuery), `curve`, `threshold`, `fp` and `fn` to the curves (see CurvesQuery).
    """

    run: str = ""
    filter: str = ""
    slice: str = ""
    label: str = ""
    predicted: str = ""
    sort: str = "f1"
    order: str = "asc"
    offset: int = 0
    open: str = ""
    down: str = ""
    across: str = ""
    shares: str = ""
    arrange: str = ""
    dim: str = ""
    curve: str = ""
    threshold: str = ""
    fp: str = "1"
    fn: str = "1"


@dataclass(frozen=True)
class PerformanceReport:
    """Overall, per class and per slice; `overall` maps metric name to Estimate in display order.

    Classification: accuracy, macro_precision, macro_recall, macro_f1, weighted_precision, weighted_recall,
    weighted_f1. Multi-label: see multilabel.AVERAGES. Regression: mae, rmse, r2. `n` counts the rows used,
    `n_unlabelled` those left out because label or prediction is missing, `n_filtered_out` those the filter left out.
    `source` is "predictions" or "figures".
    """

    run: RunRow
    task: Task
    source: str
    artifact: str
    n: int
    n_unlabelled: int
    n_filtered_out: int
    headline: str
    overall: dict[str, Estimate]
    classes: tuple[ClassRow, ...] = ()
    slices: tuple[SliceRow, ...] = ()
    confusion: Confusion | None = None
    residuals: Residuals | None = None
    logged: tuple[LoggedMetric, ...] = ()
    problems: tuple[Problem, ...] = ()
    age: float = 0.0
    notes: tuple[str, ...] = field(default_factory=tuple)


def performance_report(services: "Services", query: PerformanceQuery) -> PerformanceReport:
    """A run's performance under the query's filter and slice.

    Errors: RunNotFound; ArtifactUnreadable when only unreadable artifacts are there; DataMissing when the run has
    neither predictions with labels nor figures; BadQuery for the filter or an unknown slice.
    """
    run, evaluation = services.runs.run(query.run), services.predictions.evaluation(query.run)
    if not measurable(evaluation):
        return _from_figures(run, evaluation, services.settings.min_rows)
    selection = selection_of(services, evaluation, query.filter, query.slice)
    cached = measured_of(services, evaluation, selection)
    return _from_predictions(run, evaluation, cached.value, cached.age, selection)


def _from_predictions(
    run: RunRow, evaluation: Evaluation, found: Measured, age: float, selection: Selection
) -> PerformanceReport:
    task: Task = evaluation.task or "classification"
    whole = not (selection.filter or selection.slice)
    return PerformanceReport(
        run=run,
        task=task,
        source="predictions",
        artifact=evaluation.artifact,
        n=found.n,
        n_unlabelled=found.n_unlabelled,
        n_filtered_out=max(evaluation.n_rows - found.n - found.n_unlabelled, 0),
        headline=HEADLINES[task],
        overall=found.overall,
        classes=found.classes,
        slices=found.slices,
        confusion=found.confusion,
        residuals=found.residuals,
        # a run's own metrics are over all rows, so they are no peer of a selection's
        logged=logged_metrics(run.metrics, found.overall) if whole else (),
        problems=(*evaluation.problems, *found.problems),
        age=age,
    )


def _from_figures(run: RunRow, evaluation: Evaluation, min_rows: int) -> PerformanceReport:
    assert evaluation.figures is not None
    found, headline = measure_figures(evaluation.figures, min_rows)
    return PerformanceReport(
        run=run,
        task=evaluation.task or "classification",
        source="figures",
        artifact=evaluation.figures.artifact or evaluation.artifact,
        n=found.n,
        n_unlabelled=0,
        n_filtered_out=0,
        headline=headline,
        overall=found.overall,
        classes=found.classes,
        slices=found.slices,
        logged=(),
        problems=evaluation.problems,
        notes=(
            "Filters and slices need predictions; this run carries figures only."
            if evaluation.table is None
            else "Its predictions have no column recognised as label or as prediction: name it on the Data page.",
        ),
    )


def error_rows(services: "Services", query: PerformanceQuery, limit: int = PAGE) -> RowPage:
    """The rows behind a confusion cell (label, predicted, or both), within filter and slice, most confident first.

    With neither given: every wrong row; for a regression the rows with the largest errors.
    """
    evaluation = services.predictions.evaluation(query.run)
    selection = selection_of(services, evaluation, query.filter, query.slice)
    return errors_of(tables_of(services), evaluation, query, selection, limit)


def errors_of(
    tables: Tables, evaluation: Evaluation, query: PerformanceQuery, selection: Selection, limit: int = PAGE
) -> RowPage:
    """The page of rows behind a cell of an evaluation's table, 25 from `query.offset`."""
    codes = open_codes(tables, evaluation)
    if codes is not None and evaluation.task in ("classification", "regression"):
        return as_page(_coded(tables, evaluation, codes, query, selection, limit), query.offset, limit)
    path, label, prediction = needed(evaluation)
    types = tables.columns(path)
    conditions = [parse_filter(selection.filter, types).sql]
    if selection.slice:
        slices, _ = slices_of(tables, evaluation, selection.slices_file, selection.others)
        conditions.append(slices[find_slice(slices, selection.slice)].condition)
    if evaluation.task == "regression":
        error = f"abs({number(quoted(prediction))} - {number(quoted(label))})"
        conditions.append(f"{error} IS NOT NULL")
        order = f"{error} DESC"
    elif evaluation.task == "multilabel":
        conditions += _sets(label, prediction, types, query)
        order = ""
    else:
        actual, predicted = class_text(quoted(label), types[label]), class_text(quoted(prediction), types[prediction])
        conditions += _cell(actual, predicted, query)
        score = confidence(evaluation, types)
        order = f"{score} DESC NULLS LAST" if score else ""
    where = " AND ".join(f"({text})" for text in conditions)
    return as_page(fetch_rows(tables, evaluation, where, order, query.offset, limit), query.offset, limit)


def _coded(
    tables: Tables, evaluation: Evaluation, codes: Codes, query: PerformanceQuery, selection: Selection, limit: int
) -> Rows:
    """The same page from the code sidecar."""
    mask = chosen_mask(tables, evaluation, codes, conditions_of(tables, evaluation, selection))
    if evaluation.task == "regression":
        errors = np.abs(codes.errors())
        rows = np.flatnonzero(~np.isnan(errors) if mask is None else ~np.isnan(errors) & mask)
        key: Any = errors[rows]
    else:
        wrong = not (query.label or query.predicted or query.open == "all")
        rows = cell_rows(codes, query.label, query.predicted, wrong, mask)
        key = confidences(codes, evaluation, rows)
    order = None if key is None else (key, None, True)
    return coded_page(tables, evaluation, codes, rows, order, query.offset, limit)


def _sets(label: str, prediction: str, types: dict[str, str], query: PerformanceQuery) -> list[str]:
    """The conditions of a class among the labels, the predictions or both; with `open` "errors" those that lack it on
    the other side; without a class every row whose sets differ, unless all rows are asked for."""
    sides = ((quoted(label), types[label], query.label), (quoted(prediction), types[prediction], query.predicted))
    holds = [holds_class(side, kind, name) for side, kind, name in sides if name]
    named = query.label or query.predicted
    if query.open == "errors" and len(holds) == 1:
        side, kind, _ = sides[1] if query.label else sides[0]
        holds.append(f"NOT {holds_class(side, kind, named)}")
    if not named and query.open != "all":
        holds = [f"{quoted(label)} <> {quoted(prediction)}"]
    return [f"{quoted(label)} IS NOT NULL", f"{quoted(prediction)} IS NOT NULL", *holds]


def _cell(actual: str, predicted: str, query: PerformanceQuery) -> list[str]:
    """The conditions of a confusion cell, row or column; without one of all errors, unless all rows are asked for."""
    asked = [(actual, query.label), (predicted, query.predicted)]
    chosen = [f"({text}) = {string(name)}" for text, name in asked if name]
    others = [f"({text}) IS NOT NULL" for text, _ in asked]
    if not chosen and query.open != "all":
        chosen = [f"({actual}) <> ({predicted})"]
    return [*others, *chosen]
