"""ROC, precision-recall, lift, calibration and thresholds from score histograms, with stated error bounds."""

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma

from dashboard.metrics.classification import Floats, ratio
from dashboard.metrics.cube import Ints
from dashboard.metrics.estimate import Estimate
from dashboard.metrics.intervals import Z, wilson
from dashboard.metrics.score_counts import ScoreCounts as ScoreCounts
from dashboard.metrics.score_counts import count_scores as count_scores
from dashboard.metrics.score_counts import score_column as score_column
from dashboard.metrics.score_counts import score_counts as score_counts


@dataclass(frozen=True, eq=False)
class Tails:
    """Rows predicted as the class at each threshold (falling), with 0 first: true and false positives."""

    true: Floats
    false: Floats
    thresholds: Floats


def tails(counts: ScoreCounts) -> Tails:
    """Cumulated counts from the highest score downwards; the first entry predicts nothing."""
    true = np.concatenate(([0], counts.positive[::-1].cumsum()))
    false = np.concatenate(([0], counts.negative[::-1].cumsum()))
    return Tails(true.astype(float), false.astype(float), np.concatenate(([np.inf], counts.lower_edges[::-1])))


def roc(counts: ScoreCounts) -> tuple[Floats, Floats, Floats]:
    """False-positive rate, true-positive rate and threshold, from nothing predicted to everything."""
    found = tails(counts)
    return ratio(found.false, found.false[-1:]), ratio(found.true, found.true[-1:]), found.thresholds


