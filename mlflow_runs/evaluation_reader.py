"""Reads evaluations into the index: all runs newest first, again when a run changes, and at once when asked."""

import dataclasses
import hashlib
import json
import logging
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from mlflow_runs.artifacts import BoundedFolder, SpareRoom, Tables, safe_artifact_path
from mlflow_runs.errors import ArtifactUnreadable, DashboardError, StoreUnavailable
from mlflow_runs.evaluation import read_evaluation, state_of
from mlflow_runs.figures import metric_figures
from mlflow_runs.index_writer import IndexWriter
from mlflow_runs.prediction_tables import READER_VERSION
from mlflow_runs.records import Evaluation, Problem, RunRow
from mlflow_runs.run_artifacts import RunArtifacts, fingerprint, model_details
from mlflow_runs.store import Store

RECENT = 600.0  # seconds after its end in which files may still be added to a run
RECHECK = 3.0  # seconds between two looks at the files of such runs, and how many of them
RECHECKED = 10
RETRY = 10.0
Corrections = Callable[[str], Mapping[str, Any]]
_log = logging.getLogger(__name__)


class EvaluationReader:
    """Evaluations of one store; safe to use from several threads, which read one run only once at a time."""

    def __init__(
        self,
        store: Store,
        index: IndexWriter,
        data_dir: Path,
        budget_mb: int,
        corrections: Corrections = lambda run_id: {},
    ) -> None:
        """Tables get three quarters of the disk budget, single artifacts (images) the rest; `corrections` tells what
        people corrected of a run's description, in the form of evaluation.json."""
        self._corrections = corrections
        self._store = store
        self._index = index
        self._tables = BoundedFolder(index.tables, budget_mb * 2**20 * 3 // 4)
        self._files = BoundedFolder(data_dir / "artifacts", budget_mb * 2**20 // 4)
        self._scratch = data_dir / "run" / "scratch"
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()
        self._seen: dict[str, str] = {}
        self._retry_at: dict[str, float] = {}
        self._kept: OrderedDict[tuple[str, str, str], Path] = OrderedDict()
        self._rechecked_at = 0.0
        for folder in (self._tables, self._files):
            folder.clean()

    def due(self) -> Iterator[str]:
        """Runs to read now, newest first: never read, changed since, or with files that were added since."""
        marks, now = self._index.marks(), time.time()
        rows = self._index.runs(limit=10**9)[0]
        growing = {row.run_id for row in [row for row in rows if _may_grow(row, now)][:RECHECKED]}
        if now - self._rechecked_at < RECHECK:
            growing.clear()
        else:
            self._rechecked_at = now
        for row in rows:
            if self._retry_at.get(row.run_id, 0.0) > now:
                continue
            if marks.get(row.run_id) != mark_of(row) or (row.run_id in growing and self._has_grown(row)):
                yield row.run_id

    def read_in_background(self, run_id: str) -> None:
        """Read one run without pushing other tables out of the disk budget; what fails is recorded with the run."""
        try:
            self._read(run_id, SpareRoom(self._tables))
        except StoreUnavailable as exc:
            self._retry_at[run_id] = time.time() + RETRY
            _log.info("run %s is read later: %s", run_id, exc)

    def record_failure(self, run_id: str, error: BaseException) -> None:
        """A run whose reading failed in an unforeseen way is shown as broken and not read again until it changes."""
        _log.error("run %s cannot be read", run_id, exc_info=error)
        problem = Problem("evaluation", f"could not be read: {type(error).__name__}: {str(error)[:200]}")
        self._index.set_broken(run_id, problem, mark_of(self._index.run(run_id)))

    def read(self, run_id: str) -> Evaluation:
        """Read one run now and keep its table; raises RunNotFound or StoreUnavailable."""
        return self._read(run_id, self._tables)

    def artifact(self, run_id: str, path: str) -> Path:
        """A local copy of one artifact; raises RunNotFound, DataMissing, ArtifactUnreadable or StoreUnavailable."""
        row = self._index.run(run_id)
        key = (run_id, safe_artifact_path(path), mark_of(row))
        known = self._kept.get(key)
        if known is not None and known.exists():
            return known
        with self._artifacts(run_id) as source:
            try:
                kept = self._files.keep_content(source.fetch(path), PurePosixPath(path).suffix[:10])
            except ArtifactUnreadable as exc:
                raise ArtifactUnreadable(f"artifact {path!r} of run {row.run_name!r} {exc}") from exc
        self._kept[key] = kept
        while len(self._kept) > 10_000:
            self._kept.popitem(last=False)
        return kept

    def files(self, run_id: str, folder: str) -> list[str]:
        """The paths of the run's artifacts below a folder; raises RunNotFound or StoreUnavailable."""
        self._index.run(run_id)
        with self._artifacts(run_id) as source:
            return [file.path for file in source.files() if file.path.startswith(f"{folder}/")]

    def _read(self, run_id: str, tables: Tables) -> Evaluation:
        with self._lock_of(run_id):
            row = self._index.run(run_id)
            row = self._with_details(row)
            with self._artifacts(run_id) as source:
                self._seen[run_id] = fingerprint(source.files())
                evaluation = read_evaluation(row, source, tables, self._scratch, self._corrections(run_id))
            self._index.set_evaluation(evaluation, state_of(evaluation), mark_of(row))
        return evaluation

    def _with_details(self, row: RunRow) -> RunRow:
        """The row with what the MLmodel file says; a model that cannot be read is no reason to stop."""
        info = row.model_info
        if info is None or info.flavors:
            return row
        try:
            with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
                info = model_details(self._store.client, info, Path(folder))
        except DashboardError as exc:
            _log.info("model %s of run %s has no readable description: %s", info.model_id, row.run_id, exc)
            return row
        self._index.set_model_info(row.run_id, info)
        return dataclasses.replace(row, model_info=info)

    def _has_grown(self, row: RunRow) -> bool:
        try:
            with self._artifacts(row.run_id) as source:
                return fingerprint(source.files()) != self._seen.get(row.run_id)
        except StoreUnavailable:
            return False

    @contextmanager
    def _artifacts(self, run_id: str) -> Iterator[RunArtifacts]:
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            yield RunArtifacts(self._store.client, run_id, Path(folder), self._tables.limit)

    def _lock_of(self, run_id: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(run_id, threading.Lock())


def mark_of(row: RunRow) -> str:
    """A text that changes when the run's evaluation may have changed, as far as the index can tell."""
    figures = metric_figures(row.metrics)
    parts = (
        READER_VERSION,
        row.status,
        row.end_time,
        row.tags.get("mlflow.loggedArtifacts", ""),
        sorted(figures.overall.items()) if figures else [],
        sorted((key, value) for key, value in row.params.items() if key.lower().startswith("preprocess")),
        row.model_info.model_id if row.model_info else "",
    )
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=12).hexdigest()


def _may_grow(row: RunRow, now: float) -> bool:
    return row.end_time is None or row.status == "RUNNING" or now - row.end_time < RECENT
