"""A data folder with a real index and tables, without a tracking store or other processes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dashboard.cache import ResultCache
from dashboard.flags import Flags
from dashboard.predictions import Predictions
from dashboard.settings import Settings
from dashboard.state import State
from mlflow_runs.index import TABLES_FOLDER, RunIndex
from mlflow_runs.index_writer import IndexWriter
from mlflow_runs.records import Evaluation, EvaluationState, RunRow
from tests.dashboard.metrics.evaluations import evaluation_of


@dataclass(frozen=True)
class House:
    """The services that reports use, and a hand to put runs into the index."""

    settings: Settings
    runs: RunIndex
    predictions: Predictions
    cache: ResultCache
    state: State
    writer: IndexWriter

    @property
    def flags(self) -> Flags:
        """Flags of this data folder."""
        return Flags(self.settings.state_url)

    def add(self, run_id: str, data: Any = None, task: Any = "classification", **changes: Any) -> Evaluation | None:
        """A run, and its evaluation where there are data; `start` orders runs, `model` groups them."""
        roles = changes.pop("roles", {})
        self.writer.upsert([row_of(run_id, **changes)])
        if data is None:
            return None
        folder = self.settings.data_dir / TABLES_FOLDER
        found = data if isinstance(data, Evaluation) else evaluation_of(folder, data, task, name=run_id, **roles)
        self.read(found)
        return found

    def read(self, evaluation: Evaluation, state: EvaluationState = "ready") -> None:
        """Record an evaluation as the back office does."""
        self.writer.set_evaluation(evaluation, state, "mark")

    def scans(self, name: str = "") -> int:
        """How many computations of a name ran."""
        return sum(n for key, n in self.cache.counters().items() if key.startswith(f"computed/{name}"))


def row_of(run_id: str, **changes: Any) -> RunRow:
    """A run as the index holds it."""
    fields: dict[str, Any] = {
        "run_name": run_id,
        "experiment": "exp",
        "experiment_id": "1",
        "status": "FINISHED",
        "start_time": 1000.0,
        "end_time": 1001.0,
        "model": "texts",
        "registered": True,
        "version": "1",
        "ordinal": 1,
        "aliases": (),
        "task": None,
        "state": "pending",
        "problems": (),
        "metrics": {},
        "params": {},
        "tags": {},
        "git_commit": None,
        "user": None,
        "datasets": (),
        "model_info": None,
        "synced_at": 5.0,
    }
    return RunRow(run_id=run_id, **{**fields, **changes})


@pytest.fixture
def house(tmp_path: Path) -> House:
    return build(tmp_path)


@pytest.fixture
def build_house() -> Callable[..., House]:
    return build


def build(folder: Path, **settings: Any) -> House:
    """The services of one data folder."""
    configured = Settings(data_dir=folder, **settings)
    writer = IndexWriter(folder / "index.db")
    writer.set_state("sqlite://", True, "", 10.0)
    runs = RunIndex(folder / "index.db")
    return House(
        configured,
        runs,
        Predictions(runs, folder),
        ResultCache(folder / "cache", 64),
        State(configured.state_url),
        writer,
    )
