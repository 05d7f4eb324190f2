"""Published demo tasks in a real store: versions, aliases, tables, models, and a publisher that is killed."""

import io
import json
import time
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType
from PIL import Image

from mlflow_runs.demo import diabetes_progression, digit_reader, docstring_library, tumour_diagnosis
from mlflow_runs.demo.__main__ import publish_demo
from mlflow_runs.demo.publishing import KEY, PUBLISHED, publish_task, stamped
from mlflow_runs.demo.task import DemoTask, Trained

# because MLflow and its store warn about their own internals while they log
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::FutureWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def _first(task: DemoTask, versions: int) -> DemoTask:
    return replace(task, versions=task.versions[:versions], champion=1)


TASKS = {
    "tumour-diagnosis": tumour_diagnosis.task(),
    "digit-reader": _first(digit_reader.task(), 2),
    "docstring-library": _first(docstring_library.task(files=6), 2),
}


@pytest.fixture(scope="module")
def client(make_store):
    uri = make_store()
    location = (Path(uri.removeprefix("sqlite:///")).parent / "artifacts").as_uri()
    publish_demo(list(TASKS.values()), uri, location, lambda text: None)
    return MlflowClient(uri)


def _runs(client, name):
    """Active runs of a demo experiment, by registered version."""
    found = client.search_model_versions(f"name = '{name}'")
    return [client.get_run(item.run_id) for item in sorted(found, key=lambda item: int(item.version))]


def _table(client, run, name="predictions.parquet"):
    return pd.read_parquet(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=name))


@pytest.mark.parametrize("name", TASKS)
def test_versions_follow_the_order_of_the_runs(client, name):
    runs, versions = _runs(client, name), TASKS[name].versions
    assert [run.info.run_name for run in runs] == [version.run_name for version in versions]
    starts = [run.info.start_time for run in runs]
    assert starts == sorted(starts)
    assert starts[-1] - starts[0] > 7 * 86400 * 1000
    assert all(run.info.status == "FINISHED" and run.info.end_time >= run.info.start_time for run in runs)


def test_the_newest_run_is_hours_old(client):
    age = time.time() - _runs(client, "tumour-diagnosis")[-1].info.start_time / 1000
    assert 3600 < age < 24 * 3600


@pytest.mark.parametrize(("name", "best", "newest"), [("tumour-diagnosis", 4, 5), ("digit-reader", 1, 2)])
def test_aliases(client, name, best, newest):
    assert int(client.get_model_version_by_alias(name, "champion").version) == best
    assert int(client.get_model_version_by_alias(name, "challenger").version) == newest


@pytest.mark.parametrize("name", TASKS)
def test_all_versions_answer_the_same_rows(client, name):
    task = TASKS[name]
    first, *others = (_table(client, run) for run in _runs(client, name))
    assert first["id"].is_unique and len(first) >= 50
    for other in others:
        shared = ["id", task.label, "timestamp"]
        assert other[shared].equals(first[shared])
    assert {f"slice_{slice_}" for slice_ in task.slices} <= set(first)


@pytest.mark.parametrize("name", TASKS)
def test_production_has_answers_but_no_labels_and_comes_after_training(client, name):
    task = TASKS[name]
    for run in _runs(client, name):
        batch = _table(client, run, "production.parquet")
        assert task.label not in batch and batch["prediction"].notna().all()
        assert batch["timestamp"].min().timestamp() * 1000 > run.info.end_time
        assert batch["timestamp"].max() <= pd.Timestamp.now("UTC")
        assert not set(batch["id"]) & set(_table(client, run)["id"])


@pytest.mark.parametrize("name", TASKS)
def test_lineage_is_recorded(client, name):
    for run in _runs(client, name):
        contexts = {item.tags[0].value: item.dataset for item in run.inputs.dataset_inputs}
        assert set(contexts) == {"training", "evaluation"}
        assert contexts["evaluation"].digest and contexts["evaluation"].name == f"{name}-evaluation"
        assert len(run.data.tags.get("mlflow.source.git.commit", "0" * 40)) == 40
        assert run.data.params["training_rows"]
    kept = [run.data.params["left_out_of_training"] for run in _runs(client, name)]
    assert kept.count("nothing") == len([version for version in TASKS[name].versions if version.keep is None])


def _model_of(run):
    return f"models:/{run.outputs.model_outputs[0].model_id}"


