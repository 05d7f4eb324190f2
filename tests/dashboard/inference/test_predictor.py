"""Loading once, the byte budget, batches and their halving, with models that count."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from dashboard.errors import BadInput
from dashboard.inference.predictor import Loaded, Predictor
from mlflow_runs.errors import ModelUnavailable

MEGABYTE = 2**20


def one(value):
    return {"x": np.array([[value]], dtype=np.float64)}


class Shop:
    """Makes models of a megabyte that double their input; notes what was loaded and how large batches were."""

    def __init__(self, run=None, nbytes=MEGABYTE):
        self.loads, self.batches, self.nbytes = [], [], nbytes
        self.run = run or (lambda tensors: {"y": tensors["x"] * 2})

    def __call__(self, model_id):
        self.loads.append(model_id)
        time.sleep(0.01)

        def run(tensors, params):
            self.batches.append(len(tensors["x"]))
            return self.run(tensors)

        return Loaded(run, self.nbytes, "fake")


def test_requests_share_a_batch_and_get_their_own_rows():
    shop = Shop()
    outcomes = Predictor(shop, MEGABYTE).run("a", [one(1), {"x": np.array([[2.0], [3.0]])}, one(4)], {})
    assert [outcome.outputs["y"].ravel().tolist() for outcome in outcomes] == [[2], [4, 6], [8]]
    assert shop.batches == [4]


def test_shapes_that_differ_do_not_meet():
    shop = Shop()
    wide = {"x": np.zeros((1, 2))}
    outcomes = Predictor(shop, MEGABYTE).run("a", [one(1), wide, one(2)], {})
    assert [outcome.outputs["y"].shape for outcome in outcomes] == [(1, 1), (1, 2), (1, 1)]
    assert sorted(shop.batches) == [1, 2]


def test_ten_threads_load_once():
    shop, predictor = Shop(), None
    predictor = Predictor(shop, MEGABYTE)
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda n: predictor.run("a", [one(n)], {}), range(10)))
    assert shop.loads == ["a"]
    assert predictor.counters["loads"] == 1
    assert predictor.counters["predictions"] == 10


def test_the_least_recently_used_model_makes_room():
    shop = Shop()
    predictor = Predictor(shop, 2 * MEGABYTE)
    for model_id in ("a", "b", "a", "c"):
        predictor.run(model_id, [one(1)], {})
    assert list(predictor.models()) == ["a", "c"]
    assert predictor.counters["evictions"] == 1
    assert sum(model.nbytes for model in predictor.models().values()) <= 2 * MEGABYTE


def test_a_model_above_the_whole_budget_is_refused_and_evicts_nobody():
    shop = Shop()
    predictor = Predictor(shop, 2 * MEGABYTE)
    predictor.run("small", [one(1)], {})
    shop.nbytes = 3 * MEGABYTE
    (outcome,) = predictor.run("large", [one(1)], {})
    assert isinstance(outcome.error, ModelUnavailable)
    assert "needs 3 MB; the budget for models is 2 MB" in str(outcome.error)
    assert list(predictor.models()) == ["small"]


def test_a_failure_to_load_is_remembered_for_a_moment():
    calls = []

    def loader(model_id):
        calls.append(model_id)
        raise ModelUnavailable("no such file")

    predictor = Predictor(loader, MEGABYTE)
    errors = [predictor.run("a", [one(1)], {})[0].error for _ in range(3)]
    assert [str(error) for error in errors] == ["no such file"] * 3
    assert calls == ["a"]


def test_out_of_memory_halves_the_batch_and_the_model_stays_usable():
    def run(tensors):
        if len(tensors["x"]) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return {"y": tensors["x"] * 2}

    predictor = Predictor(Shop(run), MEGABYTE)
    many = {"x": np.arange(40.0).reshape(-1, 1)}
    (outcome,) = predictor.run("a", [many], {})
    np.testing.assert_array_equal(outcome.outputs["y"], many["x"] * 2)
    assert predictor.counters["out_of_memory"] == 3
    assert predictor.models()["a"].rows == 5
    assert predictor.run("a", [one(1)], {})[0].error is None


def test_out_of_memory_with_one_row_is_the_callers_error():
    def run(tensors):
        raise torch.OutOfMemoryError("CUDA out of memory")

    (outcome,) = Predictor(Shop(run), MEGABYTE).run("a", [one(1)], {})
    assert "out of memory" in str(outcome.error)


def test_one_bad_request_does_not_spoil_its_neighbours():
    def run(tensors):
        if (tensors["x"] < 0).any():
            raise ValueError("negative")
        return {"y": tensors["x"] * 2}

    outcomes = Predictor(Shop(run), MEGABYTE).run("a", [one(1), one(-1), one(3)], {})
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert "ValueError: negative" in str(outcomes[1].error)
    assert outcomes[2].outputs["y"].item() == 6


def test_a_slow_model_gets_smaller_batches_and_a_fast_one_larger():
    predictor = Predictor(
        Shop(lambda tensors: (time.sleep(0.004 * len(tensors["x"])), {"y": tensors["x"]})[1]), MEGABYTE
    )
    predictor.run("slow", [{"x": np.zeros((128, 1))}], {})
    assert predictor.models()["slow"].rows == 32
    fast = Predictor(Shop(), MEGABYTE)
    fast.run("fast", [{"x": np.zeros((500, 1))}], {})
    assert fast.models()["fast"].rows > 64


def test_answers_of_the_wrong_length_and_rows_that_differ():
    predictor = Predictor(Shop(lambda tensors: {"y": np.zeros(7)}), MEGABYTE)
    assert "should be 1" in str(predictor.run("a", [one(1)], {})[0].error)
    ragged = {"x": np.zeros((2, 1)), "z": np.zeros((3, 1))}
    assert isinstance(predictor.run("a", [ragged], {})[0].error, BadInput)


def test_models_are_independent_threads():
    gate = threading.Event()
    predictor = Predictor(Shop(lambda tensors: (gate.wait(5), {"y": tensors["x"]})[1]), 9 * MEGABYTE)
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(predictor.run, "slow", [one(1)], {})
        other = Shop()
        predictor._loader = other
        assert pool.submit(predictor.run, "quick", [one(2)], {}).result(2)[0].outputs["y"].item() == 4
        gate.set()
        assert waiting.result(2)[0].error is None


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_batches_agree_with_rows(rows):
    values = np.random.default_rng(0).normal(size=(rows, 1))
    (outcome,) = Predictor(Shop(), MEGABYTE).run("a", [{"x": values}], {})
    np.testing.assert_array_equal(outcome.outputs["y"], values * 2)
