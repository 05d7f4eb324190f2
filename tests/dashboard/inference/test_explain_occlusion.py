"""Occlusion of pictures in every layout, words and numbers left out: against functions whose effects are known."""

import numpy as np
import pytest

from dashboard.inference.explain_occlusion import (
    Grid,
    leave_out_numbers,
    leave_out_words,
    occlude_picture,
    picture_grid,
)
from mlflow_runs.errors import ModelUnavailable

BRIGHT = np.zeros((12, 16, 3), np.float32)
BRIGHT[2:4, 9:12] = 1.0


@pytest.mark.parametrize(
    ("array", "grid"),
    [
        (BRIGHT.transpose(2, 0, 1)[None], Grid((12, 16, 3), False)),
        (BRIGHT[None], Grid((12, 16, 3), True)),
        (BRIGHT[None, :, :, 0], Grid((12, 16, 1), False)),
        (BRIGHT[:, :, 0].reshape(1, -1), Grid((12, 16, 1), False)),
    ],
    ids=["NCHW", "NHWC", "NHW", "flat"],
)
def test_the_bright_spot_carries_the_whole_score_in_every_layout(array, grid):
    assert picture_grid(array, {"size": {"height": 12, "width": 16}}) == grid
    shapes = set()

    def score(tensors):
        shapes.add(tensors["x"].shape[1:])
        return tensors["x"].reshape(len(tensors["x"]), -1).sum(axis=1).astype(float)

    found, words = occlude_picture(score, "x", array, grid)
    assert found.shape == (12, 16)
    assert shapes == {array.shape[1:]}
    top, left = np.unravel_index(found.argmax(), found.shape)
    assert 2 <= top < 4 and 9 <= left < 12
    assert found[8:, :6].max() == 0
    assert "windows of 2 x 2" in words


def test_windows_cover_large_pictures_with_few_passes():
    rows = []

    def score(tensors):
        rows.append(len(tensors["x"]))
        return np.zeros(len(tensors["x"]))

    picture = np.ones((1, 1, 224, 301), np.float32)
    found, _ = occlude_picture(score, "x", picture, picture_grid(picture, {}))
    assert found.shape == (224, 301)
    assert sum(rows) <= 1 + 17 * 17


def test_a_flat_input_without_size_is_told():
    with pytest.raises(ModelUnavailable, match="size"):
        picture_grid(np.zeros((1, 64)), {})


def test_each_word_has_its_own_effect_and_place():
    worth = {"not": -2.0, "good": 3.0, "ünï😀": 1.0}

    def score(tensors):
        return np.array([sum(v for k, v in worth.items() if k in text) for text in tensors["t"].ravel()])

    text = "It is not good, ünï😀."
    parts, words = leave_out_words(score, "t", np.array([[text]], dtype=object))
    assert [text[p.start : p.end] for p in parts] == [p.name for p in parts]
    found = {p.name: p.effect for p in parts}
    assert (found["not"], found["good"], found["It"]) == (-2.0, 3.0, 0.0)
    assert "left out in turn" in words


def test_long_texts_are_cut_into_runs_of_words():
    text = " ".join(f"w{i}" for i in range(950))
    parts, words = leave_out_words(lambda t: np.zeros(len(t["t"])), "t", np.array([text], dtype=object))
    assert len(parts) <= 200
    assert (parts[0].start, parts[-1].end) == (0, len(text))
    assert "run of 5 words" in words
    assert leave_out_words(lambda t: np.zeros(1), "t", np.array(["  "], dtype=object))[0] == ()


def test_numbers_of_a_linear_function_have_their_own_share():
    weights = np.array([[1.0, -2.0], [0.5, 3.0]])
    given = {"a": np.array([[[1.0, 2.0], [4.0, 0.0]]])}
    parts, _ = leave_out_numbers(lambda t: (t["a"] * weights).sum(axis=(1, 2)), given)
    assert {p.name: p.effect for p in parts} == {"a[0, 0]": 1.0, "a[0, 1]": -4.0, "a[1, 0]": 2.0, "a[1, 1]": 0.0}
    with pytest.raises(ModelUnavailable, match="600"):
        leave_out_numbers(lambda t: np.zeros(1), {"a": np.zeros((1, 600))})
