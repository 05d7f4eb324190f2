"""The prediction cube: one scan counts label x prediction over all rows and in every slice."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dashboard.metrics.columns import class_text, quoted
from dashboard.metrics.tables import Tables, source
from mlflow_runs.errors import DataMissing
from mlflow_runs.records import Evaluation

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Counts:
    """A sparse confusion matrix: cell i holds `n[i]` > 0 rows of label `classes[row[i]]` and prediction `col[i]`."""

    classes: tuple[str, ...]
    row: Ints
    col: Ints
    n: Ints

    @property
    def total(self) -> int:
        """Number of rows counted."""
        return int(self.n.sum())


@dataclass(frozen=True, eq=False)
class Cube:
    """Counts of one filter: `row`, `col` and `n` by cell, `slices` (slice x cell); `unlabelled[0]` and `[1 + slice]`
    are rows left out because label or prediction is missing."""

    classes: tuple[str, ...]
    row: Ints
    col: Ints
    n: Ints
    slices: Ints
    unlabelled: Ints

    def counts(self, index: int | None = None) -> Counts:
        """The confusion matrix of all rows, or of the slice at an index."""
        return _sparse(self.classes, self.row, self.col, self.n if index is None else self.slices[index])


def _sparse(classes: tuple[str, ...], row: Ints, col: Ints, n: Ints) -> Counts:
    kept = n > 0
    return Counts(classes, row[kept], col[kept], n[kept])


def count_cube(tables: Tables, evaluation: Evaluation, where: str, conditions: Sequence[str]) -> Cube:
    """Count an evaluation's rows by label and prediction where `where` holds, and where each slice's condition does.

    Conditions are checked SQL (see filters and slices). Classes keep the evaluation's order, others follow sorted.
    """
    path, label, prediction = needed(evaluation)
    types = tables.columns(path)
    inside = "".join(f", count(*) FILTER (WHERE {text}) AS s{i}" for i, text in enumerate(conditions))
    outside = "".join(f", sum(s{i})::BIGINT AS s{i}" for i in range(len(conditions)))
    # the class's text is made after counting, because it is dear per row and cheap per cell
    result = tables.query(
        f"SELECT {class_text('y_', types[label])} AS label, {class_text('p_', types[prediction])} AS prediction,"
        f" sum(n)::BIGINT AS n{outside} FROM (SELECT {quoted(label)} AS y_, {quoted(prediction)} AS p_, count(*) AS n"
        f"{inside} FROM {source(path)} WHERE {where} GROUP BY 1, 2) GROUP BY 1, 2"
    )
    n = result["n"].to_numpy().astype(np.int64)
    by_slice = [result[f"s{i}"].to_numpy().astype(np.int64) for i in range(len(conditions))]
    every = np.vstack([n, *by_slice]) if len(n) else np.zeros((1 + len(conditions), 0), np.int64)
    return cube_of(result["label"].to_pylist(), result["prediction"].to_pylist(), every, evaluation.classes)


def cube_of(
    labels: Sequence[str | None], predictions: Sequence[str | None], every: Ints, order: Sequence[str] = ()
) -> Cube:
    """A cube from counted cells: texts of label and prediction per cell, and counts (all rows, then slices) x cell."""
    pairs = ((y, p) for y, p in zip(labels, predictions, strict=True) if y is not None and p is not None)
    seen = {text for pair in pairs for text in pair}
    classes = (*(name for name in dict.fromkeys(order) if name in seen), *sorted(seen - set(order)))
    place = {name: index for index, name in enumerate(classes)}
    # -1: missing, or a class that occurs only beside a missing value and so in no row that counts
    row = np.array([place.get(text, -1) if text is not None else -1 for text in labels], dtype=np.int64)
    col = np.array([place.get(text, -1) if text is not None else -1 for text in predictions], dtype=np.int64)
    used = (row >= 0) & (col >= 0)
    cells = np.flatnonzero(used)[np.lexsort((col[used], row[used]))]
    return Cube(
        classes, row[cells], col[cells], every[0, cells], every[1:, cells], every[:, ~used].sum(axis=1).astype(np.int64)
    )


def needed(evaluation: Evaluation) -> tuple[Path, str, str]:
    """The table and its label and prediction columns; DataMissing says which is missing and what would be accepted."""
    roles = evaluation.roles
    if evaluation.table is None:
        raise DataMissing(f"Run {evaluation.run_id} carries no predictions table; log predictions.parquet or a CSV.")
    if roles.label is None:
        raise DataMissing(
            f"The predictions of run {evaluation.run_id} have no label column; expected is one named label, target,"
            " y_true or ground_truth, or named in evaluation.json."
        )
    if roles.prediction is None:
        raise DataMissing(
            f"The predictions of run {evaluation.run_id} have no prediction column; expected is one named prediction,"
            " y_pred or predicted, or named in evaluation.json."
        )
    return evaluation.table, roles.label, roles.prediction
