"""Which runs get sliders."""

import json

import pytest

from dashboard.reports.generator import generator_of
from dashboard.services import Services
from mlflow_runs.records import ModelInfo
from tests.dashboard.reports.conftest import row_of


def spec(*shape):
    return {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": list(shape)}}


@pytest.fixture
def services(house):
    house.writer.upsert([row_of("draws", model="digits"), row_of("reads"), row_of("empty")])
    drawer = ModelInfo("m1", "m", (), {"inputs": [spec(-1, 6)], "outputs": [spec(-1, 1, 8, 8)]})
    house.writer.set_model_info("draws", drawer)
    house.writer.set_model_info("reads", ModelInfo("m2", "m", (), {"inputs": [spec(-1, 1, 8, 8)]}))
    return Services(house.settings, house.runs, house.predictions, None, house.cache)


def test_a_generator_is_known_with_its_range(services):
    found = generator_of(services, "draws")
    assert (found.model, found.name, found.size, found.low, found.high) == ("digits version 1", "input_0", 6, -3, 3)
    assert json.loads(found.text())["run"] == "draws"


@pytest.mark.parametrize("run", ["reads", "empty", ""])
def test_other_runs_are_none(services, run):
    assert generator_of(services, run) is None
