"""Open Inference Protocol v2 against a small real server over HTTP, with the engine's own predictor and real models."""

import json
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from dashboard.cache import ResultCache
from dashboard.errors import BadInput, EngineBusy, EngineUnavailable
from dashboard.inference.client import InferenceClient
from dashboard.inference.predictor import Predictor
from dashboard.inference.protocol import DATATYPES, HEADER_FIELD, decode_parts, encode_json, encode_parts
from dashboard.inference.remote import fitted
from dashboard.settings import Settings
from mlflow_runs.errors import ModelUnavailable
from mlflow_runs.index import RunIndex
from tests.dashboard.inference.nets import table_model

NAMES = {np.dtype(kind): name for name, kind in DATATYPES.items()}


class Peer(ThreadingHTTPServer):
    """A v2 server: its models are named by path; `binary` tells whether it takes binary tensors."""

    daemon_threads = True

    def __init__(self, predictor, models):
        super().__init__(("127.0.0.1", 0), Handler)
        self.predictor, self.models = predictor, models
        self.binary, self.trouble, self.seen = True, 0, []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Ready, metadata and infer of the protocol."""

    server: Peer
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name = self.path.removeprefix("/v2/models/")
        if self.path == "/v2/health/ready":
            self.reply(503 if self.server.trouble else 200, b"")
        elif name in self.server.models:
            inputs = self.server.models[name][1]
            self.reply(200, json.dumps({"name": name, "platform": "x", "inputs": inputs, "outputs": []}).encode())
        else:
            self.reply(404, b'{"error": "unknown model"}')

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        model_id = self.server.models[self.path.removeprefix("/v2/models/").removesuffix("/infer")][0]
        size = self.headers.get(HEADER_FIELD)
        self.server.seen.append("json" if size is None else "binary")
        if self.server.trouble:
            return self.reply(self.server.trouble, b"", {"Retry-After": "7"})
        if size is not None and not self.server.binary:
            return self.reply(400, b'{"error": "invalid JSON"}')
        length = len(body) if size is None else int(size)
        message = decode_parts(body[:length], memoryview(body)[length:])
        (outcome,) = self.server.predictor.run(model_id, [message.tensors], {})
        if outcome.error is not None:
            return self.reply(400, json.dumps({"error": str(outcome.error)}).encode())
        if size is None:
            text = encode_json({}, outcome.outputs).replace(b'"inputs"', b'"outputs"')
            return self.reply(200, text, {"Content-Type": "application/json"})
        text, blobs = encode_parts({}, outcome.outputs, "outputs")
        return self.reply(200, b"".join((text, *blobs)), {HEADER_FIELD: str(len(text))})

    def reply(self, status, body, headers=None):
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture(scope="module")
def peer(store) -> Iterator[Peer]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # because MLflow warns of itself when it is imported
        from dashboard.inference.loading import load

    index = RunIndex(store["index"])
    ids = {name: index.run(run).model_info.model_id for name, run in store["runs"].items()}
    index.close()
    folder = Path(store["index"]).parent / "artifacts" / "models"

    def loader(model_id):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return load(folder / model_id / "artifacts", "cpu")

    predictor = Predictor(loader, 2**30)
    number = [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]
    matrix = [{"name": "features", "datatype": "FP64", "shape": [-1, 30]}]
    models = {
        ids["onnx"]: (ids["onnx"], number),
        "champion/versions/2": (ids["table"], matrix),
        "columns": (ids["table"], [{"name": str(n), "datatype": "FP64", "shape": [-1]} for n in columns()]),
    }
    server = Peer(Columned(predictor, ids["table"]), models)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


class Columned:
    """The predictor with the table model's one matrix taken apart into its columns, as its flavour wants them."""

    def __init__(self, predictor, model_id):
        self.predictor, self.model_id = predictor, model_id

    def run(self, model_id, requests, params):
        (tensors,) = requests
        if model_id == self.model_id and "features" in tensors:
            tensors = {name: tensors["features"][:, i : i + 1] for i, name in enumerate(columns())}
        return self.predictor.run(model_id, [tensors], params)


