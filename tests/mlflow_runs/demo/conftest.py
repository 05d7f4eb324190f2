"""Stores to publish into, and what the versions of a task get wrong without any store."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mlflow_runs.demo.task import DemoTask, Split


@dataclass(frozen=True)
class Losses:
    """One loss per evaluation row and version: squared error, or 1 for a wrong class."""

    task: DemoTask
    split: Split
    by_version: tuple[NDArray[np.float64], ...]

    def rows(self, name: str | None) -> NDArray[np.bool_]:
        records = self.split.evaluation.to_dict("records")
        return np.array([name is None or bool(self.task.slices[name](row)) for row in records])

    def change(self, number: int, name: str | None = None) -> tuple[float, float, int]:
        """Mean loss of version `number` less that of the one before, its z score (paired), and n."""
        rows = self.rows(name)
        paired = (self.by_version[number - 1] - self.by_version[number - 2])[rows]
        z = paired.mean() / (paired.std(ddof=1) / np.sqrt(len(paired)))
        print(f"{self.task.name} v{number} {name or 'overall'}: n {len(paired)}, loss {paired.mean():+.4f}, z {z:+.1f}")
        return float(paired.mean()), float(z), len(paired)


def losses(task: DemoTask, versions: int) -> Losses:
    """Train the first versions and compare their answers with the labels."""
    split = task.load()
    truth = split.evaluation[task.label].to_numpy()
    found = []
    for version in task.versions[:versions]:
        answers = version.fit(version.training_rows(split.train)).answer(split.evaluation)["prediction"].to_numpy()
        found.append(np.square(truth - answers) if task.kind == "regression" else (truth != answers).astype(float))
    return Losses(task, split, tuple(found))


@pytest.fixture(scope="module")
def make_store(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """A function that makes an empty store; MLflow's global addresses are put back afterwards."""

    def make() -> str:
        path = tmp_path_factory.mktemp("demo") / "mlflow.db"
        shutil.copy(template, path)
        return f"sqlite:///{path}"

    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
            patch.setenv(name, "")  # so that undoing removes what MLflow sets meanwhile
            patch.delenv(name)
        patch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
        patch.setattr("mlflow.tracking._model_registry.utils._registry_uri", None)
        yield make
