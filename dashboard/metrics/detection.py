"""Average precision and recall of detections as COCO defines them, with intervals over the pictures.

Definitions: Lin and others 2014, "Microsoft COCO"; https://cocodataset.org/#detection-eval, and pycocotools, to which
the figures are equal (area range "all", no crowd regions).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import nan

import numpy as np

from dashboard.metrics.boxes import Boxes, Flags, Floats, Ints, Scenes
from dashboard.metrics.estimate import Estimate

OVERLAPS: Floats = np.linspace(0.5, 0.95, 10)
RECALLS: Floats = np.linspace(0.0, 1.0, 101)
MOST = (1, 10, 100)
REPLICATES = 200
NAMES = ("map", "ap50", "ap75", "ar1", "ar10", "ar100")
_PAIRS = 4_000_000


@dataclass(frozen=True, eq=False)
class Matches:
    """Which true object each detection takes, at each of the ten overlaps.

    Detections are the best 100 of a picture and class, ordered by class, picture and `rank` among them; `box` is the
    position in the scenes' boxes; `taken` (overlap x detection) the position of the true box, or -1.
    """

    n_images: int
    n_classes: int
    box: Ints
    image: Ints
    label: Ints
    score: Floats
    rank: Ints
    taken: Ints
    truth_image: Ints
    truth_label: Ints


@dataclass(frozen=True, eq=False)
class Averages:
    """Figures by replicate (first axis): `overall` by name in NAMES (second), `classes` by class and name (2nd, 3rd).

    NaN where a class has no true object.
    """

    overall: Floats
    classes: Floats


@dataclass(frozen=True)
class Outcomes:
    """True positives, false positives and misses of one class at a confidence and an overlap."""

    tp: int
    fp: int
    fn: int


def match(scenes: Scenes) -> Matches:
    """Match greedily as COCO does: best score first, each takes the free true box of its class that it overlaps most.

    Of true boxes that are overlapped equally the last one is taken; an overlap is intersection over union.
    """
    found, truth, n = scenes.found, scenes.truth, len(scenes.numbers)
    order = np.lexsort((-found.score, found.image, found.label))
    rank = _rank(found.label[order] * n + found.image[order])
    box, rank = order[rank < MOST[-1]], rank[rank < MOST[-1]]
    taken = np.full((len(OVERLAPS), len(box)), -1, np.int64)
    used = np.zeros((len(OVERLAPS), len(truth)), bool)
    det, obj, overlap = _pairs(found, truth, box, n)
    best = np.lexsort((obj, overlap, det, rank[det]))
    det, obj, overlap = det[best], obj[best], overlap[best]
    ends = np.searchsorted(rank[det], np.arange(rank.max(initial=-1) + 2))
    for start, end in pairwise(ends.tolist()):
        if start < end:
            _take(det[start:end], obj[start:end], overlap[start:end], taken, used)
    return Matches(
        n, len(scenes.classes), box, found.image[box], found.label[box], found.score[box], rank, taken,
        truth.image, truth.label,
    )  # fmt: skip


def _rank(group: Ints) -> Ints:
    """The position of each element in its run of equal values."""
    if not len(group):
        return group
    first = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    return np.arange(len(group)) - np.repeat(first, np.diff(np.r_[first, len(group)]))


def _pairs(found: Boxes, truth: Boxes, box: Ints, n: int) -> tuple[Ints, Ints, Floats]:
    """Detections (as positions in `box`) and true boxes of the same picture and class that overlap by half or more."""
    mine, theirs = found.label[box] * n + found.image[box], truth.label * n + truth.image
    order = np.argsort(theirs, kind="stable")
    low, high = (np.searchsorted(theirs[order], mine, side) for side in ("left", "right"))
    count = high - low
    parts: list[tuple[Ints, Ints, Floats]] = []
    # in portions, because crowded pictures have many pairs of which few overlap
    for part in np.array_split(np.arange(len(box)), 1 + int(count.sum()) // _PAIRS):
        det = np.repeat(part, count[part])
        obj = order[np.repeat(low[part], count[part]) + _rank(det)]
        overlap = overlaps(found.place[box[det]], truth.place[obj])
        kept = overlap >= OVERLAPS[0]
        parts.append((det[kept], obj[kept], overlap[kept]))
    det, obj, overlap = (np.concatenate(column) for column in zip(*parts, strict=True))
    return det, obj, overlap


def overlaps(one: Floats, other: Floats) -> Floats:
    """Intersection over union of boxes (n x 4: x, y, w, h) pair by pair; 0 where they do not meet."""
    low = np.maximum(one[..., :2], other[..., :2])
    sides = np.minimum(one[..., :2] + one[..., 2:], other[..., :2] + other[..., 2:]) - low
    inside = np.where((sides > 0).all(-1), sides.prod(-1), 0.0)
    union = one[..., 2:].prod(-1) + other[..., 2:].prod(-1) - inside
    share: Floats = np.divide(inside, union, out=np.zeros_like(inside), where=inside > 0)
    return share


def _take(det: Ints, obj: Ints, overlap: Floats, taken: Ints, used: Flags) -> None:
    """Detections of one rank, so of different pictures or classes, take their last free pair (the best one)."""
    free = (overlap >= OVERLAPS[:, None]) & ~used[:, obj]
    first = np.flatnonzero(np.r_[True, det[1:] != det[:-1]])
    best = np.maximum.reduceat(np.where(free, np.arange(len(det)), -1), first, axis=1)
    at, which = np.nonzero(best >= 0)
    pair = best[at, which]
    taken[at, det[pair]] = obj[pair]
    used[at, obj[pair]] = True


def averages(matches: Matches, weights: Floats) -> Averages:
    """The figures with every picture counted as often as its weight (replicate x picture) says."""
    classes = np.full((len(weights), matches.n_classes, len(NAMES)), nan)
    ends = np.searchsorted(matches.label, np.arange(matches.n_classes + 1))
    for label in range(matches.n_classes):
        objects = np.bincount(matches.truth_image[matches.truth_label == label], minlength=matches.n_images)
        part = slice(ends[label], ends[label + 1])
        order = part.start + np.argsort(-matches.score[part], kind="stable")
        classes[:, label] = _class_averages(matches, order, weights, weights @ objects)
    seen = ~np.isnan(classes)
    overall = np.where(seen, classes, 0).sum(1) / np.where(seen.any(1), seen.sum(1), nan)
    return Averages(overall, classes)


def _class_averages(matches: Matches, order: Ints, weights: Floats, objects: Floats) -> Floats:
    """One class's figures by replicate; `order` are its detections by falling score, `objects` its true boxes."""
    own = weights[:, matches.image[order]]
    until = own.cumsum(1)
    there = np.where(objects > 0, objects, nan)
    precision, recall = np.empty((len(OVERLAPS), len(weights))), np.empty((len(OVERLAPS), len(MOST), len(weights)))
    for at, taken in enumerate(matches.taken[:, order]):
        hits = np.flatnonzero(taken >= 0)
        precision[at] = _interpolated(own[:, hits], until[:, hits], there)
        for k, most in enumerate(MOST):
            recall[at, k] = own[:, hits[matches.rank[order[hits]] < most]].sum(1) / there
    ar = recall.mean(0)
    return np.stack([precision.mean(0), precision[0], precision[5], *ar], axis=1)


