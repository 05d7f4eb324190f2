"""What a model needs beyond the engine's packages, over a real index and a data folder."""

import pytest

from dashboard.inference import environments
from dashboard.inference.client import InferenceClient
from dashboard.inference.environments import Environment
from dashboard.reports.environment import build_environment, model_needs, remove_environment
from dashboard.services import Services
from mlflow_runs.errors import ModelUnavailable
from mlflow_runs.records import ModelInfo

LINES = ("numpy==1.0", "mlflow==2.0", "surely-absent")


def model(*requirements):
    """A model with these requirements."""
    return ModelInfo("m-1", "net", ("python_function",), {}, None, {}, requirements)


@pytest.fixture
def services(house):
    """The services of an empty data folder."""
    client = InferenceClient(house.settings.data_dir, house.cache, house.runs, house.settings)
    return Services(house.settings, house.runs, house.predictions, client, house.cache)


def test_a_model_whose_requirements_are_met_needs_nothing(house, services):
    house.add("r1", model_info=model("numpy", "pandas>=1"))
    found = model_needs(services, "r1")
    assert (found.unmet, found.buildable, found.environment) == ((), False, None)
    with pytest.raises(ModelUnavailable, match="needs no environment"):
        build_environment(services, "r1", lambda *_: None)


def test_what_is_not_met_can_be_built_and_a_failed_build_shows_its_end(house, services):
    house.add("r1", model_info=model(*LINES))
    folder = environments.folder(house.settings.data_dir, environments.digest_of(LINES))
    folder.mkdir(parents=True)
    (folder / "build.log").write_text("".join(f"line {n}\n" for n in range(40)))
    found = model_needs(services, "r1")
    assert [line.split(" ")[0] for line in found.unmet] == list(LINES)
    assert found.wanted == ("numpy==1.0", "surely-absent")
    assert (found.buildable, found.failed[0], found.failed[-1]) == (True, "line 28", "line 39")


def test_a_built_environment_is_found_and_removed(house, services):
    house.add("r1", model_info=model(*LINES))
    data_dir, digest = house.settings.data_dir, environments.digest_of(LINES)
    environments.folder(data_dir, digest).mkdir(parents=True)
    environments.record(data_dir, Environment(digest, ("numpy==1.0",), ("numpy==1.0",), 7, 1.0, 2.0))
    found = model_needs(services, "r1")
    assert (found.environment.bytes, found.serving) == (7, False)
    assert services.inference.routes.engine(services.inference.card("r1")).name == f"env-{digest[:12]}"
    assert remove_environment(services, "r1").environment is None
    assert services.inference.routes.engine(services.inference.card("r1")).name == "engine"


def test_a_model_served_elsewhere_and_a_run_without_one(house):
    settings = house.settings.model_copy(update={"inference_url": "http://triton:8000"})
    client = InferenceClient(settings.data_dir, house.cache, house.runs, settings)
    services = Services(settings, house.runs, house.predictions, client, house.cache)
    house.add("r1", model_info=model(*LINES))
    assert model_needs(services, "r1").elsewhere == "http://triton:8000"
    house.add("r2")
    assert "holds no model" in model_needs(services, "r2").reason
