"""Classification figures from counts: per class, macro and weighted, equal to scikit-learn with zero_division=0."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.metrics.cube import Counts, Ints

Floats = NDArray[np.float64]
AVERAGES = (
    "accuracy",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "weighted_precision",
    "weighted_recall",
    "weighted_f1",
)


@dataclass(frozen=True, eq=False)
class ClassFigures:
    """Per class (last axis; leading axes are replicates): rows labelled so, predicted so, both, and the ratios."""

    support: Floats
    predicted: Floats
    hits: Floats
    precision: Floats
    recall: Floats
    f1: Floats

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Classes that occur as label or as prediction: those that scikit-learn averages over."""
        seen: NDArray[np.bool_] = (self.support + self.predicted) > 0
        return seen


def ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole, and 0 where whole is 0."""
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0)


def figures_of(support: Floats, predicted: Floats, hits: Floats) -> ClassFigures:
    """The ratios of precision = hits/predicted, recall = hits/support, F1 = 2 hits/(support + predicted)."""
    return ClassFigures(
        support, predicted, hits, ratio(hits, predicted), ratio(hits, support), ratio(2 * hits, support + predicted)
    )


def class_figures(counts: Counts) -> ClassFigures:
    """Figures of every class of a confusion matrix, in its order."""
    size = len(counts.classes)
    diagonal = counts.row == counts.col
    return figures_of(
        _per_class(counts.row, counts.n, size),
        _per_class(counts.col, counts.n, size),
        _per_class(counts.row[diagonal], counts.n[diagonal], size),
    )


def _per_class(index: Ints, n: Ints, size: int) -> Floats:
    return np.bincount(index, weights=n, minlength=size).astype(np.float64)


def averages(figures: ClassFigures) -> dict[str, Floats]:
    """The seven AVERAGES over the last axis; 0 for no rows. Macro averages run over the classes seen."""
    seen = figures.seen
    total = figures.support.sum(axis=-1)
    result = {"accuracy": ratio(figures.hits.sum(axis=-1), total)}
    for name in ("precision", "recall", "f1"):
        result[f"macro_{name}"] = ratio(np.where(seen, getattr(figures, name), 0.0).sum(axis=-1), seen.sum(axis=-1))
    for name in ("precision", "recall", "f1"):
        result[f"weighted_{name}"] = ratio((getattr(figures, name) * figures.support).sum(axis=-1), total)
    return result
