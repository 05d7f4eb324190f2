"""The back office as a real process over a real store, in a data folder with a long path."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Client
from pathlib import Path

import pytest

from dashboard import backoffice_socket
from dashboard.backoffice import sole_writer
from dashboard.flags import FlagFilter, Flags
from dashboard.predictions import Predictions
from dashboard.settings import Settings
from mlflow_runs.errors import ArtifactUnreadable, DataMissing, RunNotFound
from mlflow_runs.index import RunIndex
from tests.conftest import CHECKOUT
from tests.mlflow_runs.conftest import copy_store, template  # noqa: F401

pytestmark = pytest.mark.process


class Office:
    """One back-office process and the web side's view of it."""

    def __init__(self, uri: str, data: Path) -> None:
        from mlflow import MlflowClient

        data.mkdir(parents=True, exist_ok=True)
        self.uri, self.data = uri, data
        self.client = MlflowClient(tracking_uri=uri)
        self.index = RunIndex(data / "index.db")
        self.predictions = Predictions(self.index, data)
        self.log = data / "log.txt"
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        ours = {"VITRINE_DATA_DIR": str(self.data), "VITRINE_TRACKING_URI": self.uri, "VITRINE_SYNC_INTERVAL": "0.5"}
        env = {**os.environ, **ours, "VITRINE_ARTIFACT_CACHE_MB": "16", "OMP_NUM_THREADS": "1"}
        with self.log.open("ab") as log:
            return subprocess.Popen([sys.executable, "-m", "dashboard.backoffice"], env=env, stdout=log, stderr=log)

    def end(self, number: int = signal.SIGTERM) -> float:
        started = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(10)
        return time.monotonic() - started

    def run(self, name: str, **artifacts: str) -> str:
        run_id = self.client.create_run("1", run_name=name).info.run_id
        for stem, text in artifacts.items():
            self.client.log_text(run_id, text, stem.replace("__", "."))
        self.client.set_terminated(run_id)
        return str(run_id)


def eventually(check: Callable[[], bool], seconds: float = 20.0) -> float:
    started = time.monotonic()
    while not check():
        assert time.monotonic() - started < seconds
        time.sleep(0.05)
    return time.monotonic() - started


