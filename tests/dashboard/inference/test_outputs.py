"""Raw outputs become predictions; checked against SciPy."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit, softmax

from dashboard.inference.outputs import predictions, probabilities
from mlflow_runs.errors import ModelUnavailable
from tests.dashboard.inference.test_cards import card

LOGITS = hnp.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(2, 6)), elements=st.floats(-30, 30, width=32))


@given(LOGITS)
def test_logits_become_scipys_softmax_in_descending_order(logits):
    names = [f"c{n}" for n in range(logits.shape[1])]
    found = predictions(card(metadata={"classes": names}), {"output": logits}, {}, len(logits))
    expected = probabilities(logits)
    if not np.allclose(logits.sum(axis=1), 1, atol=1e-3):
        np.testing.assert_allclose(expected, softmax(logits.astype(float), axis=1), rtol=1e-12)
    for prediction, row in zip(found, expected, strict=True):
        assert list(prediction.probabilities.values()) == sorted(row, reverse=True)
        assert prediction.label == names[int(np.argmax(row))]
        assert sum(prediction.probabilities.values()) == pytest.approx(1)


def test_probabilities_stay_as_they_are():
    rows = np.array([[0.25, 0.75], [1.0, 0.0]])
    found = predictions(card(), {"probabilities": rows}, {"classes": ["no", "yes"]}, 2)
    assert [p.probabilities for p in found] == [{"yes": 0.75, "no": 0.25}, {"no": 1.0, "yes": 0.0}]


def test_regression_single_logit_labels_and_numbers_of_classes():
    assert [p.value for p in predictions(card(task="regression"), {"y": np.array([[1.5], [2]])}, {}, 2)] == [1.5, 2]
    assert [p.value for p in predictions(card(), {"y": np.array([3.0])}, {}, 1)] == [3.0]
    (binary,) = predictions(
        card(task="classification", metadata={"classes": ["a", "b"]}), {"y": np.array([2.0])}, {}, 1
    )
    assert binary.probabilities["b"] == pytest.approx(expit(2.0))
    (named,) = predictions(card(metadata={"classes": ["a", "b", "c"]}), {"y": np.array([2])}, {}, 1)
    assert named.label == "c"
    (text,) = predictions(card(), {"y": np.array(["spam"], object)}, {}, 1)
    assert (text.label, text.raw) == ("spam", ["spam"])


def test_frames():
    columns = {
        "prediction": np.array(["x", "y"], object),
        "score_x": np.array([0.9, 0.2]),
        "score_y": np.array([0.1, 0.8]),
    }
    assert [p.probabilities for p in predictions(card(), columns, {}, 2)] == [
        {"x": 0.9, "y": 0.1},
        {"y": 0.8, "x": 0.2},
    ]
    pipeline = {"label": np.array(["POS"], object), "score": np.array([0.97])}
    (found,) = predictions(card(), pipeline, {}, 1)
    assert (found.label, found.probabilities) == ("POS", {"POS": 0.97})


def test_pictures_and_unknown_vectors_are_given_raw():
    (picture,) = predictions(card(), {"y": np.zeros((1, 3, 64, 64), np.float32)}, {}, 1)
    assert picture.raw == {"shape": [3, 64, 64], "dtype": "float32"}
    assert predictions(card(), {"y": np.array([[1.0, 2.0]])}, {}, 1)[0].raw == [1.0, 2.0]


@pytest.mark.parametrize("garbage", [np.array([np.nan]), np.array([np.inf])])
def test_not_a_number_is_an_error(garbage):
    with pytest.raises(ModelUnavailable, match="a finite number is needed"):
        predictions(card(task="regression"), {"y": garbage}, {}, 1)


@pytest.mark.parametrize("garbage", [np.zeros(3), np.float64(1), np.zeros((0, 2))])
def test_a_wrong_number_of_answers_is_an_error(garbage):
    with pytest.raises(ModelUnavailable, match="should be 2"):
        predictions(card(), {"y": np.asarray(garbage)}, {}, 2)


@given(LOGITS)
def test_several_labels_have_probabilities_of_their_own(logits):
    names = [f"c{n}" for n in range(logits.shape[1])]
    many = replace(card(metadata={"classes": names}), task="multilabel")
    bounded = logits.min() >= 0 and logits.max() <= 1
    expected = logits.astype(float) if bounded else expit(logits.astype(float))
    for prediction, row in zip(predictions(many, {"output": logits}, {}, len(logits)), expected, strict=True):
        assert set(prediction.labels) == {name for name, share in zip(names, row, strict=True) if share >= 0.5}
        np.testing.assert_allclose([prediction.probabilities[name] for name in names], row, rtol=1e-12)
        assert prediction.label is None


def test_zeros_and_ones_are_labels_and_none_is_an_answer():
    many = replace(card(metadata={"classes": ["a", "b"]}), task="multilabel")
    found = predictions(many, {"output": np.array([[0, 1], [0, 0], [1, 1]])}, {}, 3)
    assert [item.labels for item in found] == [("b",), (), ("a", "b")]
    texts = predictions(many, {"output": np.array([["a|b"]], dtype=object)}, {}, 1)
    assert texts[0].label == "a|b"
