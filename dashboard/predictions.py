"""The web workers' door to evaluations: from the index and the local tables, else by asking the back office."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from dashboard import backoffice_socket
from dashboard.errors import BackOfficeUnavailable
from mlflow_runs.artifacts import touch
from mlflow_runs.errors import ArtifactUnreadable, DashboardError, DataMissing, RunNotFound, StoreUnavailable
from mlflow_runs.index import RunIndex
from mlflow_runs.index_rows import evaluation_from
from mlflow_runs.records import Evaluation, RunRow

_TIMEOUT = 30.0
_ERRORS: dict[str, type[DashboardError]] = {
    kind.code: kind for kind in (ArtifactUnreadable, DataMissing, RunNotFound, StoreUnavailable)
}
_WANTED = "predictions.parquet or predictions.csv, performance.json, or metrics such as accuracy or rmse"


class Predictions:
    """Evaluations and single artifacts of runs; holds paths only."""

    def __init__(self, index: RunIndex, data_dir: Path) -> None:
        self._index = index
        self._folder = data_dir / "run"

    def evaluation(self, run_id: str) -> Evaluation:
        """What can be shown of a run, its table present on this machine.

        Raises RunNotFound, ArtifactUnreadable (all that the run has is broken; names the artifacts), DataMissing
        (there is nothing to show), BackOfficeUnavailable or StoreUnavailable.
        """
        row = self._index.run(run_id)
        found = self._index.evaluation(run_id)
        if found is None or (found.table is not None and not touch(found.table)):
            answer = self._ask({"op": "evaluation", "run_id": run_id})
            found = evaluation_from(str(answer["evaluation"]), self._index.tables)
        return _usable(found, row)

    def artifact(self, run_id: str, path: str) -> Path:
        """A local file with one artifact of the run, such as an image; raises as `evaluation` does."""
        return Path(str(self._ask({"op": "artifact", "run_id": run_id, "path": path})["path"]))

    def files(self, run_id: str, folder: str) -> list[str]:
        """The paths of the run's artifacts below a folder; raises as `evaluation` does."""
        answer = self._ask({"op": "files", "run_id": run_id, "folder": folder}, timeout=5.0)
        return [str(path) for path in answer["files"]]

    def refresh(self, run_id: str | None = None) -> None:
        """Have the store (and one run's artifacts) looked at again, soon."""
        self._ask({"op": "refresh", "run_id": run_id})

    def tell_flags(self) -> None:
        """Have new flags carried to MLflow now; without an answer they go there a little later by themselves."""
        with suppress(BackOfficeUnavailable):
            self._ask({"op": "flags"}, timeout=1.0)

    def ping(self) -> bool:
        """Whether the back office answers within a second."""
        try:
            return bool(self._ask({"op": "ping"}, timeout=1.0).get("ok"))
        except BackOfficeUnavailable:
            return False

    def _ask(self, request: dict[str, Any], timeout: float = _TIMEOUT) -> dict[str, Any]:
        answer = backoffice_socket.ask(self._folder, request, timeout)
        error = answer.get("error")
        if error:
            raise _ERRORS.get(str(error["code"]), BackOfficeUnavailable)(str(error["message"]))
        return answer


def _usable(found: Evaluation, row: RunRow) -> Evaluation:
    if found.table or found.figures:
        return found
    if found.problems:
        reasons = "; ".join(f"{problem.artifact} {problem.reason}" for problem in found.problems)
        raise ArtifactUnreadable(f"nothing of run {row.run_name!r} can be read: {reasons}")
    raise DataMissing(f"run {row.run_name!r} carries no evaluation; it would need {_WANTED}")