@pytest.fixture(scope="module")
def served(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:  # noqa: F811
    folder = tmp_path_factory.mktemp("office")
    made = Office(copy_store(template, folder / "store"), folder / ("long" * 30) / "data")
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
            made.process.wait()


@pytest.fixture
def office(served: Office) -> Office:
    """The module's back office, answering."""
    if served.process.poll() is not None:
        served.process = served.start()
    eventually(lambda: served.index.state().reachable and served.predictions.ping(), 120)
    return served


TABLE = "label,prediction\na,a\nb,a\n"


def test_a_new_run_is_read_by_itself_and_broken_ones_are_named(office: Office) -> None:
    assert len(str(office.data / "run" / backoffice_socket.NAME)) > 107
    run = office.run("new", predictions__csv=TABLE)
    assert eventually(lambda: any(row.run_id == run for row in office.index.runs()[0])) < 3
    eventually(lambda: office.index.run(run).state == "ready")
    evaluation = office.predictions.evaluation(run)
    assert (evaluation.n_rows, evaluation.classes) == (2, ("a", "b"))
    evaluation.table.unlink()
    assert office.predictions.evaluation(run).table.exists()

    broken = office.run("broken", performance__json='{"overall": ')
    eventually(lambda: broken in {row.run_id for row in office.index.runs()[0] if row.state == "broken"})
    with pytest.raises(ArtifactUnreadable, match=r"performance\.json"):
        office.predictions.evaluation(broken)
    with pytest.raises(DataMissing, match="carries no evaluation"):
        office.predictions.evaluation(office_run_once_known(office, "empty"))

    assert office.predictions.artifact(run, "predictions.csv").read_text() == TABLE
    assert office.predictions.artifact(run, "predictions.csv").is_relative_to(office.data)
    for path in ("../../secret", "/etc/passwd"):
        with pytest.raises(DataMissing, match="not a path"):
            office.predictions.artifact(run, path)
    office.client.log_text(run, "a text", "examples/deep/one.txt")
    assert office.predictions.files(run, "examples") == ["examples/deep/one.txt"]
    with pytest.raises(ArtifactUnreadable, match=r"'missing\.png' of run 'new' is not there"):
        office.predictions.artifact(run, "missing.png")
    with pytest.raises(RunNotFound):
        office.predictions.artifact("unknown", "x")


def office_run_once_known(office: Office, name: str) -> str:
    run = office.run(name)
    eventually(lambda: any(row.run_id == run for row in office.index.runs()[0]))
    return run


def test_files_added_to_a_running_run_are_noticed(office: Office) -> None:
    run = office.client.create_run("1", run_name="slow").info.run_id
    eventually(lambda: any(row.run_id == run and row.state == "none" for row in office.index.runs()[0]))
    office.client.log_text(run, TABLE, "predictions.csv")
    eventually(lambda: office.index.run(run).state == "ready", 10)
    office.client.log_text(run, TABLE + "b,b\n", "predictions.csv")
    eventually(lambda: office.predictions.evaluation(run).n_rows == 3, 10)


def test_many_askers_and_malformed_requests(office: Office) -> None:
    run = office_run_once_known(office, "asked")
    office.client.log_text(run, TABLE, "predictions.csv")
    office.predictions.refresh(run)
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(office.predictions.evaluation(run).n_rows)) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    with backoffice_socket.address(office.data / "run") as path, Client(path, family="AF_UNIX") as connection:
        for request in (b"{}", b"[]", b"nonsense", b'{"op": "artifact"}', b'{"op": "shutdown"}'):
            connection.send_bytes(request)
            assert backoffice_socket.read(connection)["error"]["code"] in ("bad_input", "run_not_found")
        backoffice_socket.write(connection, {"op": "ping"})
        assert backoffice_socket.read(connection) == {"ok": True}
    for thread in threads:
        thread.join()
    assert answers == [2] * 16
    assert office.predictions.ping()


def test_after_a_kill_it_comes_back_and_every_acknowledged_flag_reaches_mlflow(office: Office) -> None:
    run, flags = office_run_once_known(office, "flagged"), Flags(Settings(data_dir=office.data).state_url)
    command = [sys.executable, "-m", "tests.dashboard.flag_maker", flags.url, run, "100"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE) as maker:
        assert maker.stdout is not None
        told = [maker.stdout.readline() for _ in range(60)]
        assert office.end(signal.SIGKILL) < 2
        maker.kill()
        told += maker.stdout.readlines()
    acknowledged = {line.decode().strip() for line in told if line.endswith(b"\n")}
    assert len(acknowledged) >= 60
    kept, _ = flags.find(FlagFilter(run_id=run), limit=1000)
    assert acknowledged <= {flag.id for flag in kept}
    taken_back = kept[0].id
    flags.undo(taken_back)
    assert (office.data / "run" / backoffice_socket.NAME).exists()
    assert office.index.run(run).run_name == "flagged"
    assert office.predictions.ping() is False
    office.process = office.start()
    eventually(office.predictions.ping, 120)
    assert sole_writer(office.data / "run", patience=0.3) is None
    eventually(lambda: all(flag.stored for flag in flags.find(FlagFilter(run_id=run), limit=1000)[0]), 240)
    eventually(lambda: flags.flag(taken_back).stored != "written", 60)
    traces = office.client.search_traces(locations=["1"], filter_string=f"run_id = '{run}'", max_results=500)
    assert {trace.info.trace_id for trace in traces} == {f"tr-{flag.id}" for flag in kept} - {f"tr-{taken_back}"}
    assert all({item.name for item in trace.info.assessments} == {"verdict", "expected_response"} for trace in traces)


def test_it_ends_at_once_when_told_to(office: Office) -> None:
    assert office.end() < 2
    assert office.process.returncode == 0
    assert not (office.data / "run" / backoffice_socket.NAME).exists()
