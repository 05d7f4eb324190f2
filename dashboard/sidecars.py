"""Code sidecars of large tables, built ahead: one at a time, at low priority, newest runs first, within a disk budget.

`python -m dashboard.sidecars <run id>` builds one; a process of its own, so that its memory goes when it is done.
"""

import logging
import os
import subprocess
import sys
import threading

from dashboard.metrics.codes import build_codes, codes_folder, prune_codes
from dashboard.metrics.tables import Tables
from dashboard.settings import Settings
from mlflow_runs.index import RunIndex
from mlflow_runs.records import Evaluation

_LOOK = 2.0
_NICE = 10
_log = logging.getLogger("vitrine.sidecars")


class SidecarKeeper:
    """Looks for large tables without a sidecar whenever the index has changed, and has them built."""

    def __init__(self, settings: Settings, index: RunIndex) -> None:
        self._settings = settings
        self._index = index
        self._seen = -1
        self._tried: set[str] = set()

    def run(self, stop: threading.Event) -> None:
        """Look and build until told to stop; a build that is under way then ends too."""
        while not stop.wait(_LOOK):
            revision = self._index.state().revision
            if revision == self._seen:
                continue
            due = [item for item in missing(self._index, self._settings) if self._folder(item) not in self._tried]
            if due:
                self._tried.add(self._folder(due[0]))
                self._build(due[0].run_id, stop)
            else:
                self._seen = revision

    def _folder(self, evaluation: Evaluation) -> str:
        return codes_folder(Tables(self._settings.data_dir), evaluation).name

    def _build(self, run_id: str, stop: threading.Event) -> None:
        command = [sys.executable, "-m", "dashboard.sidecars", run_id]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        while process.poll() is None:
            if stop.wait(0.1):
                process.kill()
        if process.returncode and not stop.is_set():
            _log.warning("the sidecar of run %s could not be built; its pages answer from the table", run_id)


def missing(index: RunIndex, settings: Settings) -> list[Evaluation]:
    """Evaluations of large tables without a sidecar, newest first, as far as the newest ones fit the disk budget."""
    tables, room, result = Tables(settings.data_dir), settings.sidecar_mb * 2**20, []
    for row in index.runs(limit=10**9)[0]:
        found = index.evaluation(row.run_id)
        if found is None or not _sliceable(found) or found.n_rows <= settings.sidecar_rows:
            continue
        # a byte per row and column, up to eight for what is counted and per plain column (id, label, score ...)
        room -= found.n_rows * (9 * len(found.roles.features) + len(found.roles.slices) + 8 + 32)
        if room < 0:
            break
        if not codes_folder(tables, found).exists():
            result.append(found)
    return result


def _sliceable(evaluation: Evaluation) -> bool:
    roles = evaluation.roles
    measured = evaluation.task in ("classification", "multilabel", "regression") and roles.label and roles.prediction
    return bool(measured) and evaluation.table is not None and evaluation.table.exists()


def build(settings: Settings, run_id: str) -> None:
    """Build one run's sidecar and delete those used longest ago beyond the budget; ends when its parent does."""
    parent = os.getppid()

    def alone(_share: float) -> None:
        if os.getppid() != parent:
            raise SystemExit(1)

    evaluation = RunIndex(settings.data_dir / "index.db").evaluation(run_id)
    if evaluation is not None:
        tables = Tables(settings.data_dir, settings.query_memory_mb, threads=1)
        build_codes(tables, evaluation, alone)
        prune_codes(tables, settings.sidecar_mb)


def main() -> None:
    """Build the sidecar of the run named on the command line, politely."""
    os.nice(_NICE)
    build(Settings(), sys.argv[1])


if __name__ == "__main__":
    main()
