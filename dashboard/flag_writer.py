"""Carries flags from the state database to MLflow, in the back office; tries again until each is there."""

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

from dashboard.flags import Flag, Flags
from dashboard.metrics.rows import picture as picture_uri
from mlflow_runs.errors import DashboardError, RunNotFound
from mlflow_runs.feedback import Judgement, remove_judgement, write_judgement
from mlflow_runs.index import RunIndex

_LOOK = 1.0
_log = logging.getLogger("vitrine.flags")


class FlagWriter:
    """The back office's hand for flags; `attempt` runs work and returns what it raised."""

    def __init__(self, flags: Flags, index: RunIndex, uri: str, attempt: Callable[..., BaseException | None]) -> None:
        self._flags, self._index, self._uri, self._attempt = flags, index, uri, attempt
        self.nudge = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Write what is due until told to stop; at once after a nudge."""
        while not stop.is_set():
            self.nudge.wait(_LOOK)
            self.nudge.clear()
            error = self._attempt(self.write_due, stop)
            if error is not None:
                _log.warning("flags wait: %s", error)

    def write_due(self, stop: threading.Event | None = None) -> int:
        """Write and remove all that is due; how many. One that fails is noted and does not hold up the others."""
        done = 0
        while (due := self._flags.due()) and not (stop and stop.is_set()):
            for flag in due:
                error = self._attempt(self._carry, flag)
                if error is None:
                    done += 1
                else:
                    self._flags.note_problem(flag.id, str(error))
                    known = isinstance(error, DashboardError)
                    _log.warning("flag %s waits: %s", flag.id, error, exc_info=None if known else error)
        return done

    def _carry(self, flag: Flag) -> None:
        experiment = _experiment(self._index, flag.run_id)
        if flag.undone is not None:
            remove_judgement(self._uri, experiment, flag.id)
            self._flags.note_stored(flag.id, "removed")
            return
        write_judgement(self._uri, judgement_of(flag, experiment, self._flags.picture(flag.id)))
        self._flags.note_stored(flag.id, "written")


def _experiment(index: RunIndex, run_id: str) -> str:
    try:
        return index.run(run_id).experiment_id
    except RunNotFound as exc:
        raise RunNotFound(f"run {run_id} is not in the store now, so that its flags cannot go there") from exc


def judgement_of(flag: Flag, experiment_id: str, picture: bytes) -> Judgement:
    """The flag in MLflow's terms."""
    given: Any = json.loads(flag.input) if flag.input else {}
    kind = (picture_uri(picture) or "data:application/octet-stream;").partition(":")[2].partition(";")[0]
    return Judgement(
        id=flag.id,
        experiment_id=experiment_id,
        run_id=flag.run_id,
        model_id=flag.model_id,
        author=flag.author,
        created=flag.created,
        verdict=flag.verdict,
        reason=flag.reason,
        inputs=given if isinstance(given, dict) else {"input": given},
        outputs=json.loads(flag.output),
        expected=json.loads(flag.corrected) if flag.corrected else None,
        picture=picture,
        picture_type=kind,
        tags={"vitrine.model": flag.model, "vitrine.version": flag.version, "vitrine.source": flag.source},
    )
