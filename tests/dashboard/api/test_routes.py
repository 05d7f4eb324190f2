"""The routes over real services: a real store, back office and engine; numbers checked against scikit-learn."""

import json
import logging
from dataclasses import replace
from io import BytesIO
from urllib.parse import quote

import flask
import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

import app
from dashboard.api.routes import register_api
from dashboard.cache import ResultCache
from dashboard.inference.client import InferenceClient
from dashboard.reports.column_roles import correct_roles, undo_roles
from dashboard.reports.overview import OverviewQuery, overview_report
from dashboard.server import create_app
from tests.dashboard.api.publisher import NAMES


def _refusal(response, status: int) -> dict[str, str]:
    assert (response.status_code, response.mimetype) == (status, "application/json")
    assert set(response.json) == {"error"} and set(response.json["error"]) == {"code", "message"}
    return response.json["error"]


def test_run_list_holds_every_run_newest_first(api):
    listed = api.client.get("/api/v1/runs").json
    assert listed["total"] == len(api.runs) and listed["store"]["reachable"] is True
    assert [run["run_name"] for run in listed["runs"]] == list(reversed(api.runs))
    wanted = {"run_id", "run_name", "experiment", "model", "version", "task"}
    assert all(wanted <= set(run) and run["version"] is None for run in listed["runs"])
    runs = {run["run_name"]: run for run in listed["runs"]}
    assert runs["classification"]["metrics"]["loss"] is None
    assert (runs["classification"]["task"], runs["regression"]["task"]) == ("classification", "regression")
    assert runs["cut off"]["state"] == "broken"
    assert runs["cut off"]["problems"][0]["artifact"] == "performance.json"


def test_run_list_is_paged_and_searched(api):
    pages = [api.client.get(f"/api/v1/runs?limit=2&offset={offset}").json for offset in (0, 2, 4, 6, 8)]
    assert [len(page["runs"]) for page in pages] == [2, 2, 2, 1, 0]
    assert {run["run_id"] for page in pages for run in page["runs"]} == set(api.runs.values())
    found = api.client.get("/api/v1/runs?search=CUT").json
    assert [run["run_name"] for run in found["runs"]] == ["cut off"] and found["total"] == 1
    assert api.client.get("/api/v1/runs?experiment=api").json["total"] == len(api.runs)
    assert api.client.get("/api/v1/runs?experiment=none").json["total"] == 0


def test_one_run(api):
    run = api.client.get(api.path("bare")).json
    assert run["run_name"] == "bare" and run["params"] == {"depth": "3"}
    model = api.client.get(api.path("images")).json["model_info"]
    assert model["signature"]["inputs"][0]["tensor-spec"]["shape"] == [-1, 1, 8, 8]


def _sklearn(table: pd.DataFrame) -> dict[str, float]:
    found = {"accuracy": metrics.accuracy_score(table.label, table.prediction)}
    for average in ("macro", "weighted"):
        values = metrics.precision_recall_fscore_support(
            table.label, table.prediction, average=average, zero_division=0
        )
        found |= dict(zip((f"{average}_precision", f"{average}_recall", f"{average}_f1"), values, strict=False))
    return found


_FILTERS = {
    "": lambda table: table,
    '"mean radius" > 14': lambda table: table[table["mean radius"] > 14],
    "\"mean radius\" BETWEEN 12 AND 15 AND prediction = 'gutartig ü'": lambda table: table[
        table["mean radius"].between(12, 15) & (table.prediction == NAMES[1])
    ],
}


@pytest.mark.parametrize("chosen", _FILTERS)
def test_classification_equals_scikit_learn_with_and_without_a_filter(api, chosen):
    table = pd.read_parquet(api.folder / "cancer.parquet")
    kept = _FILTERS[chosen](table)
    response = api.client.get(api.path("classification", f"/performance?filter={quote(chosen)}"))
    assert response.status_code == 200, response.json
    document = response.json
    assert document["filter"] == chosen and document["source"] == "predictions"
    assert document["overall"]["n"] == len(kept) < 570 and document["n_filtered_out"] == len(table) - len(kept)
    for name, value in _sklearn(kept).items():
        found = document["overall"][name]
        assert found["value"] == pytest.approx(value, abs=1e-12)
        assert found["low"] <= found["value"] <= found["high"]
    labels = document["confusion"]["labels"]
    expected = metrics.confusion_matrix(kept.label, kept.prediction, labels=labels)
    assert document["confusion"]["counts"] == expected.tolist()
    report = metrics.precision_recall_fscore_support(kept.label, kept.prediction, labels=NAMES, zero_division=0)
    for position, name in enumerate(NAMES):
        row = document["per_class"][name]
        assert [row[key]["value"] for key in ("precision", "recall", "f1")] == pytest.approx(
            [values[position] for values in report[:3]], abs=1e-12
        )
        assert row["n"] == int(report[3][position]) and type(row["n"]) is int


