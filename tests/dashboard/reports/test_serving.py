"""The Serving page's report over a real index and a client without an engine; inputs and comparisons that are known."""

import dataclasses
import json

import pandas as pd
import pytest

from dashboard.errors import EngineUnavailable
from dashboard.inference import heavy_lane
from dashboard.inference.client import InferenceClient
from dashboard.inference.speed_report import TAG, Comparison, EngineResult, Timing, versions
from dashboard.inference.states import EngineState, LoadedModel
from dashboard.reports import serving
from dashboard.reports.serving import (
    ServingQuery,
    compare_engines,
    engine_card,
    example_rows,
    real_inputs,
    serving_report,
    supervised,
)
from dashboard.services import Services
from mlflow_runs.errors import DataMissing, ModelUnavailable
from mlflow_runs.records import Evaluation, ModelInfo, Roles

SPEC = {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}, "name": "x"}
NO_ROWS = Evaluation("r1", None, Roles())
COLUMNS = [{"type": "double", "name": name, "required": True} for name in ("a", "b")]


def model(model_id="m-1", flavors=("python_function", "pytorch"), inputs=(SPEC,), example=None):
    """What the index knows of a PyTorch model."""
    return ModelInfo(model_id, "net", flavors, {"inputs": list(inputs)}, example)


def comparison(**changes):
    """A finished comparison of model m-1."""
    engines = (EngineResult("PyTorch eager", n=2, equal=True, timings=(Timing(1, 9, 1.0, 2.0, 1000.0),)),)
    plain = dict.fromkeys(("device", "hardware", "source"), "cpu") | {"model_id": "m-1", "run_id": "r1", "threads": 1}
    plain |= {"versions": versions(), "n": 2, "made": 1.79e9, "seconds": 3.0, "onnx_bytes": 5, "engines": engines}
    return Comparison(**{**plain, **changes})


@pytest.fixture
def services(house):
    """The services of an empty data folder."""
    client = InferenceClient(house.settings.data_dir, house.cache, house.runs, house.settings)
    return Services(house.settings, house.runs, house.predictions, client, house.cache)


def test_without_an_engine_the_report_says_so_and_never_fails(services):
    report = serving_report(services)
    assert not report.engine.ready
    assert "make run" in report.engine.message
    assert (report.models, report.answered, report.from_cache, report.restarts, report.processes) == (
        (),
        0,
        None,
        0,
        (),
    )


def test_models_have_names_and_answers_are_counted(house, services, monkeypatch):
    house.add("r1", model_info=model(), version="3")
    loaded = [
        LoadedModel(key, size, "pytorch", 5, 1.0, 64, used) for key, size, used in (("m-1", 10, 2.0), ("m-9", 5, 3.0))
    ]
    counters = {"predictions": 60, "cache_hits": 30, "joined": 10}
    state = EngineState(True, device="cpu", models=tuple(loaded), counters=counters, restarts=4)
    monkeypatch.setattr(InferenceClient, "state", lambda self: state)
    report = serving_report(services)
    assert [(item.name, item.run_id) for item in report.models] == [("m-9", ""), ("texts v3", "r1")]
    assert (report.model_bytes, report.answered, report.from_cache, report.restarts) == (15, 100, 0.4, 4)


def test_processes_are_those_of_the_supervisor(services, house):
    facts = {"pid": 7, "starts": 3, "restarts": 2, "started": 5.0, "last_exit": -9, "log": "x"}
    parts = {"engine": facts, "web": {**facts, "pid": None, "restarts": 0}, "demo": {**facts, "started": None}}
    file = house.settings.folder("run") / "supervisor.json"
    file.write_text(json.dumps({"parts": parts}))
    found = supervised(house.settings.data_dir)
    assert [(item.name, item.pid, item.restarts, item.last_exit) for item in found] == [
        ("engine", 7, 2, -9),
        ("web", None, 0, -9),
    ]
    assert serving_report(services).restarts == 2
    for broken in ("", "[]", '{"parts": {"web": {}}}', '{"parts": []}'):
        file.write_text(broken)
        assert supervised(house.settings.data_dir) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [({}, "holds no model"), ({"model_info": model(flavors=("python_function", "sklearn"))}, "flavour sklearn")],
)
def test_what_cannot_be_compared_says_why(house, services, changes, words):
    house.add("r1", **changes)
    assert words in engine_card(services, ServingQuery("r1")).reason
    with pytest.raises(ModelUnavailable, match=words):
        compare_engines(services, "r1", lambda *_: None)


