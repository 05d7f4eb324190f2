"""Flags over the API, with the real engine, back office and store behind."""

import io
import json

import pytest

from dashboard import exports
from dashboard.reports.examples import inference_examples
from dashboard.reports.inference import InferenceQuery, inference_answer
from tests.conftest import wait_for


def flagged(api, run="classification", **body):
    """The answer to a POST of a flag."""
    return api.client.post(api.path(run, "/flags"), json=body)


def test_a_flag_comes_back_as_example_slice_and_trace_until_it_is_undone(api):
    (right, wrong) = (name for name in ("<b>malignant</b>", "gutartig ü"))
    made = flagged(api, row=4, verdict="wrong", corrected=wrong, reason="seen <again>").get_json()
    assert (made["row"], made["corrected"], made["author"]) == (4, wrong, "anonymous")
    assert made["output"]["label"] in (right, wrong)
    listed = api.client.get(api.path("classification", "/flags?verdict=wrong&search=AGAIN")).get_json()
    assert [item["id"] for item in listed["flags"]] == [made["id"]]

    run = api.runs["classification"]
    (example,) = inference_examples(api.services, InferenceQuery(run))["flagged"]
    assert (example.parameter, example.value, example.label) == ("flag", made["id"], wrong)
    answer = inference_answer(api.services, InferenceQuery(run, flag=made["id"]))
    assert (answer.source, answer.truth) == ("flagged wrong", wrong)
    assert answer.answer.predictions[0].label == made["output"]["label"]

    slices = api.client.get(api.path("classification", "/performance")).get_json()["slices"]
    assert slices["flagged"]["n"] == 1

    def stored():
        return api.client.get(api.path("classification", "/flags")).get_json()["flags"][0]["trace"]

    wait_for(lambda: stored() == f"tr-{made['id']}", 30)
    for _ in range(2):
        gone = api.client.delete(api.path("classification", f"/flags/{made['id']}"))
        assert gone.get_json()["id"] == made["id"]
    assert api.client.get(api.path("classification", "/flags")).get_json()["total"] == 0
    assert "flagged" not in inference_examples(api.services, InferenceQuery(run))
    wait_for(lambda: api.services.flags.flag(made["id"]).stored == "removed", 30)


def test_a_picture_is_flagged_and_exported_whole(api):
    picture = (api.folder / "digit0.png").read_bytes()
    form = {"verdict": "right", "reason": "=1+1", "image": (io.BytesIO(picture), "digit.png")}
    made = api.client.post(api.path("images", "/flags"), data=form).get_json()
    assert (made["input"], made["verdict"]) == (None, "right")
    (line,) = list(exports.flag_lines(api.services, {"run": api.runs["images"]}))
    assert {name: json.loads(line)[name] for name in ("id", "output")} == {"id": made["id"], "output": made["output"]}
    table = exports.flags_table(api.services, {"run": api.runs["images"], "scope": "run"})
    (row,) = [dict(zip(table.heads, cells, strict=True)) for cells in table.rows]
    assert (row["id"], row["reason"], json.loads(row["output"])) == (made["id"], "=1+1", made["output"])
    answer = inference_answer(api.services, InferenceQuery(api.runs["images"], flag=made["id"]))
    assert answer.truth == made["output"]["label"]


@pytest.fixture(autouse=True)
def unflagged(api):
    """Every test begins and ends without flags."""
    api.undo_flags()
    yield
    api.undo_flags()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"row": 1}, "Choose a verdict first: right, wrong, unsure"),
        ({"row": 1, "verdict": "perhaps"}, "'perhaps' is none of"),
        ({"row": 1, "verdict": "wrong", "corrected": "neither"}, "'neither' is none of"),
        ({"row": 1, "verdict": "wrong", "colour": 1}, "unknown key 'colour'"),
        ({"verdict": "wrong"}, "neither an 'input' nor a 'row'"),
        ({"row": True, "verdict": "wrong"}, "neither an 'input' nor a 'row'"),
        ({"row": 10**6, "verdict": "wrong"}, "there is no row 1000000"),
        ({"input": {"mean radius": "wide"}, "verdict": "wrong"}, "columns do not fit"),
        ({"input": 5, "verdict": "wrong"}, "neither a text"),
    ],
)
def test_a_wrong_flag_is_told_and_not_kept(api, body, said):
    answer = flagged(api, **body)
    assert (answer.status_code, said in answer.get_json()["error"]["message"]) == (400, True)
    assert api.client.get(api.path("classification", "/flags")).get_json()["total"] == 0


def test_a_flag_of_another_run_is_not_undone_here(api):
    made = flagged(api, "classification", row=1, verdict="unsure").get_json()
    answer = api.client.delete(api.path("images", f"/flags/{made['id']}"))
    assert (answer.status_code, "another run" in answer.get_json()["error"]["message"]) == (400, True)
    api.client.delete(api.path("classification", f"/flags/{made['id']}"))