def test_slices_and_their_marks(api):
    table = pd.read_parquet(api.folder / "cancer.parquet")
    slices = api.client.get(api.path("classification", "/performance")).json["slices"]
    assert slices.pop("suspected_label_errors")["kind"] == "found"
    assert set(slices) == {"large", "tiny"}
    for name, found in slices.items():
        rows = table[table[f"slice_{name}"]]
        assert found["n"] == len(rows)
        expected = _sklearn(rows)
        for key in ("precision", "recall", "f1"):
            assert found[key]["value"] == pytest.approx(expected[f"macro_{key}"], abs=1e-12)
            assert found[key].get("too_few", False) is (len(rows) < api.services.settings.min_rows)


def test_regression_equals_scikit_learn(api):
    table = pd.read_parquet(api.folder / "diabetes.parquet")
    document = api.client.get(api.path("regression", "/performance")).json
    expected = {
        "mae": metrics.mean_absolute_error(table.label, table.prediction),
        "rmse": metrics.root_mean_squared_error(table.label, table.prediction),
        "r2": metrics.r2_score(table.label, table.prediction),
    }
    assert document["overall"].pop("n") == len(table)
    for name, value in expected.items():
        assert document["overall"][name]["value"] == pytest.approx(value, abs=1e-9)
    assert document["confusion"] is None and sum(document["residuals"]["counts"]) == len(table)


def test_ready_made_figures(api):
    document = api.client.get(api.path("figures", "/performance")).json
    assert document["source"] == "figures" and document["artifact"] == "performance.json"
    assert document["overall"]["n"] == 40
    cat = document["per_class"]["cat"]
    assert (cat["n"], cat["precision"]["value"], cat["recall"]["value"], cat["f1"]["value"]) == (40, 0.75, 0.5, 0.6)
    short = document["slices"]["short"]
    assert (short["n"], short["precision"]["value"], short["f1"]["value"]) == (40, 0.75, 0.6)


def test_unreadable_figures_are_named_and_never_nulls(api):
    error = _refusal(api.client.get(api.path("cut off", "/performance")), 422)
    assert error["code"] == "artifact_unreadable" and "performance.json" in error["message"]


@pytest.mark.parametrize("rest", ["/performance", "/data"])
def test_a_run_without_an_evaluation_says_so(api, rest):
    error = _refusal(api.client.get(api.path("bare", rest)), 422)
    assert error["code"] == "data_missing"


@pytest.mark.parametrize("rest", ["", "/performance", "/data"])
@pytest.mark.parametrize("run_id", ["nobody", "%27%20OR%201=1", "%00", "%ED%A0%80", "x" * 5000])
def test_an_unknown_run(api, run_id, rest):
    error = _refusal(api.client.get(f"/api/v1/runs/{run_id}{rest}"), 404)
    assert error["code"] == "run_not_found"


def test_data_is_paged_sorted_and_filtered(api):
    table = pd.read_parquet(api.folder / "cancer.parquet")
    first = api.client.get(api.path("classification", "/data?limit=3")).json
    assert first["total"] == len(table) and first["row_numbers"] == [0, 1, 2]
    assert [row["mean radius"] for row in first["rows"]] == table["mean radius"].head(3).tolist()
    assert set(first["columns"]) == set(first["rows"][0]) == set(table.columns)
    chosen = quote('"mean radius" > 20')
    asked = f"/data?filter={chosen}&sort=mean%20radius&order=desc&offset=1&limit=2"
    page = api.client.get(api.path("classification", asked)).json
    large = table[table["mean radius"] > 20]["mean radius"].sort_values(ascending=False)
    assert page["total"] == len(large) and (page["offset"], page["limit"]) == (1, 2)
    assert [row["mean radius"] for row in page["rows"]] == large.iloc[1:3].tolist()
    sliced = api.client.get(api.path("classification", "/data?slice=tiny&limit=1000")).json
    assert (sliced["total"], [row["id"] for row in sliced["rows"]]) == (3, [0, 1, 2])
    assert api.client.get(api.path("classification", "/columns?slice=tiny")).json["n"] == 3
    assert len(api.client.get(api.path("classification", "/data?limit=1000")).json["rows"]) == len(table)
    beyond = api.client.get(api.path("classification", "/data?offset=100000")).json
    assert beyond["rows"] == [] and beyond["total"] == len(table)


