"""`GET /api/v1/serving` on a real engine, and while there is none."""

import json

import flask
import pytest

from dashboard.api.engine_state import ServingDocument
from dashboard.api.routes import register_api
from dashboard.services import build_services
from dashboard.settings import Settings
from tests.dashboard.api.samples import sent

pytestmark = pytest.mark.process


def state(client):
    """The document, checked against its own schema."""
    response = client.get("/api/v1/serving")
    assert response.status_code == 200
    return sent(ServingDocument, response.json)


def test_the_engines_state_follows_what_it_did(api):
    row = json.loads((api.folder / "cancer_rows.json").read_text())[0]
    before = state(api.client)
    for radius in (11.25, 11.25, 12.5):
        given = {"inputs": [{**row, "mean radius": radius}]}
        assert api.client.post(api.path("classification", "/predict"), json=given).status_code == 200
    after = state(api.client)
    grown = {name: after["counters"][name] - before["counters"][name] for name in ("predictions", "cache_hits")}
    assert grown == {"predictions": 2, "cache_hits": 1}
    model = next(item for item in after["models"] if item["run_id"] == api.runs["classification"])
    assert (model["flavor"], model["rows_predicted"] >= 2, model["bytes"] > 0) == ("sklearn", True, True)
    assert after["models"][0] == model
    assert after["model_bytes"] == sum(item["bytes"] for item in after["models"]) <= after["budget_bytes"]
    assert 0 < after["latency_ms"]["p50"] <= after["latency_ms"]["p95"] <= after["latency_ms"]["p99"]
    assert 0 < after["cache_hit_rate"] < 1
    assert after["rows_per_second"] > 0
    assert (after["ready"], after["device"], after["processes"]) == (True, "cpu", [])


def test_an_engine_that_is_away_is_told_not_failed(tmp_path):
    server = flask.Flask("alone")
    register_api(server, build_services(Settings(data_dir=tmp_path, tracking_uri="")))
    found = state(server.test_client())
    assert not found["ready"]
    assert "make run" in found["message"]
    assert (found["models"], found["cache_hit_rate"], found["since"], found["processes"]) == ([], None, None, [])


def test_parameters_are_refused(api):
    assert api.client.get("/api/v1/serving?x=1").status_code == 400