def _interpolated(hits: Floats, until: Floats, there: Floats) -> Floats:
    """Precision averaged over 101 recalls; at hits only, because between them precision falls and recall stands."""
    if not hits.shape[1]:
        return np.where(np.isnan(there), nan, 0.0)
    right = hits.cumsum(1)
    precision = right / (until + np.spacing(1))
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = right / np.where(np.isnan(there), 1.0, there)[:, None]
    # all replicates in one search: their recalls, 0 to 1, are set 2 apart
    apart = 2.0 * np.arange(len(recall))[:, None]
    at = np.searchsorted((recall + apart).ravel(), (RECALLS + apart).ravel()).reshape(len(recall), -1)
    at -= recall.shape[1] * np.arange(len(recall))[:, None]
    found = np.take_along_axis(np.pad(best, ((0, 0), (0, 1))), at, axis=1)
    return np.asarray(np.where(np.isnan(there), nan, found.mean(1)))


def bootstrap(n: int, chosen: Flags | None = None, seed: int = 0) -> Floats:
    """Weights of the pictures (1 + 200 replicates x n): first all once, then drawn with replacement."""
    every = np.ones(n) if chosen is None else chosen.astype(np.float64)
    total = int(every.sum())
    if not total:
        return np.zeros((1, n))
    drawn = np.random.default_rng(seed).multinomial(total, every / total, REPLICATES)
    return np.vstack([every, drawn]).astype(np.float64)


def estimates(figures: Floats, n: int, min_rows: int) -> dict[str, Estimate]:
    """Figures by name from their replicates (1 + 200 x name): the first is the value, percentiles the interval."""
    return {name: _estimate(figures[:, at], n, min_rows) for at, name in enumerate(NAMES)}


def _estimate(figures: Floats, n: int, min_rows: int) -> Estimate:
    value, drawn = figures[0], figures[1:][~np.isnan(figures[1:])]
    if np.isnan(value):
        return Estimate(0.0, nan, nan, n, n < min_rows, True)
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (nan, nan)
    return Estimate(float(value), float(min(low, value)), float(max(high, value)), n, n < min_rows)


def objects_of(matches: Matches, chosen: Flags | None = None) -> Ints:
    """How many true objects of each class there are."""
    labels = matches.truth_label if chosen is None else matches.truth_label[chosen[matches.truth_image]]
    return np.bincount(labels, minlength=matches.n_classes)


def right_at(matches: Matches, confidence: float, overlap: int) -> tuple[Flags, Flags, Flags]:
    """Which detections count at a confidence, which of them are right at OVERLAPS[overlap], which true boxes are found.

    A detection below the confidence never takes a true box from one above it, so one matching serves every confidence.
    """
    counted = matches.score >= confidence
    right = counted & (matches.taken[overlap] >= 0)
    found = np.zeros(len(matches.truth_label), bool)
    found[matches.taken[overlap][right]] = True
    return counted, right, found


def outcomes(matches: Matches, confidence: float, overlap: int, chosen: Flags | None = None) -> Mapping[int, Outcomes]:
    """Counts by class index at a confidence and OVERLAPS[overlap], over all pictures or the chosen ones."""
    counted, right, found = right_at(matches, confidence, overlap)
    here = np.ones(matches.n_images, bool) if chosen is None else chosen
    inside, there = here[matches.image], here[matches.truth_image]

    def count(labels: Ints) -> Ints:
        return np.bincount(labels, minlength=matches.n_classes)

    tp = count(matches.label[right & inside])
    fp = count(matches.label[counted & ~right & inside])
    fn = count(matches.truth_label[~found & there])
    return {label: Outcomes(int(tp[label]), int(fp[label]), int(fn[label])) for label in range(matches.n_classes)}