@pytest.mark.parametrize(
    ("rest", "part"),
    [
        ("/performance?filter=nosuch%20%3D%201", "nosuch"),
        ("/performance?filter=1%3B%20DROP%20TABLE%20x", ""),
        ("/performance?filter=read_text('/etc/passwd')%20%3D%20''", "read_text"),
        ("/performance?filter=" + "(" * 3000, ""),
        ("/performance?slice=short", "short"),
        ("/performance?fliter=x", "there is no parameter 'fliter' here; accepted: filter, slice."),
        ("/data?sort=nosuch", "nosuch"),
        ("/data?limit=0", "limit is '0'; accepted is a whole number from 1 to 1,000."),
        ("/data?offset=-1", "offset is '-1'"),
        ("/data?order=sideways", "order is 'sideways'; accepted is asc or desc."),
    ],
)
def test_bad_queries_are_named(api, rest, part):
    error = _refusal(api.client.get(api.path("classification", rest)), 400)
    assert error["code"] == "bad_query" and part in error["message"].lower()


def test_a_filter_that_selects_nothing_is_no_error(api):
    chosen = quote('"mean radius" < 0')
    document = api.client.get(api.path("classification", f"/performance?filter={chosen}")).json
    assert document["overall"]["n"] == 0
    assert api.client.get(api.path("classification", f"/data?filter={chosen}")).json["total"] == 0


def _model(api):
    (found,) = (api.folder / "mlartifacts" / "models").glob("*/artifacts/model.pkl")
    return joblib.load(found)


def test_rows_are_predicted_by_the_runs_model(api):
    rows = json.loads((api.folder / "cancer_rows.json").read_text())
    answered = api.client.post(api.path("classification", "/predict"), json={"inputs": rows})
    assert answered.status_code == 200, answered.json
    document, model = answered.json, _model(api)
    expected = model.predict_proba(pd.DataFrame(rows))
    assert [p["label"] for p in document["predictions"]] == model.predict(pd.DataFrame(rows)).tolist()
    for prediction, row in zip(document["predictions"], expected, strict=True):
        assert prediction["probabilities"] == pytest.approx(dict(zip(model.classes_, row, strict=True)), abs=1e-6)
    assert document["model"]["run_id"] == api.runs["classification"] and document["latency_ms"] >= 0


def test_cached_is_true_when_every_prediction_came_from_the_cache(api):
    rows = [dict.fromkeys(json.loads((api.folder / "cancer_rows.json").read_text())[0], float(n)) for n in (1, 2, 3)]
    ask = [api.client.post(api.path("classification", "/predict"), json={"inputs": given}) for given in (rows[:2],) * 2]
    assert [answer.json["cached"] for answer in ask] == [False, True]
    assert ask[0].json["predictions"] == ask[1].json["predictions"]
    assert api.client.post(api.path("classification", "/predict"), json={"inputs": rows}).json["cached"] is False


def test_pictures_are_predicted_in_their_order(api):
    files = [(BytesIO((api.folder / f"digit{n}.png").read_bytes()), f"digit{n}.png") for n in (0, 1, 2)]
    answered = api.client.post(api.path("images", "/predict"), data={"images": files})
    assert answered.status_code == 200, answered.json
    from sklearn.datasets import load_digits

    halves = (load_digits().images[:3] * 15).astype("uint8").reshape(3, 8, 2, 4).sum(axis=(1, 3))
    expected = [("left", "right")[int(np.argmax(half))] for half in halves]
    assert [p["label"] for p in answered.json["predictions"]] == expected
    assert all(sum(p["probabilities"].values()) == pytest.approx(1) for p in answered.json["predictions"])