def precision_recall(counts: ScoreCounts) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and threshold; precision is 1 where nothing is predicted, as scikit-learn draws it."""
    found = tails(counts)
    predicted = found.true + found.false
    precision = np.where(predicted > 0, ratio(found.true, predicted), 1.0)
    return precision, ratio(found.true, found.true[-1:]), found.thresholds


def lift(counts: ScoreCounts) -> tuple[Floats, Floats]:
    """Share of rows taken from the top, and how many times more often the class is among them than overall."""
    found = tails(counts)
    taken = found.true + found.false
    return ratio(taken, taken[-1:]), ratio(ratio(found.true, taken), ratio(found.true[-1:], taken[-1:]))


def auc(counts: ScoreCounts, min_rows: int = 10) -> Estimate:
    """Area under ROC by trapezoids: pairs within a bin count as half (see auc_error for what that may cost).

    The interval is DeLong's in the form of the bins' placement values (DeLong et al. 1988, Biometrics 44), on Wilson's
    scale, so that it stays within 0..1.
    """
    p, q = counts.positive.astype(float), counts.negative.astype(float)
    n_p, n_q = p.sum(), q.sum()
    n = int(n_p + n_q)
    if not (n_p and n_q):
        return Estimate(0.0, np.nan, np.nan, n, True, True)
    above_q = (q.cumsum() - q / 2) / n_q
    above_p = 1 - (p.cumsum() - p / 2) / n_p
    value = float((p * above_q).sum() / n_p)
    variance = float((p * (above_q - value) ** 2).sum()) / max(n_p - 1, 1) / n_p
    variance += float((q * (above_p - value) ** 2).sum()) / max(n_q - 1, 1) / n_q
    effective = value * (1 - value) / variance if variance > 0 and 0 < value < 1 else min(n_p, n_q)
    low, high = wilson(np.array([value * effective]), np.array([effective]))
    return Estimate(value, float(low[0]), float(high[0]), n, n < min_rows)


def auc_error(counts: ScoreCounts) -> float:
    """How far the binned AUC can be from the exact one: half of the pairs that share a bin but not a score."""
    p, q = counts.positive.astype(float), counts.negative.astype(float)
    return float(ratio(np.array((p * q)[~counts.tied].sum() / 2), np.array(p.sum() * q.sum())))


def average_precision(counts: ScoreCounts) -> float:
    """Sum of precision times the step in recall, bin by bin (scikit-learn's definition on binned scores)."""
    precision, recall, _ = precision_recall(counts)
    return float((np.diff(recall) * precision[1:]).sum())


def average_precision_estimate(counts: ScoreCounts, min_rows: int = 10) -> Estimate:
    """Average precision with the logistic interval of Boyd, Eng and Page 2013 (ECML, "point estimates and confidence
    intervals"): the standard error on the scale of the log odds is 1 / sqrt(positives * value * (1 - value))."""
    positives, n = int(counts.positive.sum()), int(counts.positive.sum() + counts.negative.sum())
    if not positives:
        return Estimate(0.0, np.nan, np.nan, n, True, True)
    value = average_precision(counts)
    if not 0 < value < 1:
        low, high = wilson(np.array([value * positives]), np.array([float(positives)]))
        return Estimate(value, float(low[0]), float(high[0]), n, n < min_rows)
    middle, wide = np.log(value / (1 - value)), Z / np.sqrt(positives * value * (1 - value))
    ends = [float(1 / (1 + np.exp(-(middle + side * wide)))) for side in (-1, 1)]
    return Estimate(value, ends[0], ends[1], n, n < min_rows)


def average_precision_error(counts: ScoreCounts) -> float:
    """How far the binned average precision can be from the exact one.

    At most, the class comes first in each bin with one score; at least, last and one by one: with a rows of the class
    among b rows before its p rows, the sum of (a + j) / (b + j) over j = 1..p, by the digamma function.
    """
    p, q = counts.positive[::-1].astype(float), counts.negative[::-1].astype(float)
    if not p.sum():
        return 0.0
    true, false, loose = p.cumsum() - p, q.cumsum() - q, ~counts.tied[::-1]
    binned = ratio(p * (true + p), true + false + p + q)[loose].sum()
    most = ratio(p * (true + p), true + false + p)[loose].sum()
    before = true + false + q
    least = (p + (true - before) * (digamma(before + p + 1) - digamma(before + 1)))[loose].sum()
    return float(max(most - binned, binned - least)) / float(p.sum())


@dataclass(frozen=True, eq=False)
class Calibration:
    """Groups of equal width: mean score, share of the class with interval, rows; `ece` is the expected error.

    `ece` = sum over groups of n/N * |share - mean score| (Naeini et al. 2015, AAAI); exact to half a bin.
    """

    score: Floats
    share: Floats
    low: Floats
    high: Floats
    n: Ints
    ece: float


def calibration(counts: ScoreCounts, groups: int = 10) -> Calibration:
    """Calibration in groups of equal score width; groups without rows are left out."""
    middle = counts.edges + counts.sizes / 2
    place = np.minimum(((middle - counts.low) / (counts.high - counts.low) * groups).astype(np.int64), groups - 1)
    every = counts.positive + counts.negative
    p, n, sums = (
        np.bincount(place, weights=part, minlength=groups) for part in (counts.positive, every, middle * every)
    )
    kept = n > 0
    score, share = sums[kept] / n[kept], p[kept] / n[kept]
    low, high = wilson(p[kept].astype(float), n[kept].astype(float))
    ece = float((n[kept] * np.abs(share - score)).sum() / max(n.sum(), 1))
    return Calibration(score, share, low, high, n[kept].astype(np.int64), ece)


@dataclass(frozen=True, eq=False)
class Costs:
    """Expected cost per row at each threshold (falling) with its 95% interval; `best` is the index of the lowest."""

    thresholds: Floats
    cost: Floats
    low: Floats
    high: Floats
    best: int


def costs(counts: ScoreCounts, false_positive: float, false_negative: float) -> Costs:
    """Cost per row = (fp * false_positive + fn * false_negative) / n; the interval is the normal one of that mean."""
    found = tails(counts)
    n = max(float(found.true[-1] + found.false[-1]), 1.0)
    fp, fn = found.false / n, (found.true[-1] - found.true) / n
    cost = fp * false_positive + fn * false_negative
    error = np.sqrt(np.maximum(fp * false_positive**2 + fn * false_negative**2 - cost**2, 0) / n)
    return Costs(found.thresholds, cost, np.maximum(cost - Z * error, 0), cost + Z * error, int(cost.argmin()))


def at_threshold(counts: ScoreCounts, threshold: float) -> tuple[int, int, int, int]:
    """(true positives, false positives, false negatives, true negatives) for score >= the bin edge next to it."""
    # a threshold that was written with fifteen digits means the edge that it was read from
    wanted = threshold - 1e-12 * max(1e-4, abs(threshold))
    start = int(np.searchsorted(counts.edges, wanted))
    tp, fp = int(counts.positive[start:].sum()), int(counts.negative[start:].sum())
    return tp, fp, int(counts.positive.sum()) - tp, int(counts.negative.sum()) - fp
