"""The web side's door to evaluations: what it answers alone, and what it says when the back office is away."""

import subprocess
import sys
from pathlib import Path

import pytest

from dashboard.errors import BackOfficeUnavailable
from dashboard.predictions import Predictions
from mlflow_runs.errors import ArtifactUnreadable, DataMissing, RunNotFound
from mlflow_runs.index import RunIndex
from mlflow_runs.index_writer import IndexWriter
from mlflow_runs.records import Evaluation, Figures, Problem, Roles
from tests.mlflow_runs.test_index import make_row


@pytest.fixture
def writer(tmp_path: Path):
    opened = IndexWriter(tmp_path / "index.db")
    opened.upsert([make_row()])
    yield opened
    opened.close()


@pytest.fixture
def predictions(tmp_path: Path, writer: IndexWriter) -> Predictions:
    return Predictions(RunIndex(tmp_path / "index.db"), tmp_path)


def test_what_is_recorded_is_answered_without_the_back_office(predictions: Predictions, writer: IndexWriter) -> None:
    evaluation = Evaluation("r1", "classification", Roles(), figures=Figures(overall={"f1": 0.5}))
    writer.set_evaluation(evaluation, "ready", "m")
    assert predictions.evaluation("r1") == evaluation


def test_a_table_on_this_machine_is_answered_and_marked_as_used(predictions: Predictions, writer: IndexWriter) -> None:
    import os

    writer.tables.mkdir()
    table = writer.tables / "d.parquet"
    table.write_bytes(b"1")
    os.utime(table, (1, 1))
    writer.set_evaluation(Evaluation("r1", None, Roles(), table=table, digest="d"), "ready", "m")
    assert predictions.evaluation("r1").table == table
    assert table.stat().st_mtime > 1


def test_a_run_with_broken_artifacts_only_names_them(predictions: Predictions, writer: IndexWriter) -> None:
    problems = (Problem("performance.json", "is not valid JSON"), Problem("predictions.csv", "is empty"))
    writer.set_evaluation(Evaluation("r1", None, Roles(), problems=problems), "broken", "m")
    with pytest.raises(ArtifactUnreadable, match=r"performance\.json is not valid JSON; predictions\.csv is empty"):
        predictions.evaluation("r1")


def test_a_run_without_evaluation_says_what_it_would_need(predictions: Predictions, writer: IndexWriter) -> None:
    writer.set_evaluation(Evaluation("r1", None, Roles()), "none", "m")
    with pytest.raises(DataMissing, match=r"name of r1.*predictions\.parquet"):
        predictions.evaluation("r1")


def test_unknown_runs_and_a_back_office_that_is_away(predictions: Predictions, writer: IndexWriter) -> None:
    with pytest.raises(RunNotFound, match="unknown"):
        predictions.evaluation("unknown")
    with pytest.raises(BackOfficeUnavailable, match="restarted"):
        predictions.evaluation("r1")
    with pytest.raises(BackOfficeUnavailable):
        predictions.artifact("r1", "image.png")
    assert predictions.ping() is False


def test_a_socket_that_nobody_serves_is_a_back_office_that_is_away(predictions: Predictions, tmp_path: Path) -> None:
    import socket

    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(tmp_path / "run" / "backoffice.sock"))
    with pytest.raises(BackOfficeUnavailable):
        predictions.evaluation("r1")


def test_web_workers_do_not_load_mlflow() -> None:
    code = "import sys, dashboard.predictions, mlflow_runs.index; print(sorted({'mlflow', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