def _broken_picture():
    return {"data": {"images": (BytesIO(b"no picture"), "broken.png")}}


@pytest.mark.parametrize(
    ("run", "options", "status", "code"),
    [
        ("classification", {"json": {"inputs": []}}, 400, "bad_input"),
        ("classification", {"json": {"inputs": [{"nosuch": 1}]}}, 400, "bad_input"),
        ("classification", {"json": {"inputs": ["text"]}}, 400, "bad_input"),
        ("classification", {"data": b"{", "content_type": "application/json"}, 400, "bad_input"),
        ("classification", {"data": b"x", "content_type": "text/csv"}, 415, "unsupported_media_type"),
        ("classification", {"data": b" " * 2**21, "content_type": "application/json"}, 413, "too_large"),
        ("images", {"data": {"images": (BytesIO(bytes(2**21)), "huge.png")}}, 413, "too_large"),
        ("images", _broken_picture(), 400, "bad_input"),
        ("regression", {"json": {"inputs": [{"age": 1}]}}, 422, "model_unavailable"),
    ],
)
def test_predictions_that_are_refused(api, run, options, status, code):
    assert _refusal(api.client.post(api.path(run, "/predict"), **options), status)["code"] == code


_JSON = (b'{"inputs": ["' + b"x" * 2**21 + b'"]}', "application/json")
_PART = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n'
_FORM = (_PART + b"x" * 2**21 + b"\r\n--b--\r\n", "multipart/form-data; boundary=b")


@pytest.mark.parametrize(("body", "kind"), [_JSON, _FORM])
def test_a_huge_body_of_unknown_length_is_refused_and_not_cut_off(api, body, kind):
    chunked = {"input_stream": BytesIO(body), "environ_overrides": {"wsgi.input_terminated": True}}
    answered = api.client.post(api.path("images", "/predict"), content_type=kind, **chunked)
    assert _refusal(answered, 413)["code"] == "too_large"


def test_the_pages_do_not_answer_for_the_api(api):
    client = create_app(api.services.settings, api.services, app.PAGES, app.SHELL).server.test_client()
    assert client.get("/nowhere").mimetype == "text/html"
    assert _refusal(client.get("/api/v1/nowhere"), 404)["code"] == "not_found"
    assert client.get("/api/v1/runs").json["total"] == len(api.runs)
    assert "script-src 'self'" in client.get("/api/v1/").headers["Content-Security-Policy"]


def test_predicting_for_an_unknown_run(api):
    answered = api.client.post("/api/v1/runs/nobody/predict", json={"inputs": ["x"]})
    assert _refusal(answered, 404)["code"] == "run_not_found"


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/api/v1/nowhere", 404, None),
        ("GET", "/api/v1/runs/", 404, None),
        ("POST", "/api/v1/nowhere/at/all", 404, None),
        ("POST", "/api/v1/runs", 405, "GET"),
        ("DELETE", "/api/v1/runs/x", 405, "GET"),
        ("GET", "/api/v1/runs/x/predict", 405, "POST"),
        ("PUT", "/api/v1/", 405, "GET"),
    ],
)
def test_unknown_paths_and_methods_are_json(api, method, path, status, allowed):
    response = api.client.open(path, method=method)
    error = _refusal(response, status)
    assert error["code"] == {404: "not_found", 405: "method_not_allowed"}[status]
    assert response.headers.get("Allow") == allowed


def test_an_unexpected_failure_is_logged_under_a_number_and_shows_no_traceback(api, caplog):
    broken = flask.Flask("broken")
    register_api(broken, replace(api.services, runs=None))
    with caplog.at_level(logging.ERROR):
        response = broken.test_client().get("/api/v1/runs")
    error = _refusal(response, 500)
    number = error["message"].rstrip(".").split()[-1]
    assert error["code"] == "internal_error" and number in caplog.text
    assert "Traceback" not in response.get_data(as_text=True) and "NoneType" not in response.get_data(as_text=True)


def test_answers_are_not_kept_by_browsers_and_not_guessed_at(api):
    headers = api.client.get("/api/v1/runs").headers
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-cache", "nosniff")


