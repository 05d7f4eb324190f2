"""Batches: every row once and in order, true progress, one bad row spoils no other, a result is found again.

At the end, single answers and a batch as the Inference page asks the real engine for them.
"""

import csv
import json
from collections.abc import Iterator

import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dashboard.cache import ResultCache
from dashboard.errors import BadInput, EngineBusy
from dashboard.inference import batch
from dashboard.inference.client import InferenceClient
from dashboard.inference.outputs import Prediction
from dashboard.predictions import Predictions
from dashboard.reports.batches import batch_finished, run_batch
from dashboard.reports.examples import inference_examples
from dashboard.reports.inference import InferenceQuery, inference_answer, inference_form
from dashboard.services import Services
from dashboard.settings import Settings
from dashboard.uploads import FileShelf, store_bytes, uploads
from mlflow_runs.index import RunIndex
from mlflow_runs.index_writer import IndexWriter
from mlflow_runs.records import Evaluation, Roles
from tests.dashboard.inference.test_batch_files import TABLE, png


@pytest.fixture
def shelf(tmp_path):
    """An empty shelf of results."""
    return FileShelf(tmp_path / "results", 100, 2**20)


def file_of(tmp_path, rows):
    """A CSV of the table model with this many rows, named by a key."""
    path = tmp_path / "0123456789abcdef0123456789abcdef"
    path.write_text("age,town\n" + "".join(f"{i},x\n" for i in range(rows)))
    return path


def doubled(given):
    """Twice the age; -1 is refused, as a model's input check would."""
    if any(row["age"] == "7" for row in given):
        raise BadInput("7 is not accepted")
    return [Prediction(value=2 * float(row["age"])) for row in given]


def test_every_row_is_predicted_once_in_order_with_true_progress(tmp_path, shelf):
    seen, heard = [], []

    def ask(given):
        seen.extend(row["age"] for row in given)
        return doubled([{"age": "0"}] * len(given))

    summary = batch.predict_file(
        file_of(tmp_path, 500), TABLE, "ages.csv", ask, shelf, lambda *done: heard.append(done)
    )
    assert seen == [str(i) for i in range(500)]
    assert (summary.n, summary.failed, summary.cached) == (500, 0, False)
    assert heard[0] == (0, 500)
    assert heard[-1] == (500, 500)
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    assert len(heard) > 3


def test_a_refused_row_gets_its_reason_and_the_others_their_answer(tmp_path, shelf):
    summary = batch.predict_file(file_of(tmp_path, 20), TABLE, "ages.csv", doubled, shelf)
    lines = list(csv.DictReader(shelf.path(summary.key, ".csv").read_text().splitlines()))
    assert [line["prediction"] for line in lines] == ["" if i == 7 else str(2.0 * i) for i in range(20)]
    assert [line["error"] for line in lines if line["error"]] == ["7 is not accepted"]
    assert (summary.failed, summary.problem) == (1, "7 is not accepted")


def test_a_finished_batch_is_found_again_without_asking(tmp_path, shelf):
    path = file_of(tmp_path, 3)
    first = batch.predict_file(path, TABLE, "a.csv", doubled, shelf)
    again = batch.predict_file(path, TABLE, "b.csv", lambda _: pytest.fail("asked again"), shelf)
    assert (again.key, again.n, again.cached, again.name) == (first.key, 3, True, "b.csv")


def test_a_failed_batch_leaves_nothing(tmp_path, shelf):
    def ask(given):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        batch.predict_file(file_of(tmp_path, 3), TABLE, "a.csv", ask, shelf)
    assert list(shelf.folder.iterdir()) == []


def test_a_busy_engine_is_waited_for_but_not_for_ever(tmp_path, shelf, monkeypatch):
    monkeypatch.setattr(batch.time, "sleep", lambda _: None)
    answers = iter([EngineBusy("wait"), EngineBusy("wait"), None])

    def ask(given):
        if (error := next(answers)) is not None:
            raise error
        return doubled(given)

    assert batch.predict_file(file_of(tmp_path, 3), TABLE, "a.csv", ask, shelf).n == 3
    monkeypatch.setattr(batch, "_PATIENCE_SECONDS", -1.0)
    answers = iter([EngineBusy("still busy")])
    with pytest.raises(EngineBusy, match="still busy"):
        batch.predict_file(file_of(tmp_path, 4), TABLE, "a.csv", ask, FileShelf(tmp_path / "other", 10, 2**20))


@pytest.mark.parametrize(("size", "seconds", "following"), [(8, 0.01, 16), (8, 0.2, 8), (8, 0.5, 4), (1, 9.0, 1)])
def test_the_chunk_follows_the_time_it_took(size, seconds, following):
    assert batch.next_size(size, seconds) == following


