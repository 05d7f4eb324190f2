"""The Inference page's report: forms from signatures and data, examples by outcome, inputs from every source."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dashboard.cache import ResultCache
from dashboard.errors import BadInput, BadQuery
from dashboard.inference.cards import model_card
from dashboard.metrics.examples import find_examples
from dashboard.predictions import Predictions
from dashboard.reports.batches import batch_finished, batch_found
from dashboard.reports.examples import inference_examples
from dashboard.reports.inference import InferenceQuery, class_name, inference_answer, inference_form, outside_of
from dashboard.reports.inputs import Given, read_input, tables_of
from dashboard.services import Services
from dashboard.settings import Settings
from dashboard.uploads import store_bytes
from mlflow_runs.errors import DataMissing, ModelUnavailable
from mlflow_runs.index import RunIndex
from mlflow_runs.index_writer import IndexWriter
from mlflow_runs.records import Evaluation, ModelInfo, Roles, RunRow

SCORES = {"a": "score_a", "b": "score_b"}
TABLE = pd.DataFrame(
    {
        "size": [1.5, 2.0, 30.25, 4.0],
        "town": ["Rome", "Paris", "Rome", "Oslo"],
        "text": ["short", "=cmd|x", "ünï😀", "last"],
        "label": ["a", "b", "a", "b"],
        "prediction": ["a", "a", "a", "b"],
        "score_a": [0.9, 0.8, 0.51, 0.2],
        "score_b": [0.1, 0.2, 0.49, 0.8],
    }
)


def png(value):
    """A picture of one grey."""
    target = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(target, "PNG")
    return target.getvalue()


def columns(*specs):
    """A signature of named columns."""
    inputs = [{"name": name, "type": kind, "required": required} for name, kind, required in specs]
    return {"inputs": inputs}


MODELS = {
    "table": ModelInfo(
        "m-table", "m", ("sklearn",), columns(("size", "double", True), ("town", "string", True)), [{"size": 7.0}]
    ),
    "text": ModelInfo("m-text", "m", ("sklearn",), columns(("words", "string", True)), [{"words": "an example"}]),
    "image": ModelInfo("m-image", "m", ("pytorch",), {}, None, {"size": {"height": 8, "width": 8}}),
    "other": ModelInfo("m-other", "m", ("sklearn",), columns(("never_seen", "double", True))),
}


def run_row(run_id, info):
    """A finished run."""
    return RunRow(
        run_id=run_id, run_name=run_id, experiment="e", experiment_id="1", status="FINISHED", start_time=1.0,
        end_time=2.0, model="pets", registered=True, version="3", ordinal=1, aliases=(), task=None, state="pending",
        problems=(), metrics={}, params={}, tags={}, git_commit=None, user=None, datasets=(), model_info=info,
        synced_at=1.0,
    )  # fmt: skip


def roles(**changes):
    """The roles of TABLE's columns."""
    plain = {"label": "label", "prediction": "prediction", "scores": SCORES, "text": "text"}
    return Roles(**{**plain, "features": ("size", "town"), **changes})


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    """A data folder with five runs: one per kind of model, and one without a model."""
    folder = tmp_path_factory.mktemp("data")
    settings = Settings(data_dir=folder)
    pictures = TABLE.assign(picture=[png(i * 60) for i in range(4)])
    tables = settings.folder("predictions")
    TABLE.to_parquet(tables / "d1.parquet")
    pictures.to_parquet(tables / "d2.parquet")
    writer = IndexWriter(folder / "index.db")
    writer.upsert([*(run_row(name, info) for name, info in MODELS.items()), run_row("bare", None)])
    for name in (*MODELS, "bare"):
        writer.set_model_info(name, MODELS[name]) if name in MODELS else None
        digest = "d2" if name == "image" else "d1"
        named = roles(image="picture") if name == "image" else roles()
        found = Evaluation(name, "classification", named, ("a", "b"), table=tables / f"{digest}.parquet", digest=digest)
        writer.set_evaluation(found, "ready", "mark")
    writer.close()
    index = RunIndex(folder / "index.db")
    yield Services(settings, index, Predictions(index, folder), None, ResultCache(folder / "cache", 16))
    index.close()


def test_a_table_form_takes_values_ranges_and_choices_from_the_data(services):
    size, town = inference_form(services, InferenceQuery(run="table", row="2")).fields
    assert (size.value, size.low, size.high, size.choices) == (30.25, 1.5, 30.25, ())
    assert (town.value, set(town.choices)) == ("Rome", {"Rome", "Paris", "Oslo"})


