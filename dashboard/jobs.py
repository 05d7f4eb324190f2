"""The background-callback manager: Dash's interface over a warm job server, with results in a diskcache of its own.

`python -m dashboard.jobs app:create_dash` is the job server; web workers only talk to it. Values are JSON.
"""

import importlib
import json
import logging
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, Protocol

import diskcache
from dash._utils import to_json
from dash.background_callback.managers import BaseBackgroundCallbackManager
from dash.background_callback.managers.diskcache_manager import _make_job_fn
from dash.exceptions import BackgroundCallbackError

from dashboard import job_server, job_wire, processes
from dashboard.settings import Settings
from mlflow_runs.errors import DashboardError

POLL_INTERVAL = 250
_KEEP_RESULT = 3600.0
_KEEP_AFTER_READ = 60.0
_ERROR, _PROGRESS, _SIDE = "background_callback_error", "-progress", "-set_props"
_BEGUN = "-begun"
_NO_UPDATE = {"_dash_no_update": "_dash_no_update"}
_UNAVAILABLE = "The process that runs background work does not answer; it is restarted by itself, please try again."
_to_text: Callable[[Any], str] = to_json
_log = logging.getLogger(__name__)


class JobFailed(DashboardError):
    """A background job ended without a result; the text says why."""

    code = "job_failed"
    status = 503


@dataclass(frozen=True)
class JobState:
    """A job that waits or runs: how many are before it, and what it last told of itself (share done, words)."""

    id: str
    state: str
    ahead: int = 0
    progress: float | None = None
    doing: str = ""


@dataclass(frozen=True)
class JobFunction:
    """A background callback as both sides know it: the web worker uses its key, the job server calls it."""

    key: str
    call: Callable[[str, str, Any, Mapping[str, Any]], None]


class JobStore:
    """Results, progress and side updates of jobs as JSON text, private to the server's user, never evicted.

    `opened` gives what they are kept in: a diskcache, or what has the same few operations.
    """

    def __init__(self, opened: Callable[[], Any]) -> None:
        self._opened = opened

    @cached_property
    def _disk(self) -> Any:
        return self._opened()

    def set(self, key: str, value: Any) -> None:
        """What Dash's job function calls for results, progress and set_props; a value that is not JSON is an error."""
        try:
            text = _to_text(value)
        except TypeError as exc:
            text = _to_text(_error(JobFailed(f"The job's result cannot be sent to the page: {exc}.")))
        with self._disk.transact():
            if key.endswith(_SIDE):
                text = _to_text(_merge(json.loads(self._disk.get(key, "{}")), json.loads(text)))
            self._disk.set(key, text, expire=_KEEP_RESULT)

    def add(self, key: str, value: Any) -> None:
        """Store a value unless the job has already left one."""
        self._disk.add(key, _to_text(value), expire=_KEEP_RESULT)

    def get(self, key: str, default: Any) -> Any:
        """A value; it stays readable for a minute, so that an answer lost on the way can be asked for again."""
        text = self._disk.get(key)
        if text is None:
            return default
        self._disk.touch(key, expire=_KEEP_AFTER_READ)
        return json.loads(text)

    def take(self, key: str, default: Any) -> Any:
        """A value, removed in the same step."""
        text = self._disk.pop(key)
        return default if text is None else json.loads(text)

    def delete(self, key: str) -> None:
        """Forget a value."""
        self._disk.delete(key)