def test_a_comparison_is_found_in_the_runs_tag_and_marked_when_of_other_versions(house, services):
    house.add("r1", model_info=model(), tags={TAG: comparison().to_json()})
    found = engine_card(services, ServingQuery("r1"))
    assert found.comparison == comparison()
    assert found.stale == ""
    house.add("r1", model_info=model(), tags={TAG: comparison(versions={"torch": "1.0"}).to_json()})
    assert engine_card(services, ServingQuery("r1")).stale == "torch 1.0"


@pytest.mark.parametrize("tag", ["{broken", comparison(model_id="m-2").to_json()])
def test_a_tag_that_is_broken_or_of_another_model_is_not_shown(house, services, tag):
    house.add("r1", model_info=model(), tags={TAG: tag})
    assert engine_card(services, ServingQuery("r1")).comparison is None


def test_a_fresh_comparison_is_cached_before_the_index_knows_its_tag(house, services, monkeypatch):
    house.add("r1", NO_ROWS, model_info=model(example=[[1, 2, 3], [4, 5, 6]]))
    asked, steps = [], []

    def ask(self, task, arguments, tensors, report):
        asked.append((task, arguments, {name: array.shape for name, array in tensors.items()}))
        return heavy_lane.Message({"result": comparison(seconds=7.0).to_json()})

    monkeypatch.setattr(serving.HeavyLane, "ask", ask)
    assert compare_engines(services, "r1", lambda *told: steps.append(told)).seconds == 7.0
    assert engine_card(services, ServingQuery("r1")).comparison.seconds == 7.0
    source = "the model's input example (2 rows)"
    assert asked == [("compare", {"run": "r1", "source": source}, {"x": (2, 3)})]
    assert steps[0] == ("Reading inputs", 0.0)


def test_without_an_engine_a_comparison_says_so(house, services, monkeypatch):
    monkeypatch.setattr(heavy_lane, "_PATIENCE", 0.1)
    house.add("r1", NO_ROWS, model_info=model(example=[[1, 2, 3]]))
    with pytest.raises(EngineUnavailable, match="does not answer"):
        compare_engines(services, "r1", lambda *_: None)


def test_rows_of_the_evaluation_come_first_evenly_spread(house, services):
    frame = pd.DataFrame({"a": [float(i) for i in range(200)], "b": 1.0, "label": "x", "prediction": "x"})
    house.add("r1", frame, roles={"features": ("a", "b")}, model_info=model(inputs=COLUMNS))
    run = house.runs.run("r1")
    tensors, source = real_inputs(services, run, engine_card(services, ServingQuery("r1")).card)
    assert source == "64 rows of the run's evaluation"
    assert tensors["a"].ravel().tolist() == [3.0 * i for i in range(64)]


def test_without_any_inputs_the_next_step_is_told(house, services):
    house.add("r1", NO_ROWS, model_info=model(example=[["no", "numbers", "here"]]))
    with pytest.raises(DataMissing, match="input_example="):
        real_inputs(services, house.runs.run("r1"), engine_card(services, ServingQuery("r1")).card)


@pytest.mark.parametrize(
    ("example", "rows"),
    [
        (None, []),
        ("one", ["one"]),
        ([[1], [2]], [[1], [2]]),
        ({"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}, [{"a": 1, "b": 2}, {"a": 3, "b": 4}]),
        ({"inputs": [[1.0]]}, [[1.0]]),
        ({"dataframe_split": {"columns": ["a"], "data": [[1]]}}, [{"a": 1}]),
        ({"a": 1}, [{"a": 1}]),
    ],
)
def test_every_form_of_input_example_gives_rows(example, rows):
    assert example_rows(example) == rows


def test_the_cache_forgets_nothing_but_versions(services):
    key = serving._key(services, "m-1")
    other = dataclasses.replace(services, settings=services.settings.model_copy(update={"device": "cuda"}))
    assert key != serving._key(other, "m-1")
    assert key != serving._key(services, "m-2")
