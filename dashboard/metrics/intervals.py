"""95% intervals from counts: Wilson, the delta method, and a bootstrap that never touches rows."""

from math import isnan, nan

import numpy as np

from dashboard.metrics.classification import ClassFigures, Floats, averages, class_figures, figures_of, ratio
from dashboard.metrics.cube import Counts, Ints
from dashboard.metrics.estimate import Estimate

Z = 1.959963984540054
REPLICATES = 2000
_LARGEST_DRAW = 4_000_000
_SMALLEST_CLASS = 20


def wilson(part: Floats, whole: Floats) -> tuple[Floats, Floats]:
    """Wilson's score interval of part/whole (both may be fractional); NaN where whole is 0. Wilson 1927, JASA 22."""
    p, n = ratio(part, whole), np.where(whole > 0, whole, nan)
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(np.maximum(p * (1 - p), 0) / n + Z**2 / (4 * n**2))
    return np.minimum(np.clip(centre - half, 0, 1), p + 0 * n), np.maximum(np.clip(centre + half, 0, 1), p + 0 * n)


def proportion(part: float, whole: float, min_rows: int) -> Estimate:
    """A proportion with Wilson's interval; undefined, with value 0, for whole = 0."""
    low, high = wilson(np.array([float(part)]), np.array([float(whole)]))
    value = part / whole if whole else 0.0
    return Estimate(value, float(low[0]), float(high[0]), int(whole), whole < min_rows, whole == 0)


def class_estimates(figures: ClassFigures, min_rows: int) -> list[tuple[Estimate, Estimate, Estimate]]:
    """Precision, recall and F1 of every class with intervals.

    F1 = 2q/(1+q) grows with q = hits/(rows labelled or predicted so), a proportion, so its interval is Wilson's for
    q carried over (Hand, Christen, Kirielle 2021, Machine Learning 110); to first order it is the delta method's.
    """
    union = figures.support + figures.predicted - figures.hits
    f1_low, f1_high = (2 * bound / (1 + bound) for bound in wilson(figures.hits, union))
    parts = [
        (figures.precision, *wilson(figures.hits, figures.predicted), figures.predicted),
        (figures.recall, *wilson(figures.hits, figures.support), figures.support),
        (figures.f1, np.minimum(f1_low, figures.f1), np.maximum(f1_high, figures.f1), union),
    ]
    rows = [
        [
            Estimate(float(v), float(lo), float(hi), int(n), bool(n < min_rows), bool(n == 0))
            for v, lo, hi, n in zip(*part, strict=True)
        ]
        for part in parts
    ]
    return list(zip(*rows, strict=True))


def gradients(counts: Counts, figures: ClassFigures) -> dict[str, Floats]:
    """d average / d n[cell] for every average. All are homogeneous of degree 0, so sum(n * gradient) = 0.

    Leading axes of the figures (slices) are leading axes of the result; `counts` gives rows and columns of the cells.
    """
    i, j = counts.row, counts.col
    total = np.maximum(figures.support.sum(axis=-1, keepdims=True), 1)
    seen = np.maximum(figures.seen.sum(axis=-1, keepdims=True), 1)
    hit = np.broadcast_to((i == j).astype(np.float64), (*figures.support.shape[:-1], len(i)))
    mean = {name: np.asarray(value)[..., None] for name, value in averages(figures).items()}
    precision = ratio(hit - figures.precision[..., j], figures.predicted[..., j])
    recall = ratio(hit - figures.recall[..., i], figures.support[..., i])
    size, weight = figures.support + figures.predicted, figures.support / total
    f1_row = ratio(hit - figures.f1[..., i], size[..., i])
    f1_col = ratio(hit - figures.f1[..., j], size[..., j])
    by_precision = (figures.precision[..., i] - mean["weighted_precision"]) / total
    by_f1 = (figures.f1[..., i] - mean["weighted_f1"]) / total
    return {
        "accuracy": (hit - mean["accuracy"]) / total,
        "macro_precision": precision / seen,
        "macro_recall": recall / seen,
        "macro_f1": (f1_row + f1_col) / seen,
        "weighted_precision": by_precision + weight[..., j] * precision,
        "weighted_recall": (hit - mean["weighted_recall"]) / total,
        "weighted_f1": by_f1 + weight[..., i] * f1_row + weight[..., j] * f1_col,
    }


def delta_variances(counts: Counts, n: Ints, figures: ClassFigures) -> dict[str, Floats]:
    """The variance of every average under multinomial sampling of the rows: sum of n * gradient**2 over cells."""
    return {name: (n * slope**2).sum(axis=-1) for name, slope in gradients(counts, figures).items()}


def delta_estimates(counts: Counts, min_rows: int) -> dict[str, Estimate]:
    """The averages of one set of rows with intervals from the counts alone; see slice_estimates."""
    return slice_estimates(counts, counts.n[None, :], min_rows)[0]


