"""A run made of a folder; a real SQLite MLflow store, created once and copied for each test."""

import importlib
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

with warnings.catch_warnings():
    warnings.simplefilter(
        "ignore"
    )  # because MLflow's own modules warn while they are imported (SQLAlchemy, type hints)
    for name in ("pyfunc", "store.tracking.sqlalchemy_store", "store.model_registry.sqlalchemy_store"):
        importlib.import_module(f"mlflow.{name}")

from tests.mlflow_runs.sources import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "folders")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database: making one takes seconds, copying it nothing."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


def copy_store(template: Path, folder: Path) -> str:
    """The address of a new store with one experiment "exp" whose artifacts lie beside it."""
    from mlflow import MlflowClient

    folder.mkdir()
    shutil.copy(template, folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    MlflowClient(tracking_uri=uri).create_experiment("exp", artifact_location=(folder / "artifacts").as_uri())
    return uri


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry is the store's own, whatever another test has told MLflow's global state."""
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    monkeypatch.setattr("mlflow.tracking._model_registry.utils._registry_uri", None)


@pytest.fixture
def new_store(template: Path, tmp_path: Path, own_registry: None) -> Callable[[], str]:
    """A function that makes a store."""
    return lambda: copy_store(template, tmp_path / "store")


@pytest.fixture
def store_uri(new_store: Callable[[], str]) -> Iterator[str]:
    import mlflow

    uri = new_store()
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("exp")
    yield uri
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(before)
