"""The back office, `python -m dashboard.backoffice`: keeps the run index true and answers the web workers."""

import fcntl
import itertools
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboard import backoffice_socket
from dashboard.errors import StateUnavailable
from dashboard.flags import Flags
from dashboard.settings import Settings
from dashboard.sidecars import SidecarKeeper
from dashboard.state import State
from mlflow_runs.errors import DashboardError
from mlflow_runs.index_rows import evaluation_text
from mlflow_runs.index_writer import IndexWriter

if TYPE_CHECKING:
    from mlflow_runs.evaluation_reader import EvaluationReader
    from mlflow_runs.store import Store

QUICK = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",  # a server that hangs is to be told of within seconds; the next look is soon
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_log = logging.getLogger("vitrine.backoffice")


class BackOffice:
    """The loops of the process: look at the store, read evaluations, answer requests."""

    def __init__(self, settings: Settings, store: "Store", index: IndexWriter, reader: "EvaluationReader") -> None:
        # because MLflow reads its environment while it is imported
        from dashboard.flag_writer import FlagWriter

        self._settings = settings
        self._store = store
        self._index = index
        self._reader = reader
        self._stop = threading.Event()
        self._look_now = threading.Event()
        self._pool = ThreadPoolExecutor(4, "work")
        self._reachable: bool | None = None
        self._flags = FlagWriter(Flags(settings.state_url), index, store.uri, self._attempt)

    def run(self) -> None:
        """Serve until `stop`."""
        threading.Thread(target=self._serve, name="requests", daemon=True).start()
        threading.Thread(target=self._read_all, name="evaluations", daemon=True).start()
        threading.Thread(target=self._look_on, name="store", daemon=True).start()
        threading.Thread(target=self._flags.run, args=(self._stop,), name="flags", daemon=True).start()
        keeper = SidecarKeeper(self._settings, self._index)
        sidecars = threading.Thread(target=keeper.run, args=(self._stop,), name="sidecars", daemon=True)
        sidecars.start()
        self._stop.wait()
        sidecars.join(2)  # because a build that is under way is to end with this process

    def stop(self, *_: object) -> None:
        """End `run`."""
        self._stop.set()
        self._look_now.set()
        self._flags.nudge.set()

    def _look_on(self) -> None:
        while not self._stop.is_set():
            self._look_now.clear()
            error = self._attempt(self._store.sync, self._index)
            if error is not None:
                _log.error("looking at the store failed", exc_info=error)
                reason = f"the tracking store cannot be read: {type(error).__name__}: {str(error)[:200]}"
                self._attempt(self._index.set_state, self._index.state().uri, False, reason)
            self._note_reachable()
            if self._store.replaced:
                self.stop()  # because only a new process sees the new file; the supervisor starts one
            self._look_now.wait(self._settings.sync_interval)

    def _note_reachable(self) -> None:
        state = self._index.state()
        if state.reachable != self._reachable:
            level = logging.INFO if state.reachable else logging.WARNING
            _log.log(level, "%s", state.message or f"{state.uri} answers; {state.runs} runs known so far")
            self._reachable = state.reachable

    def _read_all(self) -> None:
        while not self._stop.wait(0.5):
            error = self._attempt(self._read_due)
            if error is not None:
                _log.error("reading evaluations failed", exc_info=error)

    def _read_due(self) -> None:
        """Read what is due, a few at a time, asking anew so that a new run does not wait behind all old ones."""
        while due := list(itertools.islice(self._reader.due(), 20)):
            for run_id in due:
                if self._stop.is_set():
                    return
                error = self._attempt(self._reader.read_in_background, run_id)
                if error is not None:
                    self._reader.record_failure(run_id, error)

    def _attempt(self, work: Callable[..., object], *arguments: object) -> BaseException | None:
        """Run something in the pool; what it raises is returned, because a loop must outlive any single failure."""
        return self._pool.submit(work, *arguments).exception()

    def _serve(self) -> None:
        folder = self._settings.folder("run")
        (folder / backoffice_socket.NAME).unlink(missing_ok=True)
        with backoffice_socket.address(folder) as path, Listener(path, family="AF_UNIX", backlog=64) as listener:
            (folder / backoffice_socket.NAME).chmod(0o600)
            _log.info("answering on %s", folder / backoffice_socket.NAME)
            while not self._stop.is_set():
                with suppress(OSError, EOFError):
                    threading.Thread(target=self._converse, args=(listener.accept(),), daemon=True).start()

    def _converse(self, connection: "Connection[Any, Any]") -> None:
        with connection, suppress(OSError, EOFError):
            while True:
                try:
                    answer = self._answer(backoffice_socket.read(connection))
                except DashboardError as exc:
                    answer = {"error": {"code": exc.code, "message": str(exc)}}
                except (ValueError, KeyError) as exc:
                    answer = {"error": {"code": "bad_input", "message": f"malformed request: {exc}"}}
                backoffice_socket.write(connection, answer)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        run_id = str(request.get("run_id") or "")
        match request.get("op"):
            case "ping":
                return {"ok": True}
            case "evaluation":
                return {"evaluation": evaluation_text(self._reader.read(run_id))}
            case "artifact":
                return {"path": str(self._reader.artifact(run_id, str(request["path"])))}
            case "files":
                return {"files": self._reader.files(run_id, str(request["folder"]))}
            case "flags":
                self._flags.nudge.set()
                return {"ok": True}
            case "refresh":
                self._store.refresh()
                self._look_now.set()
                return {"evaluation": evaluation_text(self._reader.read(run_id))} if run_id else {"ok": True}
        raise ValueError(f"unknown op {request.get('op')!r}")


def corrections(state: State, run_id: str) -> dict[str, Any]:
    """What people corrected of a run's columns; nothing while that cannot be read, because its figures still can."""
    try:
        found = state.correction(run_id)
    except StateUnavailable as exc:
        _log.warning("run %s is read without corrections: %s", run_id, exc)
        return {}
    return found.description() if found else {}


def sole_writer(folder: Path, patience: float = 10.0) -> int | None:
    """The lock that makes this process the index's only writer; None when another keeps it for `patience` seconds."""
    descriptor = os.open(folder / "backoffice.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                return None
            time.sleep(0.1)
        else:
            return descriptor


def main() -> int:
    """Run the back office with the settings of the environment until SIGTERM or SIGINT."""
    settings = Settings()
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=settings.log_level.upper(), format=form, stream=sys.stderr)
    os.environ.update({name: os.environ.get(name, value) for name, value in QUICK.items()})
    if sole_writer(settings.folder("run")) is None:
        _log.error("another back office already serves %s", settings.data_dir)
        return 1
    # because MLflow reads its environment while it is imported
    from mlflow_runs.evaluation_reader import EvaluationReader
    from mlflow_runs.store import Store, without_password

    index = IndexWriter(settings.data_dir / "index.db")
    if index.state().uri not in ("", without_password(settings.store_uri)):
        index.clear()
    store = Store(settings.store_uri)
    corrected = partial(corrections, State(settings.state_url))
    reader = EvaluationReader(store, index, settings.data_dir, settings.artifact_cache_mb, corrected)
    office = BackOffice(settings, store, index, reader)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, office.stop)
    office.run()
    _log.info("stopped")
    logging.shutdown()
    (settings.folder("run") / backoffice_socket.NAME).unlink(missing_ok=True)
    os._exit(0)  # because a thread may wait seconds for a store that does not answer; the index needs no farewell


if __name__ == "__main__":
    sys.exit(main())
