"""Average precision and recall against pycocotools on random boxes, and matching against a plain loop."""

import contextlib
import io
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.metrics import detection
from dashboard.metrics.boxes import Boxes, Scenes


def _boxes(rows, scored):
    table = np.array(rows, dtype=np.float64).reshape(-1, 7)
    score = table[:, 6] if scored else np.ones(len(table))
    return Boxes(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:6], score)


def scenes(truth, found, images, classes):
    """Pictures from rows of (picture, class, x, y, w, h, score)."""
    names = tuple(str(label) for label in range(classes))
    none = np.zeros((0, images), bool)
    return Scenes(np.arange(images), names, _boxes(truth, False), _boxes(found, True), none, 0)


# few places and scores, so that boxes overlap, tie and fall on the thresholds
PLACES = st.tuples(*(st.sampled_from([0, 1, 2, 4]) for _ in "xy"), *(st.sampled_from([4, 5, 8, 10]) for _ in "wh"))
SCORES = st.sampled_from([0.1, 0.3, 0.5, 0.9])
ROW = st.tuples(st.integers(0, 3), st.integers(0, 2), PLACES, SCORES).map(lambda row: (*row[:2], *row[2], row[3]))


@settings(max_examples=60, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=14), st.lists(ROW, max_size=25))
def test_figures_are_those_of_pycocotools(truth, found):
    matches = detection.match(scenes(truth, found, 4, 3))
    ours = detection.averages(matches, np.ones((1, 4)))
    overall, per_class = reference(truth, found, 4, 3)
    assert np.allclose(ours.overall[0], overall, atol=1e-12)
    assert np.allclose(ours.classes[0], per_class, atol=1e-12, equal_nan=True)


def test_a_large_evaluation_is_that_of_pycocotools():
    chance = np.random.default_rng(3)
    truth = [(i, chance.integers(5), *chance.uniform(0, 80, 2), *chance.uniform(5, 30, 2), 1) for i in range(40)] * 3
    moved = [(i, c, x + dx, y, w + dx, h, s) for i, c, x, y, w, h, _ in truth for dx, s in chance.random((3, 2)) * 4]
    crowd = [(0, 1, *chance.uniform(0, 80, 2), 9, 9, chance.random()) for _ in range(130)]  # beyond maxDets
    matches = detection.match(scenes(truth, moved + crowd, 40, 5))
    overall, per_class = reference(truth, moved + crowd, 40, 5)
    found = detection.averages(matches, np.ones((1, 40)))
    assert np.allclose(found.overall[0], overall, atol=1e-12)
    assert np.allclose(found.classes[0], per_class, atol=1e-12, equal_nan=True)


