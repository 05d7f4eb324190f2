"""Batches over the API, with the real job server and engine behind."""

import csv
import io

import pytest

from dashboard import uploads
from tests.conftest import wait_for


def sent(api, run, content):
    """The answer to a file."""
    return api.client.post(api.path(run, "/batch"), data={"file": (io.BytesIO(content), "rows.csv")})


def test_a_file_becomes_a_result_that_equals_single_predictions(api):
    rows = [{"mean radius": r, "mean texture": 19.0, "mean smoothness": 0.1, "mean symmetry": 0.2} for r in (9, 14, 25)]
    lines = "\n".join(str(row).replace("'", '"') for row in rows).encode()
    started = sent(api, "classification", lines)
    assert (started.status_code, started.headers.get("Retry-After")) in ((202, "1"), (200, None))
    address = api.path("classification", f"/batch/{started.get_json()['id']}")
    wait_for(lambda: api.client.get(address).status_code == 200, 60)
    done = api.client.get(address).get_json()
    assert (done["state"], done["summary"]["n"], done["summary"]["failed"]) == ("done", 3, 0)
    key = done["result"].removeprefix("/results/").removesuffix(".csv")
    text = uploads.results(api.services.settings).path(key, ".csv").read_text(encoding="utf-8")
    single = api.client.post(api.path("classification", "/predict"), json={"inputs": rows}).get_json()["predictions"]
    assert [row["prediction"] for row in csv.DictReader(io.StringIO(text))] == [item["label"] for item in single]
    assert sent(api, "classification", lines).status_code == 200


@pytest.mark.parametrize(
    ("run", "content", "said"),
    [
        ("classification", b"mean radius\n1\n", "lacks 'mean texture'"),
        ("images", b"a,b\n1,2\n", "a zip of pictures"),
        ("classification", b"", "is empty"),
    ],
)
def test_a_file_that_does_not_fit_is_told(api, run, content, said):
    answer = sent(api, run, content)
    assert (answer.status_code, said in answer.get_json()["error"]["message"]) == (400, True)


def test_a_form_without_a_file_and_an_unknown_batch_are_told(api):
    assert "0 files" in api.client.post(api.path("classification", "/batch"), data={}).get_json()["error"]["message"]
    gone = api.client.get(api.path("classification", f"/batch/{'0' * 32}"))
    assert (gone.status_code, "no longer kept" in gone.get_json()["error"]["message"]) == (400, True)