def test_the_page_needs_no_script(api):
    page = api.client.get("/api/v1/")
    text = page.get_data(as_text=True)
    assert page.status_code == 200 and page.mimetype == "text/html"
    assert "<script" not in text and "http://" not in text and "https://" not in text
    for path in api.client.get("/api/v1/openapi.json").json["paths"]:
        assert path in text
    assert api.client.get("/api/v1").headers["Location"].endswith("/api/v1/")


def test_a_filter_over_ready_made_figures_is_refused_instead_of_ignored(api):
    error = _refusal(api.client.get(api.path("figures", "/performance?filter=x%20%3D%201")), 422)
    assert error["code"] == "data_missing" and "filter" in error["message"]


def test_an_unreadable_artifact_beside_good_figures_is_named(api):
    document = api.client.get(api.path("half", "/performance")).json
    assert document["source"] == "figures" and document["overall"]["f1"]["value"] == 0.6
    assert [problem["artifact"] for problem in document["problems"]] == ["predictions.parquet"]
    error = _refusal(api.client.get(api.path("half", "/performance?filter=x%20%3D%201")), 422)
    assert "predictions.parquet" in error["message"]


def test_without_an_engine_predicting_is_refused_and_the_figures_stay(api, tmp_path):
    services = api.services
    away = InferenceClient(tmp_path, ResultCache(tmp_path / "cache", 16), services.runs, services.settings)
    server = flask.Flask("away")
    register_api(server, replace(services, inference=away))
    row = json.loads((api.folder / "cancer_rows.json").read_text())[0]
    response = server.test_client().post(api.path("classification", "/predict"), json={"inputs": [row]})
    assert _refusal(response, 503)["code"] == "engine_unavailable" and response.headers["Retry-After"] == "1"
    assert server.test_client().get(api.path("classification", "/performance")).status_code == 200


def test_a_slice_is_measured_like_the_filter_that_selects_it(api):
    by_name = api.client.get(api.path("classification", "/performance?slice=large")).json
    by_filter = api.client.get(api.path("classification", "/performance?filter=slice_large")).json
    assert by_name["slice"] == "large" and by_name["overall"]["n"] < 569
    assert by_name["overall"] == by_filter["overall"] and by_name["confusion"] == by_filter["confusion"]


def test_models_are_what_the_overview_shows(api):
    listed = api.client.get("/api/v1/models").json
    expected = overview_report(api.services, OverviewQuery())
    assert [model["model"] for model in listed["models"]] == [card.model for card in expected.models]
    for model, card in zip(listed["models"], expected.models, strict=True):
        assert model["run"]["run_id"] == card.run.run_id and model["n_versions"] == card.n_versions
        assert len(model["history"]) == len(card.history)
    assert api.client.get("/api/v1/models?search=nosuch").json["models"] == []


def test_columns_are_what_the_data_page_shows(api):
    table = pd.read_parquet(api.folder / "diabetes.parquet")
    document = api.client.get(api.path("regression", "/columns?filter=bmi%20%3E%200")).json
    assert (document["n"], document["total"]) == (int((table.bmi > 0).sum()), len(table))
    bmi = next(column for column in document["columns"] if column["name"] == "bmi")
    assert bmi["maximum"] == pytest.approx(table.bmi.max()) and sum(bmi["counts"]) == document["n"]


def test_corrected_column_roles_hold_for_every_answer_until_undone(api):
    run, chosen = api.runs["regression"], {"label": "bmi", "prediction": "prediction"}
    before = api.client.get(api.path("regression", "/performance")).json
    try:
        found = correct_roles(api.services, run, "regression", chosen, "ann")
        assert (found.chosen[0], found.author) == ("bmi", "ann")
        table = pd.read_parquet(api.folder / "diabetes.parquet")
        after = api.client.get(api.path("regression", "/performance")).json
        want = (table.prediction - table.bmi).abs().mean()
        assert after["overall"]["mae"]["value"] == pytest.approx(want)
        columns = api.client.get(api.path("regression", "/columns")).json["columns"]
        assert {column["name"]: column["role"] for column in columns}["label"] == "feature"
    finally:
        undone = undo_roles(api.services, run)
    assert undone.changed is None
    assert api.client.get(api.path("regression", "/performance")).json["overall"] == before["overall"]
