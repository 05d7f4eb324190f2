"""What the matrix of two groupings shows: by default labels against predictions, else any two categorical columns."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from dashboard.errors import BadQuery
from dashboard.metrics.arrangement import arrange, confusion_blocks
from dashboard.metrics.crosstab import Axis, column_axis, count_rows, one_column
from dashboard.metrics.cube import Ints
from dashboard.reports.chosen import Chosen, chosen_rows
from dashboard.reports.measured import Confusion
from dashboard.reports.other_runs import PREFIX, other_prediction, other_titles
from dashboard.reports.selection import measured_of
from mlflow_runs.errors import ArtifactUnreadable, DataMissing

if TYPE_CHECKING:
    from dashboard.services import Services

CODE_VERSION = 1
SHARES = {"": "counts", "row": "% of row", "column": "% of column"}
ARRANGEMENTS = {"": "given order", "blocks": "confusion blocks", "alphabet": "alphabet", "frequency": "frequency"}
LABEL, PREDICTION = "label", "prediction"
CLASSES = {"label", "prediction", "other"}


@dataclass(frozen=True)
class MatrixQuery:
    """Which matrix: `down` and `across` name a column, or another run's prediction as `run:<run id>` ("": label down,
    prediction across)."""

    run: str = ""
    filter: str = ""
    slice: str = ""
    down: str = ""
    across: str = ""
    shares: str = ""
    arrange: str = ""
    dim: str = ""


@dataclass(frozen=True)
class Side:
    """One axis: its name, the page's parameter that selects a value of it ("" where a filter does), and per value its
    name and its filter ("" where there is none)."""

    name: str
    parameter: str
    values: tuple[str, ...]
    filters: tuple[str, ...]


@dataclass(frozen=True)
class MatrixReport:
    """Rows counted by two groupings; `cells` are the non-zero (down, across, n). `choices` are the names of all axes
    to choose from; `classes` is true where both sides hold classes, so that a diagonal means right. `note` says why
    labels against predictions are shown instead of what was asked for, or how rows were joined with another run's.
    `titles` are the texts of choices that are not their own."""

    down: Side
    across: Side
    cells: tuple[tuple[int, int, int], ...]
    choices: tuple[str, ...]
    classes: bool
    note: str = ""
    titles: dict[str, str] = field(default_factory=dict)


def matrix_report(services: "Services", query: MatrixQuery) -> MatrixReport:
    """The matrix of the query's two axes over the rows that filter and slice choose, in the asked order.

    A column that this run does not have is told in `note`, because a link may outlive a change of the run.
    Errors: those of reading the run; BadQuery for an unknown order or share.
    """
    rows = chosen_rows(services, query.run, query.filter, query.slice)
    if rows.evaluation.task != "classification":
        raise DataMissing(f"A confusion matrix needs a classification; run {query.run} is {rows.evaluation.task}.")
    for text, known in ((query.shares, SHARES), (query.arrange, ARRANGEMENTS)):
        if text not in known:
            raise BadQuery(f"There is no {text[:40]!r} here; accepted: {', '.join(filter(None, known))}.")
    confusion = measured_of(services, rows.evaluation, rows.selection).value.confusion or Confusion((), ())
    asked, titles = (query.down or LABEL, query.across or PREDICTION), other_titles(services, rows.evaluation)
    try:
        axes, counts, note = matrix(services, rows, confusion, asked)
    except (BadQuery, DataMissing, ArtifactUnreadable) as exc:
        asked = (LABEL, PREDICTION)
        axes, counts, _ = matrix(services, rows, confusion, asked)
        note = f"{exc} Shown are labels against predictions."
    roles = rows.evaluation.roles
    choices = (LABEL, PREDICTION, *titles, *roles.slices, *roles.features)
    return replace(arranged(counts, axes, query.arrange, choices), note=note, titles=titles)


def matrix(
    services: "Services", rows: Chosen, confusion: Confusion, asked: tuple[str, str]
) -> tuple[list[Axis], Ints, str]:
    """Two axes by name, their counts, and what to say of rows that are not in them."""
    axes, note = [], ""
    for name in asked:
        if name.startswith(PREFIX):
            other = other_prediction(services, rows.evaluation, name)
            axes.append(other.axis(confusion.labels))
            note = other.note
        else:
            axes.append(axis_of(rows, name, confusion.labels))
    if not note:
        return axes, dense(confusion) if asked == (LABEL, PREDICTION) else counted(services, rows, axes, asked), ""
    if axes[0].rows and axes[1].rows and axes[0].rows != axes[1].rows:
        raise BadQuery("Predictions of one other run at a time can be shown.")
    names = tuple(dict.fromkeys(value for axis in axes if axis.column is None for value in axis.values))
    axes = [axis if axis.column else replace(axis, values=names) for axis in axes]
    counts = counted(services, rows, axes, asked)
    missing = sum(n for *_, n in confusion.cells) - int(counts.sum())
    return axes, counts, f"{note} {missing:,} rows have no prediction of it and are not counted." if missing else note


def counted(services: "Services", rows: Chosen, axes: list[Axis], asked: tuple[str, str]) -> Ints:
    """The counts of two axes, once per selection."""
    key = rows.key("matrix", CODE_VERSION, asked, [(axis.rows, axis.values) for axis in axes if axis.rows])
    where, codes = rows.where, rows.codes
    return services.cache.compute(
        key, lambda: count_rows(rows.tables, rows.evaluation, axes[0], axes[1], where, codes)
    ).value


def axis_of(rows: Chosen, name: str, classes: tuple[str, ...]) -> Axis:
    """The axis of a name; a column that is itself named label or prediction is the class column of that role."""
    if name in (LABEL, PREDICTION):
        return Axis("label" if name == LABEL else "prediction", name, classes)
    return column_axis(one_column(rows.tables, rows.evaluation, name, rows.codes))


def dense(confusion: Confusion) -> Ints:
    """The confusion matrix as an array, labels x predictions."""
    counts = np.zeros((len(confusion.labels), len(confusion.labels)), np.int64)
    for row, column, n in confusion.cells:
        counts[row, column] = n
    return counts


def arranged(counts: Ints, axes: list[Axis], how: str, choices: tuple[str, ...]) -> MatrixReport:
    """The report with rows and columns in order; groups of a column that have no rows are left out."""
    classes = len({axis.role for axis in axes} & CLASSES) == 2
    if classes and (how or any(axis.rows for axis in axes)):
        shared = counts if axes[0].role == "label" or axes[1].role == "other" else counts.T
        order = confusion_blocks(shared) if how == "blocks" else arrange(shared, list(axes[0].values), how)  # type: ignore[arg-type]
        order = order[(counts.sum(axis=0) + counts.sum(axis=1))[order] > 0]
        orders = [order, order]
    else:
        orders = [_order(axis, part, how) for axis, part in zip(axes, (counts, counts.T), strict=True)]
    table = counts[np.ix_(*orders)] if counts.size else counts
    cells = tuple((int(i), int(j), int(table[i, j])) for i, j in zip(*table.nonzero(), strict=True))
    sides = [_side(axis, order) for axis, order in zip(axes, orders, strict=True)]
    return MatrixReport(sides[0], sides[1], cells, choices, classes)


def _order(axis: Axis, counts: Ints, how: str) -> Ints:
    """The order of one side on its own; bins of numbers keep theirs."""
    ordinal = axis.column is not None and axis.column.kind == "number"
    order = arrange(counts, list(axis.values), "" if ordinal else how)  # type: ignore[arg-type]
    return order if axis.column is None and not axis.rows else order[counts.sum(axis=1)[order] > 0]


def _side(axis: Axis, order: Ints) -> Side:
    parameter = {"label": "label", "prediction": "predicted"}.get(axis.role, "")
    filters = axis.filters or ("",) * len(axis.values)
    return Side(axis.name, parameter, tuple(axis.values[i] for i in order), tuple(filters[i] for i in order))
