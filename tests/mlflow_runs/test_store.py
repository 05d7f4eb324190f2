"""The index follows real MLflow stores: SQLite, files, a tracking server; and stores that fail."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.data.http_dataset_source import HTTPDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import LoggedModelOutput

from dashboard.backoffice import QUICK
from mlflow_runs.index_writer import IndexWriter
from mlflow_runs.run_artifacts import model_details
from mlflow_runs.store import Store, without_password


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IndexWriter]:
    opened = IndexWriter(tmp_path / "data" / "index.db")
    yield opened
    opened.close()


@pytest.fixture
def client(store_uri: str) -> MlflowClient:
    return MlflowClient(tracking_uri=store_uri)


def names(index: IndexWriter) -> list[str]:
    return [row.run_name for row in index.runs()[0]]


def ended(client: MlflowClient, name: str, start: int | None = None, **tags: str) -> str:
    run = client.create_run("1", start_time=start, run_name=name, tags=tags)
    client.set_terminated(run.info.run_id)
    return run.info.run_id


def register(client: MlflowClient, name: str, run_id: str) -> str:
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    source = client.get_run(run_id).info.artifact_uri
    return str(client.create_model_version(name, source, run_id).version)


def test_everything_mlflow_knows_of_a_run(client: MlflowClient, store_uri: str, index: IndexWriter) -> None:
    with mlflow.start_run(run_name="full") as run:
        mlflow.log_metrics({"accuracy": 0.5, "loss": float("nan")})
        mlflow.log_param("lr", 0.1)
        mlflow.set_tags({"team": "blue", "mlflow.source.git.commit": "abc123", "mlflow.user": "ada"})
        dataset = MetaDataset(HTTPDatasetSource("https://example.org/d.csv"), name="d", digest="123")
        mlflow.log_input(dataset, context="test")
    assert Store(store_uri).sync(index)
    row = index.run(run.info.run_id)
    assert (row.run_name, row.experiment, row.experiment_id, row.status) == ("full", "exp", "1", "FINISHED")
    assert (row.model, row.registered, row.version, row.ordinal, row.state) == ("exp", False, None, 1, "pending")
    assert row.metrics["accuracy"] == 0.5
    assert row.metrics["loss"] != row.metrics["loss"]
    assert (row.params, row.tags["team"], row.git_commit, row.user) == ({"lr": "0.1"}, "blue", "abc123", "ada")
    (used,) = row.datasets
    assert (used.name, used.digest, used.context) == ("d", "123", "test")
    assert "example.org" in used.source
    info = client.get_run(run.info.run_id).info
    assert (row.start_time, row.end_time) == (info.start_time / 1000, info.end_time / 1000)
    state = index.state()
    assert (state.reachable, state.message, state.runs, state.uri) == (True, "", 1, store_uri)
    assert abs(time.time() - state.synced_at) < 10


def test_new_running_ending_and_backdated_runs_appear_at_the_next_look(
    client: MlflowClient, store_uri: str, index: IndexWriter
) -> None:
    store = Store(store_uri)
    for n in range(60):
        ended(client, f"old{n}", start=10_000_000 + n)
    store.sync(index)
    assert index.state().runs == 60
    run = client.create_run("1", run_name="new")
    store.sync(index)
    assert index.run(run.info.run_id).status == "RUNNING"
    client.log_metric(run.info.run_id, "accuracy", 0.25)
    store.sync(index)
    assert index.run(run.info.run_id).metrics == {"accuracy": 0.25}
    client.set_terminated(run.info.run_id, "FAILED")
    store.sync(index)
    assert index.run(run.info.run_id).status == "FAILED"
    backdated = ended(client, "backdated", start=1000)
    store.sync(index)
    assert index.run(backdated).start_time == 1.0
    elsewhere = client.create_run(client.create_experiment("other"), run_name="elsewhere")
    store.sync(index)
    assert index.run(elsewhere.info.run_id).model == "other"


def test_a_sweep_finds_deleted_restored_and_edited_runs(
    client: MlflowClient, store_uri: str, index: IndexWriter
) -> None:
    store = Store(store_uri)
    ids = [ended(client, f"r{n}", start=1_000_000 + n) for n in range(60)]
    store.sync(index)
    client.delete_run(ids[0])
    client.set_tag(ids[1], "note", "added later")
    store.refresh()
    store.sync(index)
    assert index.state().runs == 59
    assert index.run(ids[1]).tags["note"] == "added later"
    client.restore_run(ids[0])
    store.refresh()
    store.sync(index)
    assert index.state().runs == 60
    client.delete_experiment("1")
    store.sync(index)
    assert index.state().runs == 0


def test_versions_aliases_and_groups(client: MlflowClient, store_uri: str, index: IndexWriter) -> None:
    store = Store(store_uri)
    first, second = ended(client, "a", start=1000), ended(client, "b", start=2000)
    store.sync(index)
    register(client, "net", first)
    register(client, "net", second)
    client.set_registered_model_alias("net", "champion", "1")
    store.sync(index)
    history = index.history("net")
    assert [(row.version, row.aliases, row.ordinal) for row in history] == [("1", ("champion",), 1), ("2", (), 2)]
    assert index.models() == ["net"]
    client.set_registered_model_alias("net", "champion", "2")
    store.sync(index)
    assert index.latest_for("net", "champion").run_id == second
    newest = register(client, "net", second)
    store.sync(index)
    assert index.run(second).version == newest
    client.delete_registered_model("net")
    store.sync(index)
    assert index.models() == ["exp"]


@pytest.mark.filterwarnings("ignore:Operation with range")  # MLflow compares a pandas index with a range
def test_logged_models_and_runs_that_evaluate_them(
    client: MlflowClient, store_uri: str, index: IndexWriter, tmp_path: Path
) -> None:
    import pandas as pd

    class Constant(mlflow.pyfunc.PythonModel):
        def predict(self, model_input: pd.DataFrame, params=None) -> list[str]:
            return ["a"] * len(model_input)

    example = pd.DataFrame({"x": [1.5, 2.5]})
    with mlflow.start_run() as trained:
        logged = mlflow.pyfunc.log_model(
            name="constant",
            python_model=Constant(),
            input_example=example,
            pip_requirements=["torch==2.13.0"],
            metadata={"size": 8},
        )
    with mlflow.start_run() as evaluated:
        client.log_inputs(evaluated.info.run_id, models=[mlflow.entities.LoggedModelInput(logged.model_id)])
    store = Store(store_uri)
    store.sync(index)
    rows = [index.run(run.info.run_id) for run in (trained, evaluated)]
    assert {(row.model, row.model_info.model_id) for row in rows} == {("exp / constant", logged.model_id)}
    info = model_details(store.client, rows[0].model_info, tmp_path)
    assert "python_function" in info.flavors
    assert info.signature["inputs"] == [{"type": "double", "name": "x", "required": True}]
    assert info.input_example == {"columns": ["x"], "data": [[1.5], [2.5]]}
    assert (info.metadata, info.requirements) == ({"size": 8}, (f"mlflow=={mlflow.__version__}", "torch==2.13.0"))
    client.create_registered_model("net")
    client.create_model_version("net", f"models:/{logged.model_id}", model_id=logged.model_id)
    store.sync(index)
    assert {index.run(run.info.run_id).model for run in (trained, evaluated)} == {"net"}


def test_a_database_that_does_not_exist_is_not_created(tmp_path: Path, index: IndexWriter) -> None:
    path = tmp_path / "none.db"
    assert not Store(f"sqlite:///{path}").sync(index)
    assert not path.exists()
    assert "no database" in index.state().message


@pytest.mark.parametrize("kind", ["garbage", "empty", "foreign", "older"])
def test_a_file_that_is_no_current_store_is_left_alone(
    tmp_path: Path, template: Path, index: IndexWriter, kind: str
) -> None:
    path = tmp_path / "store.db"
    if kind == "older":
        shutil.copy(template, path)
    else:
        path.write_bytes(b"garbage " * 1000 if kind == "garbage" else b"")
    statements = {"foreign": "CREATE TABLE runs (x)", "older": "UPDATE alembic_version SET version_num = 'abc'"}
    if kind in statements:
        with sqlite3.connect(path) as connection:
            connection.execute(statements[kind])
        connection.close()
    before = path.read_bytes()
    assert not Store(f"sqlite:///{path}").sync(index)
    assert path.read_bytes() == before
    state = index.state()
    assert not state.reachable
    assert str(path) in state.message


def test_a_locked_store_keeps_the_last_rows_and_heals(client: MlflowClient, store_uri: str, index: IndexWriter) -> None:
    store = Store(store_uri)
    ended(client, "first")
    store.sync(index)
    seen = index.state()
    lock = sqlite3.connect(store_uri.removeprefix("sqlite:///"), isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    lock.execute("UPDATE runs SET name = 'changed'")
    assert not store.sync(index)
    state = index.state()
    assert (state.reachable, state.runs, state.synced_at) == (False, 1, seen.synced_at)
    assert "locked" in state.message
    assert state.revision > seen.revision
    lock.execute("ROLLBACK")
    lock.close()
    ended(client, "second")
    assert store.sync(index)
    assert names(index) == ["second", "first"]


def test_a_replaced_database_is_noticed(
    client: MlflowClient, store_uri: str, template: Path, index: IndexWriter
) -> None:
    store = Store(store_uri)
    ended(client, "first")
    assert store.sync(index)
    path = Path(store_uri.removeprefix("sqlite:///"))
    path.unlink()
    assert not store.sync(index)
    assert index.state().runs == 1
    shutil.copy(template, path.with_suffix(".new"))
    path.with_suffix(".new").rename(path)
    assert not store.sync(index)
    assert store.replaced


def test_an_index_thrown_away_is_filled_again(client: MlflowClient, store_uri: str, index: IndexWriter) -> None:
    store = Store(store_uri)
    for n in range(60):
        ended(client, f"r{n}", start=1_000_000 + n)
    store.sync(index)
    index.close()
    index.path.unlink()
    store.sync(index)
    assert index.state().runs == 60


def test_an_unchanged_sqlite_store_is_not_read(client: MlflowClient, store_uri: str, index: IndexWriter) -> None:
    store = Store(store_uri)
    ended(client, "only")
    store.sync(index)
    time.sleep(1.1)
    store.sync(index)
    before = index.state()
    started = time.thread_time()
    for _ in range(20):
        assert store.sync(index)
    assert (time.thread_time() - started) / 20 < 0.005
    assert index.state().revision == before.revision
    assert index.state().synced_at > before.synced_at


def test_a_file_store(tmp_path: Path, index: IndexWriter, monkeypatch: pytest.MonkeyPatch, own_registry: None) -> None:
    uri = (tmp_path / "mlruns").as_uri()
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    refused = Store(uri)
    assert not refused.sync(index)
    assert "MLFLOW_ALLOW_FILE_STORE" in index.state().message or "file" in index.state().message
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("files")
    run = client.create_run(experiment, run_name="in a file")
    client.log_metric(run.info.run_id, "accuracy", 0.5)
    client.set_terminated(run.info.run_id)
    store = Store(uri)
    assert store.sync(index), index.state().message
    assert names(index) == ["in a file"]
    register(client, "net", run.info.run_id)
    store.sync(index)
    assert index.run(run.info.run_id).version == "1"


def test_a_port_that_refuses(index: IndexWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        uri = f"http://ada:secret@127.0.0.1:{unused.getsockname()[1]}"
        assert not Store(uri).sync(index)
    state = index.state()
    assert "secret" not in state.uri
    assert "does not answer" in state.message


def test_passwords_are_not_shown() -> None:
    assert without_password("postgresql://ada:s3@host:5432/db") == "postgresql://ada@host:5432/db"
    assert without_password("sqlite:////tmp/a@b.db") == "sqlite:////tmp/a@b.db"
    assert without_password("http://host/x") == "http://host/x"


@pytest.fixture
def server(new_store: Callable[[], str], tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A real tracking server: its address and its process group."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", new_store(), "--port", str(port)]
    command += ["--workers", "1", "--artifacts-destination", str(tmp_path / "served")]
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
    uri = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{uri}/health")
        yield uri, process.pid
    finally:
        os.killpg(process.pid, 15)
        process.wait(20)


def _wait_for(url: str) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise TimeoutError(url)


@pytest.mark.process
def test_a_tracking_server_is_read_and_may_go_away(
    server: tuple[str, int], index: IndexWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow_runs.evaluation_reader import EvaluationReader

    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    uri, group = server
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("served")
    run = client.create_run(experiment, run_name="served")
    table = tmp_path / "predictions.csv"
    table.write_text("label,prediction\na,a\nb,a\n")
    client.log_artifact(run.info.run_id, str(table))
    client.set_terminated(run.info.run_id)
    store = Store(uri)
    assert store.sync(index), index.state().message
    reader = EvaluationReader(store, index, tmp_path / "data", 64)
    assert list(reader.due()) == [run.info.run_id]
    evaluation = reader.read(run.info.run_id)
    assert (evaluation.n_rows, evaluation.classes, evaluation.problems) == (2, ("a", "b"), ())
    assert index.run(run.info.run_id).state == "ready"
    assert reader.artifact(run.info.run_id, "predictions.csv").read_text() == table.read_text()
    assert list((tmp_path / "data" / "run" / "scratch").iterdir()) == []

    os.killpg(group, signal.SIGSTOP)  # the worst way to be away: it takes connections and never answers
    try:
        begin = time.monotonic()
        assert not store.sync(index)
        assert time.monotonic() - begin < 6
        assert not index.state().reachable
        assert uri in index.state().message
        assert index.evaluation(run.info.run_id).n_rows == 2
    finally:
        os.killpg(group, signal.SIGCONT)
    deadline = time.monotonic() + 30
    while not store.sync(index):
        assert time.monotonic() < deadline, index.state().message
    assert index.state().reachable


def test_a_failed_attempt_to_log_a_model_hides_no_good_one(
    client: MlflowClient, store_uri: str, index: IndexWriter
) -> None:
    run = client.create_run("1", run_name="second try").info.run_id
    made = []
    for status in ("READY", "FAILED"):
        model = client.create_logged_model("1", "net", source_run_id=run)
        client.finalize_logged_model(model.model_id, status)
        client.log_outputs(run, [LoggedModelOutput(model.model_id, 0)])
        made.append(model.model_id)
    client.set_terminated(run)
    Store(store_uri).sync(index)
    info = index.run(run).model_info
    assert info is not None
    assert info.model_id == made[0]
