"""Which sidecars are built ahead, and that a real builder process builds one and leaves with the back office."""

import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard.metrics.codes import codes_folder, open_codes
from dashboard.metrics.tables import Tables
from dashboard.settings import Settings
from dashboard.sidecars import SidecarKeeper, build, missing
from mlflow_runs.index import TABLES_FOLDER
from mlflow_runs.index_writer import IndexWriter
from mlflow_runs.records import Evaluation
from tests.dashboard.metrics.evaluations import evaluation_of
from tests.dashboard.reports.conftest import row_of


def add(index: IndexWriter, name: str, rows: int, start: float = 1.0, task: str = "classification") -> Evaluation:
    rng = np.random.default_rng(rows)
    data = pd.DataFrame({"label": rng.integers(0, 2, rows), "prediction": rng.integers(0, 2, rows)})
    data["kind"] = rng.choice(["a", "b"], rows)
    found = evaluation_of(index.path.parent / TABLES_FOLDER, data, task, name, features=("kind",))  # type: ignore[arg-type]
    index.upsert([row_of(name, start_time=start)])
    index.set_evaluation(found, "ready", "mark")
    return found


@pytest.fixture
def index(tmp_path: Path) -> IndexWriter:
    return IndexWriter(tmp_path / "index.db")


def settings_of(folder: Path, **changes: int) -> Settings:
    return Settings(data_dir=folder, **{"sidecar_rows": 100, **changes})  # type: ignore[arg-type]


def test_large_tables_newest_first(index: IndexWriter, tmp_path: Path) -> None:
    add(index, "old", 150, 1.0)
    add(index, "small", 100, 2.0)
    add(index, "new", 200, 3.0)
    add(index, "other", 201, 4.0, task="detection")
    gone = add(index, "gone", 202, 5.0)
    assert gone.table
    gone.table.unlink()
    settings = settings_of(tmp_path)
    assert [item.run_id for item in missing(index, settings)] == ["new", "old"]
    build(settings, "new")
    assert [item.run_id for item in missing(index, settings)] == ["old"]


def test_only_what_fits_the_disk_budget_is_built_ahead(index: IndexWriter, tmp_path: Path) -> None:
    for number in range(3):
        add(index, f"run{number}", 1_000_000 + number, float(number))
    assert [item.run_id for item in missing(index, settings_of(tmp_path, sidecar_mb=100))] == ["run2", "run1"]


@pytest.mark.process
def test_the_keeper_has_them_built_by_a_process_of_its_own(
    index: IndexWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRINE_DATA_DIR", str(tmp_path))
    first, broken = add(index, "first", 300, 1.0), add(index, "broken", 400, 2.0)
    assert broken.table
    broken.table.write_bytes(b"PAR1 no more")
    stop = threading.Event()
    keeper = threading.Thread(target=SidecarKeeper(settings_of(tmp_path), index).run, args=(stop,))
    keeper.start()
    try:
        deadline = time.monotonic() + 60
        while open_codes(Tables(tmp_path), first) is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        stop.set()
        keeper.join(10)
    assert not keeper.is_alive()
    assert not codes_folder(Tables(tmp_path), broken).exists()
