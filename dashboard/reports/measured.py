"""The parts of a performance report, and how they are measured from an evaluation's predictions."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dashboard.metrics import comparison, intervals, multilabel, regression
from dashboard.metrics.classification import ClassFigures, class_figures
from dashboard.metrics.cube import Counts, Cube
from dashboard.metrics.estimate import Estimate, Verdict
from dashboard.metrics.found_rows import LABEL_ERRORS
from dashboard.metrics.multilabel import SetSums
from dashboard.metrics.slices import Slice
from dashboard.metrics.tables import Tables
from mlflow_runs.records import Evaluation, Problem

LOWER_IS_BETTER = ("rmse", "mae")
HEADLINES = {"classification": "macro_f1", "multilabel": "macro_f1", "regression": "rmse", "detection": "map"}
_SLICE_METRICS = ("macro_f1", "macro_precision", "macro_recall", "accuracy")
_SET_METRICS = ("macro_f1", "micro_f1", "samples_f1", "subset_accuracy")


@dataclass(frozen=True)
class ClassRow:
    """One class: n is the number of rows whose label it is, n_predicted of those predicted as it, `hits` of those that
    are both (None where only ready-made figures are known).

    Detection: n counts the true boxes, n_predicted and hits those found at a confidence and an overlap of 0.5;
    `averages` holds map, ap50, ap75, ar1, ar10 and ar100 of the class."""

    name: str
    n: int
    n_predicted: int
    precision: Estimate
    recall: Estimate
    f1: Estimate
    hits: int | None = None
    averages: dict[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True)
class SliceRow:
    """One slice. Classification: macro F1, precision and recall over its rows, accuracy; multi-label: macro,
    micro and samples F1, subset accuracy; regression: rmse and mae; detection: map, ap50, ap75, ar100.

    `kind` is "declared", "file", "saved" or "found"; `verdict` compares the headline metric with the rows outside
    the slice; None for suspected label errors, which are found by being wrong.
    """

    name: str
    kind: str
    description: str
    filter: str
    n: int
    metrics: dict[str, Estimate]
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Confusion:
    """Counts by label (rows) and prediction (columns), labels in the evaluation's class order.

    `labels` covers every class seen in either column; `cells` holds only the non-zero counts as (row, column, n).
    """

    labels: tuple[str, ...]
    cells: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Residuals:
    """Regression residuals (prediction - label) as a histogram: `edges` has one entry more than `counts`.

    `points` is an evenly drawn sample of (label, prediction) for the scatter plot, `sampled_from` rows in all.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    points: tuple[tuple[float, float], ...]
    sampled_from: int


@dataclass(frozen=True)
class Measured:
    """The part of a performance report that depends on table, filter and slice only, and is cached."""

    n: int
    n_unlabelled: int
    overall: dict[str, Estimate]
    classes: tuple[ClassRow, ...] = ()
    slices: tuple[SliceRow, ...] = ()
    confusion: Confusion | None = None
    residuals: Residuals | None = None
    problems: tuple[Problem, ...] = ()


def measure_classes(cube: Cube, slices: Sequence[Slice], chosen: int | None, min_rows: int) -> Measured:
    """All figures of a classifier from its cube, over all rows or over the chosen slice's."""
    counts = cube.counts(chosen)
    return Measured(
        n=counts.total,
        n_unlabelled=int(cube.unlabelled[0 if chosen is None else chosen + 1]),
        overall=intervals.bootstrap_estimates(counts, min_rows),
        classes=class_rows(counts, min_rows),
        slices=slice_rows(cube, slices, min_rows),
        confusion=confusion_of(counts),
    )


def measure_sets(sums: SetSums, slices: Sequence[Slice], chosen: int | None, min_rows: int) -> Measured:
    """All figures of a multi-label evaluation from its sums, over all rows or over the chosen slice's."""
    group = 0 if chosen is None else chosen + 1
    rest = sums.minus()
    return Measured(
        n=int(sums.n[group]),
        n_unlabelled=int(sums.unlabelled[group]),
        overall=multilabel.set_estimates(sums, group, min_rows),
        classes=rows_of_figures(sums.classes, multilabel.class_figures_of(sums, group), min_rows),
        slices=tuple(
            _slice_row(
                item,
                multilabel.set_estimates(sums, i, min_rows),
                multilabel.set_estimates(rest, i, min_rows),
                min_rows,
                _SET_METRICS,
            )
            for i, item in enumerate(slices, 1)
        ),
    )


