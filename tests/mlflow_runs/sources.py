"""A run whose artifacts are a plain folder, and rows to go with it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from mlflow_runs.artifacts import ArtifactFile, BoundedFolder, inside
from mlflow_runs.evaluation import read_evaluation
from mlflow_runs.records import Evaluation
from tests.mlflow_runs.test_index import make_row


class Folder:
    """Artifacts in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self) -> Sequence[ArtifactFile]:
        found = (path for path in self.root.rglob("*") if path.is_file())
        return [ArtifactFile(path.relative_to(self.root).as_posix(), path.stat().st_size) for path in found]

    def fetch(self, path: str) -> Path:
        return inside(self.root, path)


class Run:
    """Write artifacts, then read the evaluation."""

    def __init__(self, root: Path) -> None:
        self.artifacts = root / "run"
        self.artifacts.mkdir(parents=True)
        self.scratch = root / "scratch"
        self.scratch.mkdir()
        self.tables = BoundedFolder(root / "tables", 2**28)

    def write(self, name: str, content: str | bytes | dict | list) -> "Run":
        path = self.artifacts / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return self

    def make(self, name: str, writer: Callable[[Path], object]) -> "Run":
        writer(self.artifacts / name)
        return self

    def read(self, correction: dict | None = None, **row: object) -> Evaluation:
        changes = {"metrics": {}, "tags": {}, "params": {}} | row
        return read_evaluation(make_row(**changes), Folder(self.artifacts), self.tables, self.scratch, correction)
