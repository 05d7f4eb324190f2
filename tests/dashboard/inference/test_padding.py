"""Inputs of different lengths in one batch: the answers are those of each alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dashboard.inference.padding import cut_back, join_padded, padded_layout
from dashboard.inference.predictor import Loaded, Predictor

PADDING = {"ids": 0, "mask": 0, "tokens": None}


def sample(ids):
    array = np.array([ids], dtype=np.int64)
    return {"ids": array, "mask": np.ones_like(array)}


def masked_mean(tensors, _params):
    """The mean of the ids, and each id doubled: what a small transformer would do with its mask."""
    ids, mask = tensors["ids"], tensors["mask"]
    return {"mean": (ids * mask).sum(1) / mask.sum(1), "tokens": ids * 2}


@given(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=20), min_size=1, max_size=6))
def test_a_padded_batch_answers_as_each_input_alone(texts):
    batches = []

    def run(tensors, params):
        batches.append(tensors["ids"].shape)
        return masked_mean(tensors, params)

    predictor = Predictor(lambda _: Loaded(run, 1, "fake", padding=PADDING), 10)
    outcomes = predictor.run("m", [sample(ids) for ids in texts], {})
    assert [outcome.outputs["tokens"][0].tolist() for outcome in outcomes] == [[2 * i for i in ids] for ids in texts]
    np.testing.assert_allclose([o.outputs["mean"][0] for o in outcomes], [np.mean(ids) for ids in texts])
    assert len(batches) == 1


def test_lengths_grow_in_steps_and_only_where_they_differ():
    joined = join_padded([sample([1, 2, 3]), sample(list(range(9)))], PADDING)
    assert joined["ids"].shape == (2, 16)
    assert joined["mask"].sum(axis=1).tolist() == [3, 9]
    assert join_padded([sample([1, 2, 3]), sample([4, 5, 6])], PADDING)["ids"].shape == (2, 3)


def test_without_a_declaration_lengths_keep_inputs_apart():
    assert padded_layout(sample([1]), {}) != padded_layout(sample([1, 2]), {})
    assert padded_layout(sample([1]), PADDING) == padded_layout(sample([1, 2]), PADDING)


def test_only_declared_outputs_are_cut_back():
    outputs = {"tokens": np.zeros((1, 8, 2)), "classes": np.zeros((1, 8))}
    cut = cut_back(outputs, sample([1, 2, 3]), PADDING)
    assert (cut["tokens"].shape, cut["classes"].shape) == ((1, 3, 2), (1, 8))