def reference(truth, found, images, classes):
    """NAMES overall and per class by pycocotools."""
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    truth_api = coco.COCO()
    entries = [
        {"id": n, "image_id": int(i) + 1, "category_id": int(c) + 1, "bbox": [float(v) for v in place], "iscrowd": 0,
         "area": float(place[2] * place[3])}
        for n, (i, c, *place, _) in enumerate(truth, 1)
    ]  # fmt: skip
    truth_api.dataset = {
        "images": [{"id": i + 1} for i in range(images)],
        "categories": [{"id": c + 1} for c in range(classes)],
        "annotations": entries,
    }
    results = [
        {"image_id": int(i) + 1, "category_id": int(c) + 1, "bbox": [float(v) for v in place], "score": float(score)}
        for i, c, *place, score in found
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth_api.createIndex()
        found_api = truth_api.loadRes(results) if results else coco.COCO()
        if not results:
            found_api.dataset = {**truth_api.dataset, "annotations": []}
            found_api.createIndex()
        run = cocoeval.COCOeval(truth_api, found_api, "bbox")
        run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
        run.evaluate()
        run.accumulate()
    precision, recall = run.eval["precision"][:, :, :, 0, 2], run.eval["recall"][:, :, 0]
    table = np.full((classes, 6), np.nan)
    for c in range(classes):
        if (recall[:, c] > -1).any():
            ar = recall[:, c].mean(0)
            table[c] = [precision[:, :, c].mean(), precision[0, :, c].mean(), precision[5, :, c].mean(), *ar]
    return np.nanmean(table, axis=0), table


@settings(max_examples=40, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=10), st.lists(ROW, max_size=15), SCORES, st.sampled_from([0, 5]))
def test_counts_at_a_confidence_are_those_of_a_plain_loop(truth, found, confidence, overlap):
    given_scenes = scenes(truth, found, 4, 3)
    counted = detection.outcomes(detection.match(given_scenes), confidence, overlap)
    limit = detection.OVERLAPS[overlap]
    for label in range(3):
        tp = fp = fn = 0
        for image in range(4):
            free = [row for row in truth if row[:2] == (image, label)]
            for row in sorted((r for r in found if r[:2] == (image, label)), key=lambda r: -r[6]):
                if row[6] < confidence:
                    continue
                scored = [(_overlap(row, other), at) for at, other in enumerate(free)]
                best = max((pair for pair in scored if pair[0] >= limit), default=None)
                tp, fp = (tp + 1, fp) if best else (tp, fp + 1)
                if best:
                    free.pop(best[1])
            fn += len(free)
        assert (counted[label].tp, counted[label].fp, counted[label].fn) == (tp, fp, fn)


def _overlap(one, other):
    (x, y, w, h), (p, q, r, s) = one[2:6], other[2:6]
    across, down = min(x + w, p + r) - max(x, p), min(y + h, q + s) - max(y, q)
    inside = across * down if across > 0 and down > 0 else 0
    return inside / (w * h + r * s - inside)


def test_weights_count_a_picture_as_often_as_copies_of_it_would():
    truth = [(i, i % 2, 5 * i, 0, 10, 10, 1) for i in range(3)]
    found = [(i, i % 2, 5 * i + d, 0, 10, 10, 0.9 - 0.1 * i - 0.02 * d) for i in range(3) for d in (0, 2, 7)]
    weights = np.array([[2.0, 0.0, 1.0]])
    weighted = detection.averages(detection.match(scenes(truth, found, 3, 2)), weights)
    copies = [(0, 0), (1, 0), (2, 2)]

    def copied(rows):
        return [(new, *row[1:]) for new, old in copies for row in rows if row[0] == old]

    plain = detection.averages(detection.match(scenes(copied(truth), copied(found), 3, 2)), np.ones((1, 3)))
    assert np.allclose(weighted.classes, plain.classes, equal_nan=True, atol=1e-9)


def test_pairs_are_the_same_in_portions():
    chance = np.random.default_rng(0)
    rows = [(i % 7, i % 2, *chance.uniform(0, 9, 2), 8, 8, chance.random()) for i in range(200)]
    whole = detection.match(scenes(rows, rows, 7, 2))
    with patch.object(detection, "_PAIRS", 10):
        parts = detection.match(scenes(rows, rows, 7, 2))
    assert np.array_equal(whole.taken, parts.taken)


def test_intervals_hold_the_value_and_nothing_is_undefined_without_objects():
    truth = [(i, 0, 0, 0, 10, 10, 1) for i in range(60)]
    found = [(i, 0, i % 4, 0, 10, 10, 0.5 + i / 200) for i in range(60)]
    matches = detection.match(scenes(truth, found, 60, 2))
    drawn = detection.averages(matches, detection.bootstrap(60))
    overall = detection.estimates(drawn.overall, 60, 30)["map"]
    assert overall.low < overall.value < overall.high and overall.n == 60 and not overall.too_few
    missing = detection.estimates(drawn.classes[:, 1], 0, 30)["map"]
    assert missing.undefined and missing.too_few
    empty = detection.averages(detection.match(scenes([], [], 0, 2)), detection.bootstrap(0))
    assert detection.estimates(empty.overall, 0, 30)["map"].undefined