def slice_estimates(cells: Counts, n: Ints, min_rows: int) -> list[dict[str, Estimate]]:
    """The averages of many slices at once, with intervals: `n` is slice x cell, over the rows and columns of `cells`.

    An average's half widths are those of its classes (Wilson) taken together as for a sum (Zou and Donner 2008, Stat.
    Med. 27), stretched by the delta method's share of covariance between classes. With many rows this is the delta
    method; with few it neither collapses at 0 or 1 nor covers too seldom. Accuracy and weighted recall: Wilson's.
    """
    # by parts, because the gradients hold several numbers per slice and cell
    step = max(1, _LARGEST_DRAW // max(n.shape[1], 1) // 8)
    return [
        estimate
        for start in range(0, len(n), step)
        for estimate in _slice_estimates(cells, n[start : start + step], min_rows)
    ]


def _slice_estimates(cells: Counts, n: Ints, min_rows: int) -> list[dict[str, Estimate]]:
    figures = grouped_figures(cells, n.astype(np.float64))
    total, means = n.sum(axis=-1), averages(figures)
    variances = delta_variances(cells, n, figures)
    ends = {}
    share = figures.support / np.maximum(total, 1)[:, None]
    seen = figures.seen / np.maximum(figures.seen.sum(axis=-1), 1)[:, None]
    for name in ("precision", "recall", "f1"):
        sides = class_sides(figures, name)
        for metric, weights in ((f"macro_{name}", seen), (f"weighted_{name}", share)):
            ends[metric] = combined(means[metric], weights, sides, variances[metric])
    ends["accuracy"] = ends["weighted_recall"] = wilson(figures.hits.sum(axis=-1), total.astype(np.float64))
    columns = {name: [part.tolist() for part in (means[name], *ends[name])] for name in means}
    return [
        {
            name: Estimate(value[k], low[k], high[k], rows, rows < min_rows)
            if rows
            else Estimate(0.0, nan, nan, 0, True, True)
            for name, (value, low, high) in columns.items()
        }
        for k, rows in enumerate(total.tolist())
    ]


def class_sides(figures: ClassFigures, name: str) -> tuple[Floats, Floats, Floats]:
    """Per class, of one figure: the distances to the interval's ends, and the delta method's variance of it alone."""
    union = figures.support + figures.predicted - figures.hits
    whole = {"precision": figures.predicted, "recall": figures.support, "f1": union}[name]
    share = ratio(figures.hits, whole)
    low, high = (np.nan_to_num(bound) for bound in wilson(figures.hits, whole))
    variance = ratio(share * (1 - share), whole)
    if name != "f1":
        return share - low, high - share, variance
    return (
        figures.f1 - 2 * low / (1 + low),
        2 * high / (1 + high) - figures.f1,
        4 * variance / (1 + share) ** 4,
    )


def combined(
    value: Floats, weights: Floats, sides: tuple[Floats, Floats, Floats], variance: Floats
) -> tuple[Floats, Floats]:
    """The ends of a weighted mean's interval: its classes' sides added up as for a sum, stretched to its variance."""
    below, above, single = sides
    alone = (weights**2 * single).sum(axis=-1)
    stretch = np.where((alone > 0) & (variance > 0), ratio(variance, alone), 1.0)
    down, up = (np.sqrt(stretch * (weights**2 * side**2).sum(axis=-1)) for side in (below, above))
    return np.maximum(value - down, 0.0), np.minimum(value + up, 1.0)


def bootstrap_estimates(counts: Counts, min_rows: int, replicates: int = REPLICATES) -> dict[str, Estimate]:
    """The averages with percentile intervals over multinomial redraws of the counts (fixed seed): for headlines.

    Costs the same for any number of rows. A bootstrap of classes with fewer than 20 rows covers too seldom (87% for
    95% in simulation), and above four million drawn cells it is slow and agrees with the delta method: there the
    latter stands in.
    """
    result, figures = delta_estimates(counts, min_rows), class_figures(counts)
    union = (figures.support + figures.predicted - figures.hits)[figures.seen]
    if counts.n.size * replicates > _LARGEST_DRAW or not union.size or union.min() < _SMALLEST_CLASS:
        return result
    drawn = averages(redrawn(counts, replicates))
    for name in ("macro_precision", "macro_recall", "macro_f1", "weighted_precision", "weighted_f1"):
        value = result[name].value
        low, high = (float(bound) for bound in np.quantile(drawn[name], (0.025, 0.975)))
        # without any spread (all right or all wrong) redraws know nothing of what n rows could hide
        if high - low > 1e-12:
            result[name] = Estimate(value, min(low, value), max(high, value), counts.total, result[name].too_few)
    return result


def redrawn(counts: Counts, replicates: int) -> ClassFigures:
    """Class figures of multinomial redraws, shape (replicates, classes)."""
    return grouped_figures(counts, draw(counts.n, replicates))


def grouped_figures(cells: Counts, n: Floats) -> ClassFigures:
    """Class figures of many counts over the same cells, shape (counts, classes)."""
    size, diagonal = len(cells.classes), cells.row == cells.col
    return figures_of(
        group_sums(n, cells.row, size),
        group_sums(n, cells.col, size),
        group_sums(n[:, diagonal], cells.row[diagonal], size),
    )


def draw(n: Ints, replicates: int) -> Floats:
    """Multinomial redraws of counts with a fixed seed, shape (replicates, cells)."""
    return np.random.default_rng(20_17).multinomial(int(n.sum()), n / n.sum(), size=replicates).astype(np.float64)


def group_sums(draws: Floats, groups: Ints, size: int) -> Floats:
    """Sums of columns that share a group, shape (replicates, size)."""
    result = np.zeros((len(draws), size))
    if groups.size:
        order = np.argsort(groups, kind="stable")
        ordered = groups[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        result[:, ordered[starts]] = np.add.reduceat(draws[:, order], starts, axis=1)
    return result


def known_interval(estimate: Estimate) -> bool:
    """Whether an estimate has an interval at all."""
    return not (isnan(estimate.low) or isnan(estimate.high))
