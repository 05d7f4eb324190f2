"""The parts of the product as the supervisor sees them: what to start, when to start again, their logs."""

import json
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dashboard.devices import engine_devices, engine_names
from dashboard.inference import environments
from dashboard.settings import Settings

FIRST_DELAY, LAST_DELAY, SETTLED = 0.25, 8.0, 20.0
_LOG_LIMIT = 8 * 2**20
_LOUD = re.compile(rb"\b(ERROR|CRITICAL|FATAL)\b")
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "ARROW_NUM_THREADS"), "1"
)


# What was read for one page goes back to the system: glibc would keep an arena for every thread, and blocks of up to
# 32 MB once one was freed; Arrow keeps what it freed for itself.
_FRUGAL = {"MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system"}
_RETURNED = {"MALLOC_MMAP_THRESHOLD_": str(2**20), "MALLOC_TRIM_THRESHOLD_": str(2**20)}


@dataclass(frozen=True)
class Part:
    """One process to keep running.

    A `once` part runs to its end. An `after_store` part waits until the store exists or the `once` parts have ended,
    because two processes that create the same SQLite store at once break each other's migrations. An `on_demand` part
    is ended when nobody asks for it any more.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    once: bool = False
    after_store: bool = False
    on_demand: bool = False


def delay(failures: int) -> float:
    """Seconds to wait before the next start after so many exits in a row: 0.25, 0.5, ... at most 8."""
    return float(min(FIRST_DELAY * 2 ** min(max(failures - 1, 0), 16), LAST_DELAY))


def product_parts(settings: Settings, publish_demo: bool, development: bool = False) -> tuple[Part, ...]:
    """The processes of ARCHITECTURE.md; the demo publisher comes along when the default store is empty."""
    python = sys.executable
    hot = ("--reload",) if development else ()
    local = settings.jobs == "local"
    web = (python, "-m", "gunicorn", "-c", "gunicorn.conf.py", *hot, "app:create_server()")
    return (
        Part("web", web, _ONE_THREAD | _RETURNED),
        *(
            (Part("jobs", (python, "-m", "dashboard.jobs", "app:create_dash"), _ONE_THREAD | _RETURNED),)
            if local
            else ()
        ),
        *engine_parts(settings),
        *((demo_part(settings),) if publish_demo else ()),
        Part("backoffice", (python, "-m", "dashboard.backoffice"), _ONE_THREAD | _RETURNED, after_store=True),
    )


def engine_parts(settings: Settings) -> tuple[Part, ...]:
    """One engine per device; where a server elsewhere predicts, only the door to exports and explanations."""
    if settings.inference_url and not any(entry.endswith("=local") for entry in settings.inference_models):
        return (Part("heavy", (sys.executable, "-m", "dashboard.inference.heavy_lane"), after_store=True),)
    command = (sys.executable, "-m", "dashboard.inference.engine")
    listed = engine_devices(settings.device)
    if len(listed) == 1:
        return (Part("engine", command, after_store=True),)
    share = {} if settings.engine_threads else {"VITRINE_ENGINE_THREADS": str(max(1, cores() // (2 * len(listed))))}
    return tuple(
        Part(name, (*command, name, device), share, after_store=True)
        for name, device in zip(engine_names(listed), listed, strict=True)
    )


def tell_engines(settings: Settings, parts: Sequence[Part]) -> None:
    """Write down which engines run, for those who ask them."""
    names = [part.name for part in parts if part.name.startswith("engine")]
    draft = settings.folder("run") / "engines.tmp"
    draft.write_text(json.dumps(names))
    draft.replace(draft.with_suffix(".json"))


def environment_parts(settings: Settings) -> tuple[Part, ...]:
    """An engine for each model's own environment that was asked for lately; it stops when it no longer is."""
    return tuple(
        Part(
            environments.engine_name(digest),
            (
                str(environments.python(settings.data_dir, digest)),
                "-m", "dashboard.inference.engine", environments.engine_name(digest),
            ),
            after_store=True,
            on_demand=True,
        )
        for digest in environments.serving(settings.data_dir, settings.environment_idle)
    )  # fmt: skip


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def demo_part(settings: Settings) -> Part:
    """The publisher of the demo runs; in the default store their artifacts lie beside it."""
    beside = ("--artifact-location", str(settings.data_dir / "mlartifacts")) if settings.owns_store else ()
    command = (sys.executable, "-m", "mlflow_runs.demo", "--tracking-uri", settings.store_uri, *beside)
    return Part("demo", command, once=True)


def part_environment(settings: Settings, part: Part, mark: str) -> dict[str, str]:
    """The environment of a part: the caller's, the data folder made absolute, and what MLflow needs to stay quick."""
    ours = {
        "VITRINE_DATA_DIR": str(settings.data_dir),
        "VITRINE_INSTANCE": mark,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
        "PYTHONUNBUFFERED": "1",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",  # because pyarrow's thread would be lost in every fork
    }
    if settings.owns_store:  # where MLflow keeps artifacts that nobody gave a place
        ours["_MLFLOW_SERVER_ARTIFACT_ROOT"] = str(settings.data_dir / "mlartifacts")
    return {**_FRUGAL, **os.environ, **ours, **part.env}


class PartLog:
    """The log file of a part: turned over at start and when it grows; error lines are handed to the terminal."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn_over()
        self._read = 0

    def descriptor(self) -> int:
        """A new descriptor for the part to append to; the caller closes it."""
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def errors(self) -> list[str]:
        """The complete error lines written since the last call; empties a log that has grown too long."""
        if not self.path.exists() or self.path.stat().st_size == self._read:
            return []
        with self.path.open("rb") as log:
            log.seek(self._read)
            text = log.read(_LOG_LIMIT)
        complete = text[: text.rfind(b"\n") + 1]
        self._read += len(complete)
        if self._read > _LOG_LIMIT:
            self._turn_over()
        return [line.decode(errors="replace") for line in complete.splitlines() if _LOUD.search(line)]

    def last_lines(self, count: int = 5) -> list[str]:
        """The end of the log, for a part that ended unexpectedly."""
        if not self.path.exists():
            return []
        return self.path.read_bytes()[-4096:].decode(errors="replace").splitlines()[-count:]

    def _turn_over(self) -> None:
        if self.path.exists() and self.path.stat().st_size:
            self.path.with_suffix(".log.1").write_bytes(self.path.read_bytes()[-_LOG_LIMIT:])
            os.truncate(self.path, 0)
        self._read = 0


@dataclass
class Running:
    """What the supervisor knows of one part at this moment; times are Unix seconds."""

    part: Part
    log: PartLog
    pid: int | None = None
    starts: int = 0
    failures: int = 0
    started: float = 0.0
    due: float | None = 0.0
    last_exit: int | None = None
    retired: bool = False

    def ended(self, status: int, now: float | None = None) -> None:
        """Note an exit: a part that had settled begins its backoff anew, a `once` part is done."""
        moment = time.time() if now is None else now
        self.failures = 1 if moment - self.started >= SETTLED else self.failures + 1
        self.pid, self.last_exit = None, status
        self.due = None if self.part.once else moment + delay(self.failures)

    def facts(self) -> dict[str, object]:
        """The part's entry in the state file; `restarts` counts the starts after the first."""
        return {
            "pid": self.pid,
            "starts": self.starts,
            "restarts": max(self.starts - 1, 0),
            "started": self.started or None,
            "last_exit": self.last_exit,
            "log": str(self.log.path),
        }
