"""Engines of one comparison in this process: who takes part, who is left out and why, what counts as equal."""

import warnings

import numpy as np
import pytest
import torch

from dashboard.inference.cards import ModelCard, TensorSpec
from mlflow_runs.errors import ModelUnavailable
from tests.dashboard.inference.nets import cnn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # because importing mlflow.pyfunc warns about MLflow's own type hints
    from dashboard.inference import compare

CARD = ModelCard("m-1", "digits", "1", "r1", "run", "classification", "tensor", (), tensors=(TensorSpec("x", "f", ()),))


class Three(torch.nn.Module):
    """Works for three rows only."""

    def forward(self, x):
        return x.reshape(3, -1)


@pytest.fixture
def contest(tmp_path):
    """Forty random pictures through the small network."""
    arrays = [np.random.default_rng(1).normal(size=(40, 1, 8, 8)).astype(np.float32)]
    found = compare.Contest(CARD, cnn(), "cpu", 1, tmp_path, arrays)
    found.enter(compare.EAGER, found.eager)
    return found


def test_eager_is_the_reference(contest):
    found = contest.results[compare.EAGER]
    assert (found.n, found.difference, found.agreed, found.equal, found.skipped) == (40, 0.0, 40, True, "")


@pytest.mark.parametrize(("shift", "equal"), [(1e-6, True), (0.05, False)])
def test_answers_further_off_than_the_tolerance_are_not_equal(contest, shift, equal):
    eager = contest.answers[compare.EAGER]
    contest.enter("shifted", lambda: lambda arrays: {k: v + shift for k, v in eager(arrays).items()})
    found = contest.results["shifted"]
    assert found.equal is equal
    assert found.difference == pytest.approx(shift, rel=0.2)
    assert found.agreed == 40  # the same shift for every class changes no class


def test_another_class_is_counted_and_never_equal(contest):
    eager = contest.answers[compare.EAGER]
    contest.enter("reversed", lambda: lambda arrays: {k: v[:, ::-1] for k, v in eager(arrays).items()})
    with torch.no_grad():
        scores = cnn()(torch.from_numpy(contest.arrays[0])).numpy()
    expected = int((scores.argmax(1) == scores[:, ::-1].argmax(1)).sum())
    assert contest.results["reversed"].agreed == expected < 40
    assert not contest.results["reversed"].equal


def test_an_engine_that_fails_is_left_out_with_its_reason(contest):
    def broken():
        raise ZeroDivisionError("no such luck")

    contest.enter("broken", broken)
    assert contest.results["broken"].skipped == "ZeroDivisionError: no such luck"
    assert "broken" not in contest.answers


def test_a_fixed_number_of_rows_is_told(tmp_path):
    found = compare.Contest(CARD, Three(), "cpu", 1, tmp_path, [np.ones((3, 2), np.float32)])
    found.enter(compare.EAGER, found.eager)
    assert found.results[compare.EAGER].skipped.startswith("It does not take 1 rows at a time")


def test_without_a_compiler_the_reason_names_it(contest, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ModelUnavailable, match=r"C\+\+ compiler"):
        contest.compiled()


def test_batches_repeat_the_inputs(contest):
    (rows,) = contest.batch(90)
    np.testing.assert_array_equal(rows[80:], contest.arrays[0][:10])