def job_folder(folder: Path) -> diskcache.Cache:
    """The diskcache in a private folder that keeps what jobs leave."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return diskcache.Cache(str(folder), eviction_policy="none")


class JobDesk(Protocol):
    """Where jobs are handed in and asked about; what goes wrong on the way is an OSError or a ValueError."""

    def submit(self, job: str, kind: str, body: str) -> dict[str, Any]:
        """Take a job in; its `state`, or refused with the `reason`."""

    def ask(self, op: str, job: str) -> dict[str, Any]:
        """Answer `status`, `cancel` or `load`, see job_wire."""


@dataclass(frozen=True)
class ServerDesk:
    """The job server of this machine."""

    socket: Path

    def submit(self, job: str, kind: str, body: str) -> dict[str, Any]:
        """Hand a job over; a server that is being restarted is waited for."""
        return job_wire.ask(self.socket, {"op": "submit", "id": job, "kind": kind}, body.encode())

    def ask(self, op: str, job: str) -> dict[str, Any]:
        """Its answer at once, or none."""
        return job_wire.ask(self.socket, {"op": op, "id": job}, patience=0.0)


class JobManager(BaseBackgroundCallbackManager):
    """Dash's background-callback interface (4.4): a unique key per invocation, which is also the job's id.

    `waiting` names a component and property that show how many jobs are ahead while a job waits.
    """

    def __init__(self, store: JobStore, desk: JobDesk, waiting: tuple[str, str] | None = None) -> None:
        self.store, self._desk, self._waiting = store, desk, waiting
        super().__init__(None)  # type: ignore[no-untyped-call]

    def build_cache_key(self, fn: Any, args: Any, cache_args_to_ignore: Any, triggered: Any) -> str:
        """A fresh key, so that no result is ever shared, lost to another page, or served stale."""
        return uuid.uuid4().hex

    def make_job_fn(self, fn: Callable[..., Any], progress: bool, key: str | None = None) -> JobFunction:
        """Wrap a callback; its DashboardErrors travel with their code, see `original_error`."""
        call = _make_job_fn(_reporting(fn), self.store, progress)  # type: ignore[no-untyped-call]
        return JobFunction(key or "", call)

    def call_job_fn(self, key: str, job_fn: JobFunction, args: Any, context: Mapping[str, Any]) -> str:
        """Hand the job to the server. What goes wrong is left as the job's result: raised here, Dash would hide it."""
        body = _to_text({"function": job_fn.key, "id": key, "args": args, "context": dict(context)})
        try:
            answer = self._desk.submit(key, job_fn.key, body)
            if answer["state"] == "refused":
                self.store.add(key, _error(JobFailed(f"The job was not started: {answer['reason']}.")))
        except (OSError, ValueError):
            self.store.add(key, _error(JobFailed(_UNAVAILABLE)))
        return key

    def offer(self, kind: str, work: Callable[..., None]) -> None:
        """Let jobs without a page run `work(report, *args)`; it calls `report(share, words)` and leaves its result
        elsewhere."""

        def call(result: str, progress: str, args: Any, _context: Mapping[str, Any]) -> None:
            done = _reporting(work)(lambda share, words: self.store.set(progress, [share, words]), *args)
            self.store.set(result, done)

        self.func_registry[kind] = JobFunction(kind, call)

    def join(self, kind: str, job: str, args: Sequence[Any], done: Callable[[], bool]) -> JobState | None:
        """Start an offered job, or join the one with this id; None when it is done.

        Raises what the job raised, or JobFailed when it died; whoever asks after that starts it anew.
        """
        state = self._ask("status", job)
        if state["state"] not in ("waiting", "running"):
            if done():
                return None
            self._raise_failure(job, str(state["reason"]))
            self.store.set(job + _BEGUN, True)
            self.call_job_fn(job, self.func_registry[kind], list(args), {})
            state = self._ask("status", job)
        share, words = self.store.get(job + _PROGRESS, None) or (None, "")
        known = state["state"] in ("waiting", "running")
        return JobState(job, state["state"] if known else "running", state.get("ahead", 0), share, words)

    def _raise_failure(self, job: str, reason: str) -> None:
        """The error of a job that began and ended without its result, once."""
        begun, left = self.store.take(job + _BEGUN, False), self.store.take(job, None)
        self.store.delete(job + _PROGRESS)
        if isinstance(left, dict) and _ERROR in left:
            told = json.loads(left[_ERROR]["msg"])
            raise _error_classes().get(told["code"], JobFailed)(told["message"])
        if begun:
            raise JobFailed(f"The background job gave no result: {reason}.")

    def terminate_job(self, job: str | None) -> None:
        """Cancel a job: it is told at once, killed a second later; its page gets no result and no error."""
        if job is not None:
            self.store.add(job, _NO_UPDATE)
            self._ask("cancel", job)

    def terminate_unhealthy_job(self, job: str | None) -> bool:
        """The server itself ends jobs that are not healthy."""
        return False

    def job_running(self, job: str | None) -> bool:
        """True for every job: `get_result` alone says how it ended.

        Dash asks for the result first and for this afterwards; a job that ended between the two looks would be
        taken for a cancelled one and its result would be lost in silence.
        """
        return job is not None

    def load(self) -> dict[str, int] | None:
        """How many jobs run and wait; None while the job server is away."""
        answer = self._ask("load", "")
        return {name: int(answer[name]) for name in ("running", "waiting")} if "waiting" in answer else None

    def get_progress(self, key: str) -> Any:
        """The newest progress values, once."""
        return self.store.take(key + _PROGRESS, None)

    def result_ready(self, key: str) -> bool:
        """Whether a result or an error has been left."""
        return self.store.get(key, self.UNDEFINED) is not self.UNDEFINED

    def get_result(self, key: str, job: str | None) -> Any:
        """The result, UNDEFINED while the job is alive, or an error that says why it is not."""
        result = self.store.get(key, self.UNDEFINED)
        if result is not self.UNDEFINED:
            return result
        state = self._ask("status", key)
        if state["state"] in ("waiting", "running"):
            return self.UNDEFINED
        failed = _error(JobFailed(f"The background job gave no result: {state['reason']}."))
        return self.store.get(key, failed)  # again, because it may have finished between the two looks

    def get_updated_props(self, key: str | None) -> dict[str, Any]:
        """Side updates since the last poll, with the place in the queue while the job waits."""
        if key is None:
            return {}
        updates: dict[str, Any] = self.store.take(key + _SIDE, {})
        if self._waiting and not self.result_ready(key):
            ahead = self._ask("status", key).get("ahead", 0)
            component, prop = self._waiting
            updates |= {component: {prop: f"Waiting, {ahead} before this one"}} if ahead else {}
        return updates

    def clear_cache_entry(self, key: str) -> None:
        """Forget a result."""
        self.store.delete(key)

    def get_or_create_signing_secret(self, generate: Callable[[], bytes]) -> bytes:
        """Not offered: the server's secret_key signs the handles, which survives an eviction."""
        raise NotImplementedError

    def run(self, body: bytes, waited: bool) -> None:
        """Run one job in this process, which was forked for it."""
        job = json.loads(body)
        if waited and self._waiting:
            component, prop = self._waiting
            self.store.set(job["id"] + _SIDE, {component: {prop: ""}})
        function: JobFunction = self.func_registry[job["function"]]
        function.call(job["id"], job["id"] + _PROGRESS, job["args"], job["context"])

    def _ask(self, op: str, job: str) -> dict[str, Any]:
        try:
            return self._desk.ask(op, job)
        except TimeoutError:
            return {"state": "running"}
        except (OSError, ValueError):
            return {"state": "ended", "reason": "the process that ran it has stopped; please start it again"}


