"""The form of a model is chosen by agreement first and speed second, once."""

import json

import numpy as np
import pytest
import torch

from dashboard.inference import numerics
from dashboard.inference.numerics import BFLOAT16, CHANNELS_LAST, convolves, tune
from dashboard.inference.predictor import Loaded
from tests.dashboard.inference.nets import cnn

LAST: list["Slow"] = []


class Slow(torch.nn.Module):
    """A convolution that says what a pass costs: more where it is asked to be slow."""

    def __init__(self, slow_when):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.slow_when, self.calls, self.cost = torch.nn.Conv2d(3, 4, 3), slow_when, 0, 0.0

    def forward(self, pixels):
        self.calls += 1
        LAST[:] = [self]
        self.cost = 20.0 if self.slow_when(self, pixels) else 5.0
        return self.conv(pixels).float().mean(dim=(2, 3))


def laid_out(net):
    return net.conv.weight.is_contiguous(memory_format=torch.channels_last)


def loaded(net):
    def run(tensors, _params):
        with torch.inference_mode():
            return {"output": net(torch.from_numpy(tensors["input_0"])).float().numpy()}

    example = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    return Loaded(run, 1, "pytorch", module=net.eval(), example={"input_0": example})


@pytest.fixture(autouse=True)
def told_costs(monkeypatch):
    """The time of a pass is what the model says, because measured ones would differ on a busy machine."""

    def milliseconds(run, example):
        run(example, {})
        return LAST[-1].cost

    monkeypatch.setattr(numerics, "_milliseconds", milliseconds)


def test_the_faster_layout_is_taken_with_the_same_answers_and_recorded(tmp_path):
    model = loaded(Slow(lambda net, _: not laid_out(net)))
    expected = model.plain(model.example, {})["output"]
    tune(model, "cpu", tmp_path / "m.json", bfloat16=False)
    assert model.numerics.startswith("channels last, ")
    assert laid_out(model.module)
    np.testing.assert_allclose(model.run(model.example, {})["output"], expected, atol=1e-5)
    (record,) = json.loads((tmp_path / "m.json").read_text()).values()
    assert record["form"] == CHANNELS_LAST
    assert record["gain"] >= numerics.GAIN


def test_a_recorded_decision_is_not_measured_again(tmp_path):
    tune(loaded(Slow(lambda net, _: not laid_out(net))), "cpu", tmp_path / "m.json", bfloat16=False)
    again = loaded(Slow(lambda *_: False))
    tune(again, "cpu", tmp_path / "m.json", bfloat16=False)
    assert (again.module.calls, laid_out(again.module)) == (0, True)


def test_a_slower_layout_is_undone(tmp_path):
    model = loaded(Slow(lambda net, _: laid_out(net)))
    tune(model, "cpu", tmp_path / "m.json", bfloat16=False)
    assert (model.numerics, laid_out(model.module), model.run) == ("", False, model.plain)


def autocast(*_):
    return torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("allowed", [True, False])
def test_bfloat16_only_where_it_is_allowed(tmp_path, monkeypatch, allowed):
    monkeypatch.setattr(numerics, "has_bfloat16", lambda _: True)
    model = loaded(Slow(lambda *_: not autocast()))
    tune(model, "cpu", tmp_path / "m.json", bfloat16=allowed)
    assert model.numerics.startswith(BFLOAT16) is allowed


def test_answers_that_differ_are_never_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(numerics, "has_bfloat16", lambda _: True)
    model = loaded(Slow(lambda *_: not autocast()))
    honest = model.plain
    model.plain = model.run = lambda tensors, params: {
        "output": honest(tensors, params)["output"] * (-1 if autocast() else 1)
    }
    tune(model, "cpu", tmp_path / "m.json", bfloat16=True)
    assert model.numerics == ""


def test_a_model_that_draws_random_numbers_stays_plain(tmp_path):
    model = loaded(Slow(lambda net, _: not laid_out(net)))
    draws = np.random.default_rng(0)
    answer = model.plain
    model.plain = model.run = lambda *given: {"output": answer(*given)["output"] + draws.normal(size=4)}
    tune(model, "cpu", tmp_path / "m.json", bfloat16=False)
    assert model.numerics == ""


def test_exported_models_are_seen_to_convolve():
    example = torch.zeros(2, 1, 8, 8)
    assert convolves(torch.export.export(cnn(), (example,)).module())
    assert convolves(cnn())
    assert not convolves(torch.nn.Linear(2, 2))
