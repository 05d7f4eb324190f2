"""MLflow's own scoring server, with real models, behind the same client."""

import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from dashboard.cache import ResultCache
from dashboard.inference.client import InferenceClient
from dashboard.inference.invocations import outputs
from dashboard.settings import Settings
from mlflow_runs.errors import ModelUnavailable
from mlflow_runs.index import RunIndex
from tests.conftest import free_port
from tests.dashboard.inference.nets import TEXTS, regression_model, table_model, text_model


class Served:
    """MLflow's scoring server for one model, in a thread."""

    def __init__(self, folder):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # because MLflow warns of itself when it is imported
            import mlflow.pyfunc
            import uvicorn
            from mlflow.pyfunc import scoring_server

            app = scoring_server.init(mlflow.pyfunc.load_model(str(folder)))
        self.port = free_port()
        self.server = uvicorn.Server(uvicorn.Config(app, port=self.port, log_level="error", lifespan="off"))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        until = time.monotonic() + 20
        while not self.server.started:
            assert time.monotonic() < until
            time.sleep(0.02)

    def stop(self):
        self.server.should_exit = True
        self.thread.join(20)


@pytest.fixture(scope="module")
def client(store, tmp_path_factory) -> Iterator[InferenceClient]:
    """A client whose three models are each served at an address of its own."""
    index = RunIndex(store["index"])
    folder, data = Path(store["index"]).parent / "artifacts" / "models", tmp_path_factory.mktemp("invocations")
    names = ("table", "bare", "regression", "onnx", "moody")
    ids = {name: index.run(store["runs"][name]).model_info.model_id for name in names}
    served = {name: Served(folder / ids[name] / "artifacts") for name in names}
    models = tuple(f"{name}=mlflow+http://127.0.0.1:{server.port}" for name, server in served.items())
    settings = Settings(data_dir=data, inference_models=models)
    made = InferenceClient(data, ResultCache(data / "c", 16), index, settings)
    yield made
    made.close()
    index.close()
    for server in served.values():
        server.stop()


def test_columns_tensors_and_texts_answer_as_the_models_do(client, store):
    rows = load_breast_cancer(as_frame=True).data.tail(4)
    found = client.predict(store["runs"]["table"], rows.to_dict("records")).predictions
    assert [p.value for p in found] == table_model().predict(rows).tolist()
    found = client.predict(store["runs"]["bare"], TEXTS[:3]).predictions
    assert [p.label for p in found] == text_model().predict(TEXTS[:3]).tolist()
    found = client.predict(store["runs"]["onnx"], [[1, 2, 3], [0, 0, 1]]).predictions
    assert [p.raw for p in found] == [[16.0, 22.0], [4.0, 5.0]]
    values = np.linspace(-0.1, 0.1, 20).reshape(2, 10)
    found = client.predict(store["runs"]["regression"], values.tolist()).predictions
    expected = regression_model().predict(pd.DataFrame(values, columns=load_diabetes().feature_names))
    np.testing.assert_allclose([p.value for p in found], expected, rtol=1e-9)


def test_a_refusal_is_told_in_the_servers_words(client, store):
    with pytest.raises(ModelUnavailable, match=r"127\.0\.0\.1:\d+ answered 400: Encountered an unexpected"):
        client.predict(store["runs"]["moody"], ["raise"])


def test_every_server_has_a_state(client):
    remote = [state for state in client.routes.states() if state.address]
    assert [state.ready for state in remote] == [True] * 5


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"predictions": [1, 2]}, {"output": [1, 2]}),
        ({"predictions": [[0.5, 0.5]]}, {"output": [[0.5, 0.5]]}),
        ({"predictions": [{"label": "a", "score": 0.5}]}, {"label": ["a"], "score": [0.5]}),
        ({"predictions": {"y": [[1.0], [2.0]]}}, {"y": [[1.0], [2.0]]}),
    ],
)
def test_every_form_of_answer_becomes_named_arrays(answer, expected):
    assert {name: array.tolist() for name, array in outputs(answer).items()} == expected
