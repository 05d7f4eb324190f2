"""The detector: it learns, answers raw boxes in one tensor, and its recorded detections are what suppression leaves."""

import numpy as np
import pytest
import torch

from mlflow_runs.demo import digit_spotter
from mlflow_runs.demo.digit_scenes import SIDE, load
from mlflow_runs.demo.digit_spotter import BATCH, CLASSES, LEAST_SCORE, RAW, Spotter


@pytest.fixture(scope="module")
def split():
    return load(48, 12, 4)


def test_raw_boxes_come_in_one_tensor():
    with torch.random.fork_rng(devices=[]):
        raw = Spotter(8).eval()(torch.randn(2, 3, SIDE, SIDE))
    assert raw.shape == (2, RAW, 6)
    assert (raw[..., 4].diff(dim=1) <= 0).all() and raw[..., 4].min() > 0
    assert (raw[..., 2:4] >= raw[..., :2]).all() and raw[..., :4].min() >= 0 and raw[..., :4].max() <= SIDE
    assert set(raw[..., 5].unique().tolist()) <= set(range(len(CLASSES)))


def test_training_lowers_the_loss_and_is_repeatable(split):
    x, (corners, labels) = digit_spotter._tensor(split.train["image"]), digit_spotter._targets(split.train)
    torch.set_num_threads(1)  # as in training
    losses = []
    for steps in (1, 25):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = Spotter(8)
        digit_spotter._descend(model, x, corners, labels, steps, True, torch.Generator().manual_seed(0))
        with torch.inference_mode():
            losses.append(float(digit_spotter._loss(model, x[:BATCH], corners[:BATCH], labels[:BATCH])))
    assert losses[1] < 0.7 * losses[0]
    fit = digit_spotter.task(2).versions[2].fit
    assert fit(split.train).answer(split.evaluation).equals(fit(split.train).answer(split.evaluation))


def test_a_place_in_the_middle_of_an_object_learns_its_class(split):
    corners, labels = digit_spotter._targets(split.train)
    for at, boxes in enumerate(split.train["boxes"]):
        assert (labels[at] >= 0).sum() == len(boxes)
        for k, box in enumerate(boxes):
            assert corners[at, k].tolist() == [box["x"], box["y"], box["x"] + box["w"], box["y"] + box["h"]]


def test_of_boxes_of_one_class_on_one_spot_the_best_stays():
    raw = np.array([[0, 0, 10, 10, 0.6, 3], [1, 0, 11, 10, 0.9, 3], [1, 0, 11, 10, 0.8, 4], [50, 50, 60, 60, 0.01, 3]])
    found = digit_spotter._detections(raw)
    assert [(box["label"], box["score"]) for box in found] == [("3", 0.9), ("4", 0.8)]
    assert found[0] == {"label": "3", "x": 1, "y": 0, "w": 10, "h": 10, "score": 0.9} and LEAST_SCORE > 0.01