def class_rows(counts: Counts, min_rows: int) -> tuple[ClassRow, ...]:
    """A row for every class that occurs as label or prediction."""
    return rows_of_figures(counts.classes, class_figures(counts), min_rows)


def rows_of_figures(classes: Sequence[str], figures: ClassFigures, min_rows: int) -> tuple[ClassRow, ...]:
    """A row for every class that the figures saw."""
    estimates = intervals.class_estimates(figures, min_rows)
    return tuple(
        ClassRow(name, int(figures.support[i]), int(figures.predicted[i]), *estimates[i], int(figures.hits[i]))
        for i, name in enumerate(classes)
        if figures.seen[i]
    )


def slice_rows(cube: Cube, slices: Sequence[Slice], min_rows: int) -> tuple[SliceRow, ...]:
    """Every slice's averages, and its macro F1 against the rows outside it."""
    cells = Counts(cube.classes, cube.row, cube.col, cube.n)
    inside = intervals.slice_estimates(cells, cube.slices, min_rows)
    outside = intervals.slice_estimates(cells, cube.n - cube.slices, min_rows)
    return tuple(_slice_row(*parts, min_rows) for parts in zip(slices, inside, outside, strict=True))


def _slice_row(
    item: Slice,
    inside: dict[str, Estimate],
    outside: dict[str, Estimate],
    min_rows: int,
    names: Sequence[str] = _SLICE_METRICS,
) -> SliceRow:
    head, rest = inside["macro_f1"], outside["macro_f1"]
    verdict = comparison.independent(head, rest, higher_is_better=True, min_rows=min_rows)
    metrics = {name: inside[name] for name in names}
    told = None if (item.kind, item.name) == ("found", LABEL_ERRORS) else verdict
    return SliceRow(item.name, item.kind, item.description, item.filter, head.n, metrics, told)


def confusion_of(counts: Counts) -> Confusion:
    """The confusion matrix over the classes that occur in these rows."""
    seen = [int(i) for i in class_figures(counts).seen.nonzero()[0]]
    place = {index: position for position, index in enumerate(seen)}
    cells = zip(counts.row.tolist(), counts.col.tolist(), counts.n.tolist(), strict=True)
    return Confusion(
        tuple(counts.classes[index] for index in seen), tuple((place[i], place[j], n) for i, j, n in cells)
    )


def measure_errors(
    tables: Tables, evaluation: Evaluation, where: str, slices: Sequence[Slice], chosen: int | None, min_rows: int
) -> Measured:
    """All figures of a regression where checked SQL holds, over all rows or over the chosen slice's."""
    every, *parts = regression.error_sums(tables, evaluation, where, [item.condition for item in slices])
    errors = every if chosen is None else parts[chosen]
    here = where if chosen is None else f"({where}) AND ({slices[chosen].condition})"
    found = regression.residual_counts(tables, evaluation, here)
    return Measured(
        n=errors.n,
        n_unlabelled=errors.unlabelled,
        overall={
            "mae": regression.mean_absolute(errors, min_rows),
            "rmse": regression.root_mean_square(errors, min_rows),
            "r2": regression.determination(tables, evaluation, here, min_rows),
        },
        slices=tuple(
            error_row(item, part, every.minus(part), min_rows) for item, part in zip(slices, parts, strict=True)
        ),
        residuals=Residuals(found.edges, found.counts, found.points, found.n) if found.n else None,
    )


def error_row(item: Slice, inside: regression.Errors, outside: regression.Errors, min_rows: int) -> SliceRow:
    """One slice's RMSE and MAE, and its RMSE against the rows outside it."""
    metrics = {
        "rmse": regression.root_mean_square(inside, min_rows),
        "mae": regression.mean_absolute(inside, min_rows),
    }
    rest = regression.root_mean_square(outside, min_rows)
    verdict = comparison.independent(metrics["rmse"], rest, higher_is_better=False, min_rows=min_rows)
    return SliceRow(item.name, item.kind, item.description, item.filter, inside.n, metrics, verdict)