def background_manager(settings: Settings, waiting: tuple[str, str] | None = None) -> JobManager:
    """The manager for `Dash(background_callback_manager=...)`; opens nothing before its first use."""
    if settings.jobs == "celery":
        from dashboard import celery_desk  # late, because Celery and Redis are optional

        return JobManager(JobStore(lambda: celery_desk.RedisShelf(settings)), celery_desk.CeleryDesk(settings), waiting)
    store = JobStore(lambda: job_folder(settings.data_dir / "jobs"))
    return JobManager(store, ServerDesk(job_socket(settings)), waiting)


def job_socket(settings: Settings) -> Path:
    """Where the job server of this data folder listens."""
    return settings.data_dir / "run" / "jobs.sock"


def original_error(error: Exception) -> Exception:
    """The DashboardError that a background job raised (same class, same text), else the error itself.

    Dash hands an `on_error` only a text; `make_job_fn` put the code and the message into it.
    """
    told = _told(str(error)) if isinstance(error, BackgroundCallbackError) else None
    return error if told is None else told


def _told(text: str) -> DashboardError | None:
    try:
        told = json.loads(text.partition(": ")[2])
        return _error_classes().get(told["code"], DashboardError)(str(told["message"]))
    except (ValueError, KeyError, TypeError):
        return None


def _error(error: DashboardError) -> dict[str, Any]:
    return {_ERROR: {"msg": json.dumps({"code": error.code, "message": str(error)}), "tb": ""}}


def _error_classes() -> dict[str, type[DashboardError]]:
    found, todo = {DashboardError.code: DashboardError}, [DashboardError]
    while todo:
        for kind in todo.pop().__subclasses__():
            found[kind.code] = kind
            todo.append(kind)
    return found


def _reporting(fn: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return fn(*args, **kwargs)
        except DashboardError as error:
            return _error(error)

    return call


def _merge(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {**old, **{component: {**old.get(component, {}), **props} for component, props in new.items()}}


def main(arguments: Sequence[str]) -> None:
    """Build the application named by `module:function`, so that its callbacks are known, and serve jobs."""
    settings = Settings()
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    module, _, function = (arguments[0] if arguments else "app:create_dash").partition(":")
    manager: JobManager = getattr(importlib.import_module(module), function)()._background_manager
    if processes.thread_count() > 1:
        _log.warning("the job server forks and has %d threads: a job may hang", processes.thread_count())
    settings.folder("run")
    job_server.JobServer(job_socket(settings), manager.run, settings.job_limit, settings.job_timeout).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
