"""Output tensors become PNG files that decode to the same pixels; generators are known by signature and metadata."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from dashboard.inference.outputs import predictions
from dashboard.inference.pictures import Latent, gives_pictures, latent_of, picture
from mlflow_runs.errors import ModelUnavailable
from mlflow_runs.records import ModelInfo
from tests.dashboard.inference.test_cards import card


def tensor(dtype, *shape):
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}


def info(inputs=(), outputs=(), **metadata):
    return ModelInfo("m-1", "m", (), {"inputs": list(inputs), "outputs": list(outputs)}, None, metadata)


def decoded(png):
    return np.asarray(Image.open(io.BytesIO(png)))


@given(hnp.arrays(np.uint8, st.tuples(st.integers(5, 9), st.integers(5, 9), st.sampled_from([1, 3, 4]))))
def test_bytes_survive_in_both_layouts(pixels):
    wanted = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    assert np.array_equal(decoded(picture(pixels, False)), wanted)
    assert np.array_equal(decoded(picture(pixels.transpose(2, 0, 1), False)), wanted)
    assert np.array_equal(decoded(picture(pixels.astype(np.float32) / 255, False)), wanted)


def test_floats_outside_zero_to_one_are_pictures_only_when_declared():
    values = np.array([[[-0.5, 0.5], [1.0, 2.0]]])
    assert picture(values, False) is None
    assert decoded(picture(values, True)).tolist() == [[0, 128], [255, 255]]


@pytest.mark.parametrize("shape", [(4,), (5, 6, 7), (2, 3, 4, 5), (0, 3, 3)])
def test_other_shapes_are_no_pictures(shape):
    assert picture(np.zeros(shape), True) is None


def test_truth_values_are_a_mask_and_whole_numbers_no_picture():
    assert decoded(picture(np.array([[True, False]]), False)).tolist() == [[255, 0]]
    assert picture(np.zeros((4, 4), np.int64), True) is None


@pytest.mark.parametrize(
    ("outputs", "metadata", "expected"),
    [
        ([tensor("float32", -1, 3, -1, -1)], {}, True),
        ([tensor("uint8", -1, 64, 64, 1)], {}, True),
        ([tensor("float32", -1, 10)], {}, False),
        ([tensor("float32", -1, 10)], {"output": {"kind": "image"}}, True),
        ([tensor("float32", -1, 3, 8, 8)], {"output": {"kind": "features"}}, False),
        ([tensor("float32", -1, 3, 8, 8)] * 2, {}, False),
        ([], {"output": "image"}, False),
    ],
)
def test_models_that_give_pictures(outputs, metadata, expected):
    assert gives_pictures(info(outputs=outputs, **metadata)) is expected


PICTURE = tensor("float32", -1, 1, 8, 8)


@pytest.mark.parametrize(
    ("inputs", "outputs", "metadata", "expected"),
    [
        ([tensor("float32", -1, 6)], [PICTURE], {}, Latent("input_0", 6, -3, 3)),
        ([tensor("float32", -1, 65)], [PICTURE], {}, None),
        ([tensor("float32", -1, 6)], [tensor("float32", -1, 2)], {}, None),
        (
            [tensor("float64", -1, 100)],
            [],
            {"input": {"kind": "latent", "low": 0, "high": 1}},
            Latent("input_0", 100, 0, 1),
        ),
        ([tensor("float32", -1, 6)], [PICTURE], {"input": {"kind": "features"}}, None),
        ([tensor("int64", -1, 6)], [PICTURE], {}, None),
        ([tensor("float32", -1, -1)], [PICTURE], {}, None),
        ([tensor("float32", -1, 6)], [PICTURE], {"input": {"kind": "latent", "low": 3, "high": 3}}, None),
        ([{"type": "double", "name": "a"}], [PICTURE], {}, None),
        ([], [], {}, None),
    ],
)
def test_models_that_draw_from_numbers(inputs, outputs, metadata, expected):
    assert latent_of(info(inputs, outputs, **metadata)) == expected


def test_predictions_hold_the_picture_and_say_what_came_out():
    model = card(metadata={"output": {"kind": "image"}})
    first, second = predictions(model, {"y": np.zeros((2, 3, 6, 7), np.float32)}, {}, 2)
    assert decoded(first.image).shape == (6, 7, 3)
    assert second.raw == {"shape": [3, 6, 7], "dtype": "float32"}
    assert predictions(card(), {"y": np.zeros((1, 6, 7, 3), np.uint8)}, {}, 1)[0].image is not None
    assert predictions(card(), {"y": np.zeros((1, 3, 6, 7))}, {}, 1)[0].image is None


def test_a_picture_that_is_no_number_is_refused():
    with pytest.raises(ModelUnavailable, match="nan"):
        predictions(card(metadata={"output": {"kind": "image"}}), {"y": np.full((1, 1, 4, 4), np.nan)}, {}, 1)
