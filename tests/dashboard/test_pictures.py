"""Pictures by content, and what the address that draws while a slider moves refuses (it draws in the browser test)."""

import io

import flask
import pytest
from PIL import Image

from dashboard.inference.client import InferenceClient
from dashboard.pictures import Kept, is_kept, keep, register, shelf
from dashboard.services import Services
from mlflow_runs.records import ModelInfo
from tests.dashboard.reports.conftest import build, row_of

HEADER = {"X-Vitrine-Upload": "1"}
NUMBERS = {"type": "tensor", "name": "z", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}
PICTURE = {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 1, 4, 3]}}


@pytest.fixture
def house(tmp_path):
    """An index with a generator and a model of features; no engine runs."""
    made = build(tmp_path)
    for run, outputs in (("generator", [PICTURE]), ("features", [])):
        row = row_of(run)
        made.writer.upsert([row])
        made.writer.set_model_info(run, ModelInfo(f"m-{run}", "m", (), {"inputs": [NUMBERS], "outputs": outputs}))
    return made


@pytest.fixture
def client(house):
    server = flask.Flask("pictures")
    engine = InferenceClient(house.settings.data_dir, house.cache, house.runs, house.settings)
    register(server, Services(house.settings, house.runs, house.predictions, engine, house.cache))
    return server.test_client()


def test_a_picture_is_kept_once_and_fetched_by_its_link(client, house):
    target = io.BytesIO()
    Image.new("L", (5, 7)).save(target, "PNG")
    png = target.getvalue()
    first, second = keep(house.settings, png), keep(house.settings, png)
    assert first == second
    assert (first.width, first.height) == (5, 7)
    assert len(list(shelf(house.settings).folder.iterdir())) == 1
    with client.get(first.link) as answer:
        assert (answer.data, answer.mimetype) == (png, "image/png")
    assert is_kept(house.settings, first)
    assert not is_kept(house.settings, Kept(f"/pictures/{'0' * 32}.png", 5, 7))


@pytest.mark.parametrize("key", ["0" * 32, "..%2fsecret", "nothing"])
def test_an_unknown_picture_is_not_found(client, key):
    assert client.get(f"/pictures/{key}.png").status_code == 404


@pytest.mark.parametrize(
    ("run", "body", "headers", "status", "said"),
    [
        ("generator", "[0, 0, 0]", {}, 403, "X-Vitrine-Upload"),
        ("generator", "[0, 0]", HEADER, 400, "3 numbers; 2"),
        ("generator", '["a", 0, 0]', HEADER, 400, "not a number"),
        ("generator", "{}", HEADER, 400, "no list"),
        ("generator", "[NaN, 0, 0]", HEADER, 400, "not JSON"),
        ("features", "[0, 0, 0]", HEADER, 400, "does not draw"),
        ("generator", "[0, 0, 0]", HEADER, 503, "inference process"),
        ("nobody", "[0, 0, 0]", HEADER, 404, "nobody"),
    ],
)
def test_what_is_not_drawn_is_said(client, run, body, headers, status, said):
    answer = client.post(f"/pictures/live/{run}", data=body, headers=headers)
    assert (answer.status_code, answer.get_json()["error"].find(said) >= 0) == (status, True), answer.get_json()
