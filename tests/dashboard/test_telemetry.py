"""What /metrics says, of one application and of worker processes that count together."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

import app
from dashboard import processes
from dashboard.telemetry import proportional_bytes


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("telemetry")


@pytest.fixture(scope="module")
def client(data: Path) -> FlaskClient:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRINE_DATA_DIR", str(data))
        return app.create_server().test_client()


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Name and label values -> value."""
    families = text_string_to_metric_families(text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def callback(output: str) -> dict[str, object]:
    return {
        "output": output,
        "outputs": [{"id": "shell-seen", "property": "data"}, {"id": "shell-store", "property": "children"}],
        "inputs": [{"id": "shell-tick", "property": "n_intervals", "value": 1}],
        "changedPropIds": ["shell-tick.n_intervals"],
    }


def test_requests_callbacks_and_parts_that_are_away(client: FlaskClient) -> None:
    before = samples(client.get("/metrics").text)
    output = "..shell-seen.data...shell-store.children.."
    for _ in range(3):
        assert client.post("/_dash-update-component", json=callback(output)).status_code == 200
    for number in range(5):
        client.post("/_dash-update-component", json=callback(f"made-up-{number}.children"))
        client.get(f"/export/made-up-{number}.csv")
    client.post("/_dash-update-component", data=b"{", content_type="application/json")
    answer = client.get("/metrics")
    found = samples(answer.text)
    assert answer.content_type.startswith("text/plain; version=0.0.4")
    assert found["vitrine_callback_seconds_count", output] == 3
    assert found["vitrine_requests_total", "/export/<name>.csv", "404"] == 5
    assert ("vitrine_requests_total", "/export/<name>.csv", "404") not in before
    assert not any("made-up" in label for key in found for label in key)
    assert found["vitrine_up", "inference"] == 0
    assert found["vitrine_up", "cache"] == 1
    assert ("vitrine_engine_queue",) not in found and ("vitrine_jobs", "waiting") not in found


def test_errors_that_users_see_are_counted_by_code(client: FlaskClient) -> None:
    answer = client.get("/api/v1/runs/none/performance")
    assert answer.status_code == 404
    found = samples(client.get("/metrics").text)
    assert found["vitrine_requests_total", "/api/v1/runs/<run_id>/performance", "404"] == 1


def test_memory_and_restarts_come_from_the_supervisors_list(client: FlaskClient, data: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "print(1, flush=True); input()"],
        env={**os.environ, processes.MARK: "m4rk/engine/"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as part:
        assert part.stdout is not None and part.stdout.readline() == "1\n"
        state = {"mark": "m4rk", "parts": {"engine": {"restarts": 2}}}
        (data / "run" / "supervisor.json").write_text(json.dumps(state))
        found = samples(client.get("/metrics").text)
        assert found["vitrine_restarts_total", "engine"] == 2
        assert found["vitrine_memory_bytes", "engine"] == pytest.approx(proportional_bytes(part.pid), rel=0.2)
        part.communicate("\n")