def test_the_loaded_table_model_gives_the_published_answers(client):
    run = _runs(client, "tumour-diagnosis")[4]
    table, source = _table(client, run), _model_of(run)
    columns = mlflow.models.get_model_info(source).signature.inputs.input_names()
    model = mlflow.sklearn.load_model(source)
    assert list(model.predict(table[columns])) == list(table["prediction"])
    chances = model.predict_proba(table[columns])[:, 1]
    assert np.allclose(chances, table["probability of malignant"], atol=1e-12)


def test_the_loaded_text_model_gives_the_published_answers(client):
    run = _runs(client, "docstring-library")[1]
    table = _table(client, run)
    answers = mlflow.pyfunc.load_model(_model_of(run)).predict(table[["text"]])
    assert list(answers) == list(table["prediction"])


def test_the_loaded_picture_model_gives_the_published_answers_from_its_metadata(client):
    run = _runs(client, "digit-reader")[1]
    table, info = _table(client, run), mlflow.models.get_model_info(_model_of(run))
    how = info.metadata
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(data)), np.float32) for data in table["image"]])[:, None]
    tensor = (pixels * how["rescale_factor"] - how["image_mean"][0]) / how["image_std"][0]
    chances = mlflow.pyfunc.load_model(_model_of(run)).predict(tensor.astype(np.float32))
    labels = [how["id2label"][str(at)] for at in chances.argmax(axis=1)]
    assert labels == list(table["prediction"])
    assert np.allclose(chances, table[[f"score_{name}" for name in how["id2label"].values()]], atol=1e-5)
    assert how["size"] == {"height": 8, "width": 8}


def test_the_evaluation_names_the_roles(client):
    run = _runs(client, "tumour-diagnosis")[0]
    path = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="evaluation.json")
    described = json.loads(Path(path).read_text())
    assert described["positive_class"] == "malignant"
    assert described["columns"]["score"] == "probability of malignant"
    assert described["columns"]["time"] == "timestamp"


class Killed(BaseException):
    """What ends the publisher in the tests below."""


def _dying(task: DemoTask, number: int) -> DemoTask:
    """The task with a publisher that dies in the middle of version `number`, after fitting."""
    version = task.versions[number - 1]

    def die() -> None:
        raise Killed

    def fit(rows):
        return Trained(version.fit(rows).answer, die)

    return replace(task, versions=(*task.versions[: number - 1], replace(version, fit=fit), *task.versions[number:]))


def _everything(client, task):
    return [(run.info.run_id, run.info.start_time, run.data.tags[KEY]) for run in _runs(client, task.name)]


def test_a_killed_publisher_is_completed_by_the_next_start(make_store):
    uri, task = make_store(), diabetes_progression.task()
    location = f"{Path(uri.removeprefix('sqlite:///')).parent}/artifacts"
    with pytest.raises(Killed):
        publish_demo([_dying(task, 3)], uri, location, lambda text: None)
    client = MlflowClient(uri)
    before = _everything(client, task)
    assert [key for *_, key in before] == [task.key(1), task.key(2)]
    experiment = client.get_experiment_by_name(task.name)
    half = [r for r in client.search_runs([experiment.experiment_id]) if PUBLISHED not in r.data.tags]
    assert len(half) == 1

    class Dying(MlflowClient):
        def create_model_version(self, *args, **kwargs):
            raise Killed

    with pytest.raises(Killed):  # now between the end of run 3 and its registration
        publish_task(Dying(uri), task, location, lambda text: None)
    publish_demo([task], uri, location, lambda text: None)
    after = _everything(client, task)
    assert after[:2] == before
    assert [key for *_, key in after] == [task.key(number) for number in range(1, 6)]
    assert len(client.search_runs([experiment.experiment_id])) == 5
    deleted = client.search_runs([experiment.experiment_id], run_view_type=ViewType.DELETED_ONLY)
    assert [run.info.run_id for run in deleted] == [half[0].info.run_id]
    same = {tuple(_table(client, run)["timestamp"]) for run in _runs(client, task.name)}
    assert len(same) == 1
    publish_demo([task], uri, location, lambda text: None)
    assert _everything(client, task) == after


def test_times_are_spread_from_begin_to_end():
    begin, end = pd.Timestamp("2026-01-01", tz="UTC"), pd.Timestamp("2026-01-03", tz="UTC")
    times = stamped(pd.DataFrame({"id": [1, 2, 3]}), begin, end)["timestamp"]
    assert list(times) == [begin, pd.Timestamp("2026-01-02", tz="UTC"), end]