def test_a_file_through_the_real_engine(engine, store):
    settings = engine.settings
    client = engine.client()
    services = Services(settings, engine.index, None, client, None)
    run_id = store["runs"]["text"]
    token = store_bytes(settings, b"text\nplot a line on an axis\nmerge frames on keys\n", "texts.csv")
    summary = run_batch(services, run_id, token, lambda _done, _all: None)
    assert (summary.n, summary.labels) == (2, {"matplotlib": 1, "pandas": 1})
    found = batch_finished(services, run_id, token)
    assert (found.cached, found.key) == (True, summary.key)
    picture = store_bytes(settings, png(), "picture.png")
    with pytest.raises(BadInput, match="begins with the bytes 89 50"):
        run_batch(services, run_id, picture, lambda _done, _all: None)
    assert uploads(settings).path(token["key"]).is_file()


@pytest.fixture
def services(engine, store, tmp_path) -> Iterator[Services]:
    """The engine's store with an evaluation of the run `table`, in a data folder of its own."""
    settings = Settings(data_dir=tmp_path, tracking_uri=store["uri"])
    (tmp_path / "index.db").write_bytes(store["index"].read_bytes())
    frame = load_breast_cancer(as_frame=True).frame.rename(columns={"target": "label"})
    frame["prediction"] = 1 - frame["label"]
    path = settings.folder("predictions") / "digest.parquet"
    frame.to_parquet(path)
    features = tuple(name for name in frame.columns if name not in ("label", "prediction"))
    roles = Roles(label="label", prediction="prediction", features=features)
    writer = IndexWriter(tmp_path / "index.db")
    run_id = store["runs"]["table"]
    evaluation = Evaluation(run_id, "classification", roles, ("0", "1"), table=path, digest="digest")
    writer.set_evaluation(evaluation, "ready", "mark")
    writer.close()
    index, cache = RunIndex(tmp_path / "index.db"), ResultCache(tmp_path / "cache", 16)
    client = InferenceClient(engine.data_dir, cache, index, settings)
    yield Services(settings, index, Predictions(index, tmp_path), client, cache)
    client.close()
    index.close()


def test_a_row_is_answered_as_by_the_model_itself_and_beside_its_label(services, store):
    data = load_breast_cancer(as_frame=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(data.data, data.target)
    for number in (0, 300):
        found = inference_answer(services, InferenceQuery(run=store["runs"]["table"], row=str(number)))
        (prediction,) = found.answer.predictions
        assert prediction.label == str(model.predict(data.data.iloc[[number]])[0])
        assert found.truth == str(data.target[number])
        expected = model.predict_proba(data.data.iloc[[number]])[0]
        assert prediction.probabilities == pytest.approx({"0": expected[0], "1": expected[1]}, rel=1e-9)


def test_the_same_question_again_comes_from_the_cache(services, store):
    query = InferenceQuery(run=store["runs"]["table"], row="5")
    first, again = inference_answer(services, query), inference_answer(services, query)
    assert (first.answer.cached, again.answer.cached) == (False, True)
    assert first.answer.predictions == again.answer.predictions


def test_what_the_form_shows_gives_the_same_answer_when_sent_back(services, store):
    run = store["runs"]["table"]
    fields = inference_form(services, InferenceQuery(run=run, row="7")).fields
    values = json.dumps({item.field.name: item.value for item in fields})
    mine = inference_answer(services, InferenceQuery(run=run, values=values))
    recorded = inference_answer(services, InferenceQuery(run=run, row="7"))
    assert mine.answer.predictions == recorded.answer.predictions
    assert (mine.truth, recorded.answer.cached) == (None, True)


def test_every_example_can_be_asked(services, store):
    run = store["runs"]["table"]
    found = inference_examples(services, InferenceQuery(run))
    assert set(found) == {"wrong"}
    for link in found["wrong"]:
        assert inference_answer(services, InferenceQuery(run=run, row=link.value)).truth == link.label


def test_a_text_of_ones_own_is_answered_without_a_label(services, store):
    found = inference_answer(services, InferenceQuery(run=store["runs"]["text"], text="draw an axis"))
    assert (found.answer.predictions[0].label, found.truth, found.source) == ("matplotlib", None, "your text")


@pytest.mark.parametrize("name", ["bessel", "onnx", "table"])
def test_a_model_that_nobody_prepared_has_a_form_whose_own_values_are_answered(services, store, name):
    run = store["runs"][name]
    fields = inference_form(services, InferenceQuery(run=run)).fields
    assert fields
    values = {item.field.name: json.dumps(item.value) for item in fields}  # as the controls send them
    found = inference_answer(services, InferenceQuery(run=run, values=json.dumps(values))).answer.predictions[0]
    assert found.label is not None or found.value is not None or found.raw is not None