def test_without_an_input_the_form_shows_the_models_example(services):
    assert [item.value for item in inference_form(services, InferenceQuery(run="table")).fields] == [7.0, None]
    assert inference_form(services, InferenceQuery(run="text")).text == "an example"


def test_values_of_the_query_fill_the_form(services):
    form = inference_form(services, InferenceQuery(run="table", values='{"size": 99, "town": "Bonn"}'))
    assert [item.value for item in form.fields] == [99, "Bonn"]


@pytest.mark.parametrize(
    ("value", "outside"),
    [
        ({"size": -500, "town": "Rome"}, [("size", "-500", 1.5, 30.25)]),
        ({"size": "31", "town": "Bonn"}, [("size", "31", 1.5, 30.25), ("town", "Bonn", None, None)]),
        ({"size": 1.5, "town": "Oslo"}, []),
        ({"size": None}, []),
        ({"size": "no number", "town": ""}, []),
    ],
)
def test_values_that_the_evaluation_never_held_are_told(services, value, outside):
    card = model_card(services.runs.run("table"))
    found = outside_of(services, card, Given(value, "your values"))
    assert [(item.name, item.value, item.low, item.high) for item in found] == outside


def test_a_run_without_model_has_no_form_and_no_examples(services):
    assert inference_form(services, InferenceQuery(run="bare")).card is None
    assert inference_examples(services, InferenceQuery("bare")) == {}
    with pytest.raises(ModelUnavailable, match="holds no model"):
        inference_answer(services, InferenceQuery(run="bare", text="x"))


def test_nothing_asked_is_no_answer(services):
    assert inference_answer(services, InferenceQuery(run="table")) is None
    assert inference_answer(services, InferenceQuery()) is None


@pytest.mark.parametrize(
    ("run", "query", "value", "source"),
    [
        ("text", {"row": "2"}, "ünï😀", "row 2"),
        ("text", {"text": "mine"}, "mine", "your text"),
        ("table", {"row": "0"}, {"size": 1.5, "town": "Rome"}, "row 0"),
        ("table", {"values": '{"size": 1}'}, {"size": 1}, "your values"),
        ("image", {"row": "1"}, png(60), "row 1"),
    ],
)
def test_an_input_is_read_as_the_model_takes_it(services, run, query, value, source):
    found = read_input(services, model_card(services.runs.run(run)), InferenceQuery(run=run, **query))
    assert (found.value, found.source) == (value, source)


@pytest.mark.parametrize(
    ("run", "content", "value"),
    [
        ("text", b"long " * 999, "long " * 999),
        ("table", b'{"size": 2}', {"size": 2}),
        ("image", png(9), png(9)),
    ],
)
def test_an_upload_is_an_input_of_any_kind(services, run, content, value):
    token = store_bytes(services.settings, content, "x")
    query = InferenceQuery(run=run, upload=token["key"])
    assert read_input(services, model_card(services.runs.run(run)), query).value == value


@pytest.mark.parametrize(
    ("run", "query", "error", "said"),
    [
        ("table", {"row": "4"}, BadQuery, "there is no row 4; the evaluation has 4 rows"),
        ("table", {"row": "-1"}, BadQuery, "not a row number"),
        ("table", {"values": "[1]"}, BadQuery, "not a JSON object"),
        ("table", {"values": "{"}, BadQuery, "not a JSON object"),
        ("table", {"values": "[" * 3000}, BadQuery, "not a JSON object"),
        ("other", {"row": "0"}, DataMissing, r"lacks its input \(never_seen\)"),
        ("image", {"upload": "0" * 32}, BadInput, "upload it again"),
        ("image", {"upload": "../x"}, BadInput, "names no file"),
    ],
)
def test_a_bad_input_is_told_by_the_answer_and_leaves_the_form(services, run, query, error, said):
    with pytest.raises(error, match=said):
        inference_answer(services, InferenceQuery(run=run, **query))
    assert inference_form(services, InferenceQuery(run=run, **query)).card is not None


def test_an_upload_that_is_no_text_or_too_long_is_told(services):
    for content, said in ((b"\xff\xfe", "not text in UTF-8"), (b"x" * (2**20 + 1), "at most 1,048,576")):
        token = store_bytes(services.settings, content, "x")
        with pytest.raises(BadInput, match=said):
            inference_answer(services, InferenceQuery(run="text", upload=token["key"]))


