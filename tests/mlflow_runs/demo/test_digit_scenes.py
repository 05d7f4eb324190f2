"""Scenes: the boxes hold the real digits, no digit is in two parts, and the same seed makes the same scenes."""

import io

import numpy as np
import pytest
from PIL import Image

from mlflow_runs.demo.digit_scenes import BACKGROUNDS, LARGEST, SIDE, load, scene


@pytest.fixture(scope="module")
def split():
    return load(12, 24, 4)


def _inside(box):
    return box["x"] >= 0 and box["y"] >= 0 and box["x"] + box["w"] <= SIDE and box["y"] + box["h"] <= SIDE


def test_boxes_lie_in_the_picture_and_apart(split):
    rows = [row for part in vars(split).values() for row in part.to_dict("records")]
    for row in rows:
        assert Image.open(io.BytesIO(row["image"])).size == (SIDE, SIDE)
        assert all(_inside(box) and max(box["w"], box["h"]) <= LARGEST for box in row["boxes"])
        assert row["objects"] == len(row["boxes"])
        for at, one in enumerate(row["boxes"]):
            for other in row["boxes"][:at]:
                across = min(one["x"] + one["w"], other["x"] + other["w"]) - max(one["x"], other["x"])
                down = min(one["y"] + one["h"], other["y"] + other["h"]) - max(one["y"], other["y"])
                assert across <= 2 or down <= 2
    assert {row["background"] for row in rows} == set(BACKGROUNDS)


def test_a_box_holds_its_digit_and_nothing_of_it_lies_outside():
    ink = np.zeros((1, 8, 8))
    ink[0, 1:7, 3:5] = 1  # a thick stroke
    for seed in range(20):
        row = scene(ink, np.array([1]), "plain", 1, np.random.default_rng(seed))
        pixels = np.asarray(Image.open(io.BytesIO(row["image"])), dtype=float).mean(2)
        for box in row["boxes"]:
            x, y, w, h = (int(box[name]) for name in "xywh")
            assert h > w
            around = np.r_[pixels[max(y - 6, 0) : max(y - 4, 0), x : x + w].ravel(), pixels[y : y + h, x : x + w].min()]
            assert np.abs(pixels[y : y + h, x : x + w].mean() - np.median(around)) > 15


def test_the_same_scenes_every_time(split):
    again = load(12, 24, 4)
    assert all(getattr(again, name).equals(part) for name, part in vars(split).items())


def test_later_scenes_are_more_crowded_and_all_on_photographs(split):
    assert set(split.production["background"]) == {"photograph"}
    assert split.production["objects"].mean() > split.evaluation["objects"].mean()