def columns():
    return list(load_breast_cancer(as_frame=True).data.columns)


@pytest.fixture
def client(store, peer, tmp_path):
    """A client of the peer."""
    opened = []
    peer.binary, peer.trouble, peer.seen = True, 0, []

    def make(*models, url=None, **changes):
        index = RunIndex(store["index"])
        given = {"inference_url": peer.url if url is None else url, "inference_models": models, **changes}
        settings = Settings(data_dir=tmp_path, **given)
        opened.append((InferenceClient(tmp_path, ResultCache(tmp_path / "c", 16), index, settings), index))
        return opened[-1][0]

    yield make
    for made, index in opened:
        made.close()
        index.close()


@pytest.mark.parametrize("binary", [True, False])
def test_a_remote_model_answers_as_the_model_itself(client, peer, store, binary):
    peer.binary = binary
    asked = client()
    answer = asked.predict(store["runs"]["onnx"], [[n, 1, 0] for n in range(40)])
    assert [p.raw for p in answer.predictions] == [[2.0, n + 3.0] for n in range(40)]
    assert peer.seen == (["binary", "binary"] if binary else ["binary", "json", "json"])
    assert asked.predict(store["runs"]["onnx"], [[3, 1, 0]]).cached is True
    assert asked.ready() is True


@pytest.mark.parametrize("place", ["champion/2", "columns"])
def test_columns_go_as_the_server_wants_them_and_a_model_may_have_another_name_there(client, peer, store, place):
    rows = load_breast_cancer(as_frame=True).data.tail(5)
    answer = client(f"table={place}").predict(store["runs"]["table"], rows.to_dict("records"))
    found = [[p.probabilities["0"], p.probabilities["1"]] for p in answer.predictions]
    np.testing.assert_allclose(found, table_model().predict_proba(rows), atol=1e-9)


def test_a_model_that_is_not_there_is_named_with_its_path(client, peer, store):
    with pytest.raises(ModelUnavailable, match=r"holds no model at /v2/models/m-\w+; VITRINE_INFERENCE_MODELS"):
        client().predict(store["runs"]["regression"], [[0.0] * 10])


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [(429, EngineBusy, "try again in 7 s"), (503, EngineBusy, "busy"), (401, EngineUnavailable, "refuses access")],
)
def test_trouble_there_is_told_with_the_address(client, peer, store, status, error, words):
    asked = client()
    asked.predict(store["runs"]["onnx"], [[1, 1, 1]])
    peer.trouble = status
    with pytest.raises(error, match=words) as told:
        asked.predict(store["runs"]["onnx"], [[5, 5, status]])
    assert peer.url in str(told.value)
    assert (told.value.wait if status == 429 else 7.0) == 7.0
    state = asked.state()
    assert (state.ready, state.address) == (False, peer.url)


def test_nobody_there_is_told_with_the_address(client, store):
    asked = client(url="http://127.0.0.1:9")
    with pytest.raises(EngineUnavailable, match=r"http://127\.0\.0\.1:9 does not answer"):
        asked.predict(store["runs"]["onnx"], [[1, 2, 3]], deadline=5)
    assert "127.0.0.1:9" in asked.state().message


def test_inputs_that_do_not_fit_are_named():
    two = {"a": np.zeros((1, 1)), "b": np.zeros((1, 1))}
    kept = fitted(two, [("b", "FP32", (-1, 1)), ("a", "INT64", (-1,))], "s")
    assert [(name, str(array.dtype), array.shape) for name, array in kept.items()] == [
        ("b", "float32", (1, 1)),
        ("a", "int64", (1,)),
    ]
    with pytest.raises(BadInput, match=r"takes 3 inputs \(x, y, z\); the model of the run takes 2"):
        fitted(two, [(name, "FP32", (-1, 1)) for name in "xyz"], "s")
    text = {"a": np.array([["x"]], dtype=object), "b": np.zeros((1, 1))}
    with pytest.raises(BadInput, match="columns of text"):
        fitted(text, [("x", "FP32", (-1, 2))], "s")
