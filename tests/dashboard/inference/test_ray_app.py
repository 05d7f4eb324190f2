"""The predictor behind Ray Serve, asked through the client of any server of Open Inference Protocol v2."""

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashboard.cache import ResultCache
from dashboard.inference.client import InferenceClient
from dashboard.settings import Settings
from mlflow_runs.errors import ModelUnavailable
from mlflow_runs.index import RunIndex
from tests.conftest import CHECKOUT, answer, free_port, wait_for
from tests.dashboard.inference.conftest import Engine

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"),
]


@pytest.fixture(scope="module")
def address(store: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("ray"), free_port()
    own = {"VITRINE_TRACKING_URI": store["uri"], "VITRINE_DATA_DIR": str(folder), "PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", "dashboard.inference.ray_app"],
        cwd=CHECKOUT,
        env={**os.environ, **own},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: process.poll() is not None or answer(f"{url}/v2/health/ready") == 200, 120)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@pytest.fixture
def client(address: str, store: dict[str, Any], tmp_path: Path) -> Iterator[InferenceClient]:
    settings = Settings(tracking_uri=store["uri"], data_dir=tmp_path, inference_url=address)
    cache = ResultCache(tmp_path / "cache", 16)
    with (
        closing(RunIndex(Path(store["index"]))) as index,
        closing(InferenceClient(tmp_path, cache, index, settings)) as found,
    ):
        yield found


def test_answers_are_those_of_the_engine(client: InferenceClient, store: dict[str, Any], engine: Engine) -> None:
    numbers = np.random.default_rng(0).normal(size=(7, 3)).tolist()
    for name, given in {"onnx": numbers, "text": ["the ball is red", "a goal"], "moody": [{"mood": "fine"}]}.items():
        ours = client.predict(store["runs"][name], given).predictions
        assert ours == engine.client().predict(store["runs"][name], given).predictions
    with pytest.raises(ModelUnavailable, match="the mood is bad"):
        client.predict(store["runs"]["moody"], [{"mood": "raise"}])
    with pytest.raises(ModelUnavailable, match="surely_not_installed"):
        client.predict(store["runs"]["unloadable"], [{"x": 1.0}])