def test_examples_are_rows_by_outcome(services):
    found = inference_examples(services, InferenceQuery("text"))
    assert {kind: {int(link.value) for link in links} for kind, links in found.items()} == {
        "correct": {0, 2, 3},
        "wrong": {1},
        "least certain": {0, 1, 2, 3},
    }
    (wrong,) = found["wrong"]
    assert (wrong.title, wrong.label, wrong.prediction) == ("=cmd|x", "b", "a")


def test_examples_are_computed_once_and_pictures_become_thumbnails(services):
    inference_examples(services, InferenceQuery("image"))
    before = services.cache.counters()["computed/examples"]
    links = inference_examples(services, InferenceQuery("image"))["correct"]
    assert services.cache.counters()["computed/examples"] == before
    head, _, body = links[0].image.partition(",")
    assert head == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(body))).size == (8, 8)


def test_rows_that_are_no_input_of_the_model_give_no_examples(services):
    assert inference_examples(services, InferenceQuery("other")) == {}


class Artifacts(Predictions):
    """The door to evaluations, with a folder in the place of the back office's artifacts."""

    def files(self, run_id, folder):
        """The files in the folder."""
        return sorted(f"{folder}/{path.name}" for path in (self._folder.parent / folder).iterdir())

    def artifact(self, run_id, path):
        """One of them."""
        return self._folder.parent / path


def test_files_that_the_run_logged_are_examples(services):
    folder = services.settings.data_dir / "examples"
    folder.mkdir()
    (folder / "cat.png").write_bytes(png(7))
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "note.txt").write_text("hello world")
    (folder / "rows.csv").write_text("town,size,words\nRome,3,first\nOslo,4,second\n")
    logged = replace(services, predictions=Artifacts(services.runs, services.settings.data_dir))
    found = {run: inference_examples(logged, InferenceQuery(run))["logged"] for run in ("image", "text", "table")}
    assert [link.value for link in found["image"]] == ["examples/cat.png"]
    assert [link.value for link in found["text"]] == ["examples/note.txt", "examples/rows.csv:0", "examples/rows.csv:1"]
    for run, file, value in (
        ("image", "examples/cat.png", png(7)),
        ("text", "examples/note.txt", "hello world"),
        ("text", "examples/rows.csv:1", "second"),
        ("table", "examples/rows.csv:0", {"town": "Rome", "size": "3"}),
    ):
        card = model_card(services.runs.run(run))
        assert read_input(logged, card, InferenceQuery(run, file=file)).value == value
    for wrong in ("models/x", "examples/rows.csv:9", "examples/rows.csv"):
        with pytest.raises(BadQuery):
            read_input(logged, card, InferenceQuery("table", file=wrong))


def test_the_least_certain_row_comes_from_the_scores(services):
    evaluation = services.predictions.evaluation("text")
    (row,) = find_examples(tables_of(services), evaluation, ["text"], each=1)["least certain"]
    assert row.row == 2


def test_numbers_have_examples_by_their_error(services, tmp_path):
    table = pd.DataFrame({"x": [1, 2, 3, 4], "label": [1.0, 2.0, 3.0, None], "prediction": [1.5, 2.0, 9.0, 1.0]})
    path = services.settings.folder("predictions") / "d3.parquet"
    table.to_parquet(path)
    named = Roles(label="label", prediction="prediction", features=("x",))
    evaluation = Evaluation("r", "regression", named, table=path, digest="d3", n_rows=4)
    found = find_examples(tables_of(services), evaluation, ["x"], each=1)
    assert [found[kind][0].row for kind in ("closest", "furthest off")] == [1, 2]


@pytest.mark.parametrize(("value", "name"), [(1.0, "1"), (1.5, "1.5"), ("1", "1"), (True, "True"), (3, "3")])
def test_classes_are_named_as_in_the_metrics(value, name):
    assert class_name(value) == name


def test_the_query_is_its_url():
    assert json.dumps(InferenceQuery(run="r", row="0").asks) == "true"
    assert not InferenceQuery(run="r").asks


def test_a_batch_file_that_does_not_fit_is_told_with_its_name(services):
    token = store_bytes(services.settings, b"size\n1\n", "mine.csv")
    with pytest.raises(BadInput, match=r"mine\.csv: The file lacks 'town'"):
        batch_found(services, "table", token)
    assert batch_finished(services, "table", token) is None
    assert batch_finished(services, "bare", token) is None
    fitting = store_bytes(services.settings, b"town;size\nRome;1\n", "fits.csv")
    assert batch_found(services, "table", fitting).rows == 1
