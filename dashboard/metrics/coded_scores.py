"""Score counts from the sidecar: the same as from the table, without unpacking it and in little memory."""

from collections.abc import Iterator

import numpy as np

from dashboard.metrics.breakdown import Mask
from dashboard.metrics.codes import Codes
from dashboard.metrics.score_counts import Part, ScoreCounts, count_parts, score_column
from mlflow_runs.records import Evaluation


def coded_scores(codes: Codes, evaluation: Evaluation, class_name: str, mask: Mask | None) -> ScoreCounts | None:
    """Scores of a class over the rows of a mask (None: all); None where the sidecar does not tell them.

    It does not where the scores are no plain column, or where rows lack a label or a prediction: cells are of both.
    Errors: DataMissing for a class without scores.
    """
    column, sign = score_column(evaluation, class_name)
    cells = codes.cells()
    if column not in codes.store.names or class_name not in codes.classes or not cells.all():
        return None
    if next((values.dtype.kind for _, values, _ in codes.store.number_parts(column)), "") != "f":
        return None
    hits = np.array((-1, *codes.row)) == codes.classes.index(class_name)

    def parts() -> Iterator[Part]:
        for start, values, missing in codes.store.number_parts(column):
            rows = slice(start, start + len(values))
            used = np.isfinite(values) if missing is None else np.isfinite(values) & ~missing
            if mask is not None:
                used &= mask[rows]
            scores = values[used].astype(np.float64)
            yield scores if sign > 0 else 1 - scores, hits[cells[rows][used]]

    ends = [(len(s), float(s.min()), float(s.max())) for s, _ in parts() if len(s)]
    total = codes.n if mask is None else int(mask.sum())
    low, high = (min(e[1] for e in ends), max(e[2] for e in ends)) if ends else (None, None)
    return count_parts(parts, low, high, left_out=total - sum(e[0] for e in ends))
