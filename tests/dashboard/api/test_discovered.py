"""Discovered slices over HTTP: a real job server searches, everyone who asks joins the same job."""

import time
from urllib.parse import quote

import pandas as pd
import pytest
from sklearn.metrics import accuracy_score

from dashboard.reports.slice_finder import known_weak_slices


def _finished(api, path):
    """Ask until the answer is there; every answer before it is a 202 with a job."""
    deadline = time.monotonic() + 60
    states = []
    while (response := api.client.get(path)).status_code == 202:
        assert time.monotonic() < deadline, states
        assert response.headers["Retry-After"] == "1"
        states.append(response.json["job"])
        time.sleep(0.1)
    return response, states


def test_the_first_request_starts_a_job_and_the_last_has_the_slices(api):
    path = api.path("regression", "/slices/discovered")
    api.services.cache._disk.clear()
    first = api.client.get(path)
    assert first.status_code == 202
    assert set(first.json) == {"job"} and first.json["job"]["state"] in ("waiting", "running")
    response, states = _finished(api, path)
    assert {state["id"] for state in states} <= {first.json["job"]["id"]}
    assert response.status_code == 200, response.json
    assert api.client.get(path).json == response.json
    evaluation = api.services.predictions.evaluation(api.runs["regression"])
    assert len(known_weak_slices(api.services, evaluation).slices) == len(response.json["slices"])


def test_what_is_found_can_be_asked_of_the_other_routes(api):
    response, _ = _finished(api, api.path("classification", "/slices/discovered"))
    document = response.json
    assert (document["n"], document["false_discovery"]) == (569, 0.05)
    assert document["slices"], "breast cancer is harder in the middle of its ranges"
    table = pd.read_parquet(api.folder / "cancer.parquet")
    for found in document["slices"]:
        part = api.client.get(api.path("classification", f"/performance?filter={quote(found['filter'])}")).json
        rows = api.client.get(api.path("classification", f"/data?limit=1000&filter={quote(found['filter'])}")).json
        inside = table.iloc[rows["row_numbers"]]
        outside = table.drop(index=inside.index)
        assert part["overall"]["n"] == len(inside) == found["n"] >= document["smallest"]
        assert found["value"] == pytest.approx(part["overall"]["accuracy"]["value"])
        assert (found["low"], found["high"]) == pytest.approx(
            [part["overall"]["accuracy"][end] for end in ("low", "high")], abs=0.02
        )
        assert found["complement"] == pytest.approx(accuracy_score(outside.label, outside.prediction))
        assert found["value"] < found["complement"] and found["p_adjusted"] <= 0.05


@pytest.mark.parametrize(
    ("run", "status", "code"), [("figures", 422, "data_missing"), ("nobody", 404, "run_not_found")]
)
def test_a_run_without_predictions_is_refused(api, run, status, code):
    response = api.client.get(f"/api/v1/runs/{api.runs.get(run, run)}/slices/discovered")
    assert (response.status_code, response.json["error"]["code"]) == (status, code)
