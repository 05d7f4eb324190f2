"""Every kind of reference leads to one immutable model; files are brought here whole or not at all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlflow_runs.errors import ModelUnavailable, RunNotFound
from mlflow_runs.models import fetch, folder_bytes, model_client, resolve, trim

SCRIPT = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{Path(sys.argv[1]) / 'mlflow.db'}"  # create_model_version looks there
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput

folder = Path(sys.argv[1])
client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
experiment = client.create_experiment("e", artifact_location=str(folder / "artifacts"))
run = client.create_run(experiment, run_name="with models").info.run_id
ids = []
for name in ("first", "second"):
    model = client.create_logged_model(experiment, name, run)
    path = Path(model.artifact_location)
    path.mkdir(parents=True)
    (path / "MLmodel").write_text("flavors: {}")
    (path / "weights").write_bytes(bytes(1000))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run, [LoggedModelOutput(model.model_id, 0)])
    ids.append(model.model_id)
pending = client.create_logged_model(experiment, "pending", run).model_id
empty = client.create_run(experiment, run_name="empty").info.run_id
old = client.create_run(experiment, run_name="old")
(Path(old.info.artifact_uri) / "model").mkdir(parents=True)
(Path(old.info.artifact_uri) / "model" / "MLmodel").write_text("flavors: {}")
client.create_registered_model("Shop")
client.create_model_version("Shop", f"models:/{ids[0]}", run)
client.create_model_version("Shop", f"runs:/{old.info.run_id}/model", old.info.run_id)
client.set_registered_model_alias("Shop", "champion", "1")
print(json.dumps({"run": run, "ids": ids, "pending": pending, "empty": empty, "old": old.info.run_id}))
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout.splitlines()[-1]), "uri": f"sqlite:///{folder / 'mlflow.db'}"}


@pytest.fixture(scope="module")
def client(store) -> MlflowClient:
    return model_client(store["uri"])


def test_references_lead_to_model_ids(client, store):
    first, second = store["ids"]
    assert resolve(client, first).model_id == first
    assert resolve(client, store["run"]).model_id == second
    assert resolve(client, "Shop/1").model_id == first
    assert resolve(client, "Shop@champion").model_id == first
    old = f"{store['old']}/model"
    assert [resolve(client, reference).model_id for reference in (store["old"], "Shop/2", old)] == [old] * 3
    assert resolve(client, first).run_id == store["run"]


@pytest.mark.parametrize(
    "reference",
    [
        "0" * 32,
        "m-" + "0" * 32,
        "Shop/9",
        "Shop@nobody",
        "Nothing/1",
        "",
        "/etc/passwd",
        "file:///etc",
        "../../x",
        "a/b/c",
    ],
)
def test_unknown_references_are_refused_with_what_is_accepted(client, reference):
    with pytest.raises(RunNotFound, match="name@alias"):
        resolve(client, reference)


@pytest.mark.parametrize("path", ["../other", "model/../../x", "/etc"])
def test_paths_that_climb_are_no_references(client, store, path):
    with pytest.raises(RunNotFound):
        resolve(client, f"{store['run']}/{path}")


def test_a_run_without_a_model_and_an_unfinished_one_say_so(client, store):
    with pytest.raises(ModelUnavailable, match="'empty' holds no model"):
        resolve(client, store["empty"])
    with pytest.raises(ModelUnavailable, match="only a READY model"):
        resolve(client, store["pending"])


def test_local_files_are_used_where_they_are(client, store, tmp_path):
    model = resolve(client, store["ids"][0])
    assert fetch(client, model, tmp_path) == Path(model.location)
    assert list(tmp_path.iterdir()) == []


def test_files_elsewhere_are_copied_once(client, store, tmp_path, monkeypatch):
    monkeypatch.setattr("mlflow_runs.models._local", lambda location: None)  # as if the store were on a server
    model = resolve(client, store["ids"][0])
    copy = fetch(client, model, tmp_path)
    assert copy == tmp_path / model.model_id
    assert sorted(path.name for path in copy.iterdir()) == ["MLmodel", "weights"]
    (copy / "mark").touch()
    assert (fetch(client, model, tmp_path) / "mark").exists()
    assert [path.name for path in tmp_path.iterdir()] == [model.model_id]


def test_missing_files_are_named_and_leave_no_half_copy(client, store, tmp_path, monkeypatch):
    model = resolve(client, f"{store['empty']}/absent")
    with pytest.raises(ModelUnavailable, match="MLmodel is missing"):
        fetch(client, model, tmp_path)
    monkeypatch.setattr("mlflow_runs.models._local", lambda location: None)
    with pytest.raises(ModelUnavailable):
        fetch(client, model, tmp_path)
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_least_recently_used_copies_go_first(tmp_path):
    for age, name in enumerate(("new", "middle", "old")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").write_bytes(bytes(1000))
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    assert folder_bytes(tmp_path) == 3000
    assert trim(tmp_path, 5000) == 0
    assert trim(tmp_path, 1500, keep=tmp_path / "old") == 2000
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
