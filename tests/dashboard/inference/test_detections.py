"""Detections: every accepted form becomes the same boxes on the picture's own pixels, and suppression thins them."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from dashboard.inference import detections
from dashboard.inference.cards import ModelCard
from dashboard.inference.detections import Box, answers_boxes, on_picture, padded, raw_boxes, shown
from dashboard.inference.outputs import predictions
from mlflow_runs.errors import ModelUnavailable

CORNERS = [[10.0, 20.0, 30.0, 50.0], [0.0, 0.0, 4.0, 4.0]]
BOXES = (Box("dog", 10, 20, 20, 30, 0.75), Box("cat", 0, 0, 4, 4, 0.5))


def card(boxes=None):
    return ModelCard("m-1", "spotter", None, "r", "run", "detection", "image", (), ("cat", "dog"), boxes=boxes)


def _named(corners=CORNERS):
    return {"boxes": np.array([corners]), "scores": np.array([[0.75, 0.5]]), "labels": np.array([[1, 0]])}


FORMS = {
    "named": (_named(), {}),
    "one": ({"output": np.array([[[*CORNERS[0], 0.75, 1], [*CORNERS[1], 0.5, 0]]], dtype=np.float32)}, {}),
    "corner": (_named([[10, 20, 20, 30], [0, 0, 4, 4]]), {"format": "xywh"}),
    "middle": (_named([[20, 35, 20, 30], [2, 2, 4, 4]]), {"format": "cxcywh"}),
    "texts": (_named() | {"labels": np.array([["dog", "cat"]], dtype=object)}, {}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_boxes(form):
    outputs, told = FORMS[form]
    assert answers_boxes(card(told), outputs)
    (answer,) = predictions(card(told), outputs, {}, 1)
    assert answer.boxes == BOXES and answer.label is None


def test_padding_is_left_out_and_the_best_come_first():
    outputs = {"boxes": np.zeros((1, 400, 4)), "scores": np.zeros((1, 400)), "labels": np.ones((1, 400), int)}
    outputs["scores"][0, 5:390] = np.linspace(0.1, 0.9, 385)
    (found,) = raw_boxes(card(), outputs, ("cat", "dog"))
    assert len(found) == detections.MOST
    assert [box.score for box in found] == sorted((box.score for box in found), reverse=True)
    assert found[0].score == pytest.approx(0.9)


@pytest.mark.parametrize("kind", ["list", "frame"])
def test_pictures_with_different_numbers_of_boxes(kind):
    rows = [
        {"boxes": torch.tensor(CORNERS), "scores": torch.tensor([0.75, 0.5]), "labels": torch.tensor([1, 0])},
        {"boxes": torch.zeros(0, 4), "scores": torch.zeros(0), "labels": torch.zeros(0, dtype=torch.int64)},
    ]
    if kind == "frame":
        rows = pd.DataFrame([{name: value.tolist() for name, value in row.items()} for row in rows])
    outputs = padded(rows)
    assert [len(boxes) for boxes in raw_boxes(card(), outputs, ("cat", "dog"))] == [2, 0]
    assert raw_boxes(card(), outputs, ("cat", "dog"))[0] == BOXES


@pytest.mark.parametrize("other", [[{"label": "a"}], [], "text", {"boxes": [1]}, pd.DataFrame({"boxes": [1]})])
def test_other_answers_are_left_to_others(other):
    assert padded(other) is None


def _picture(size, orientation=1):
    target, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size).save(target, "JPEG", exif=exif)
    return target.getvalue()


@pytest.mark.parametrize("shape", [(1, 3, 50, 100), (1, 50, 100, 3)])
def test_boxes_lie_on_the_picture_that_was_given(shape):
    sample = {"input_0": np.zeros(shape)}
    wide = on_picture(card({}), BOXES[:1], _picture((200, 200)), sample)
    assert wide == (Box("dog", 20, 80, 40, 120, 0.75),)
    turned = on_picture(card({}), BOXES[:1], _picture((200, 100), orientation=6), sample)  # shown 100 wide, 200 high
    assert turned == (Box("dog", 10, 80, 20, 120, 0.75),)
    shares = on_picture(card({"unit": "share"}), [Box("dog", 0.1, 0.2, 0.5, 0.5, 0.9)], _picture((200, 100)), sample)
    assert shares == (Box("dog", 20, 20, 100, 50, 0.9),)
    assert on_picture(card({}), BOXES, {"input_0": [1]}, sample) == BOXES


def test_shown_are_the_best_of_each_class_above_the_confidence():
    boxes = (
        Box("a", 0, 0, 10, 10, 0.9),
        Box("a", 1, 0, 10, 10, 0.8),
        Box("b", 1, 0, 10, 10, 0.7),
        Box("b", 50, 50, 9, 9, 0.2),
    )
    assert [box.score for box in shown(boxes)] == [0.9, 0.7]
    assert [box.score for box in shown(boxes, 0.1, 0.5)] == [0.9, 0.7, 0.2]
    assert [box.score for box in shown(boxes, 0.1, 0.9)] == [0.9, 0.8, 0.7, 0.2]
    assert shown(()) == ()


@pytest.mark.parametrize(
    ("change", "named"),
    [({"boxes": np.zeros((1, 2, 3))}, r"\[1, 2, 3\]"), ({"boxes": np.full((1, 2, 4), np.nan)}, "not finite")],
)
def test_what_is_no_box_is_named(change, named):
    with pytest.raises(ModelUnavailable, match=named):
        predictions(card(), _named() | change, {}, 1)
