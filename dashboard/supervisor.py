"""The first process: starts the parts of the product, restarts them, stops them all and leaves last."""

import json
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from dashboard import processes
from dashboard.access.preflight import check_access
from dashboard.parts import (
    Part,
    PartLog,
    Running,
    demo_part,
    environment_parts,
    part_environment,
    product_parts,
    tell_engines,
)
from dashboard.preflight import (
    CannotStart,
    address,
    answers,
    check_port,
    check_store,
    setting_problems,
    store_counts,
    store_ready,
)
from dashboard.settings import Settings

GRACE = 8.0
_TICK = 0.5
_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Keeps the parts running until it is told to stop; single-threaded, so that a child may be arranged safely."""

    def __init__(
        self,
        settings: Settings,
        parts: Sequence[Part],
        say: Callable[[str], None],
        grace: float = GRACE,
        on_demand: Callable[[], Sequence[Part]] = tuple,
    ) -> None:
        self._settings, self._say, self._grace, self._on_demand = settings, say, grace, on_demand
        self._mark = uuid.uuid4().hex
        self._watcher = processes.Watcher(f"{self._mark}/", grace)
        logs = settings.folder("logs")
        self._running = [Running(part, PartLog(logs / f"{part.name}.log")) for part in parts]
        self._state = settings.folder("run") / "supervisor.json"
        self._stopping = False
        self._announced = False
        self._wake, self._bell = os.pipe()

    def run(self) -> None:
        """Start everything and come back when a stop signal was served and no process of ours is left."""
        self._listen()
        while not self._stopping:
            self._adjust()
            self._start_due()
            self._wait(_TICK)
            self._reap()
            self._report()
        self._stop_all()

    def _listen(self) -> None:
        for descriptor in (self._wake, self._bell):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._bell, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in _STOP:
            signal.signal(number, self._ask_to_stop)

    def _ask_to_stop(self, *_: object) -> None:
        self._stopping = True

    def _adjust(self) -> None:
        """Take up parts that are asked for now, and end those that were and no longer are."""
        wanted = {part.name: part for part in self._on_demand()}
        known = {running.part.name for running in self._running}
        for running in self._running:
            if running.part.on_demand and running.part.name not in wanted and not running.retired:
                running.retired, running.due = True, None
                if running.pid is not None:
                    processes.signal_group(running.pid, signal.SIGTERM)
        self._running = [running for running in self._running if running.pid is not None or not running.retired]
        logs = self._settings.folder("logs")
        self._running += [
            Running(part, PartLog(logs / f"{name}.log")) for name, part in wanted.items() if name not in known
        ]

    def _wait(self, seconds: float) -> None:
        select.select([self._wake], [], [], seconds)
        with suppress(BlockingIOError):
            os.read(self._wake, 4096)

    def _start_due(self) -> None:
        now = time.time()
        for running in self._running:
            if running.pid is None and running.due is not None and running.due <= now and self._may_start(running.part):
                self._start(running)

    def _may_start(self, part: Part) -> bool:
        publishing = any(running.part.once and running.due is not None for running in self._running)
        return not (part.after_store and publishing) or store_ready(self._settings)

    def _start(self, running: Running) -> None:
        mark = f"{self._mark}/{running.part.name}/"
        output = None if running.part.once else running.log.descriptor()
        try:
            child = subprocess.Popen(
                running.part.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=part_environment(self._settings, running.part, mark),
                start_new_session=True,
                preexec_fn=processes.die_with_parent(),
            )
        finally:
            if output is not None:
                os.close(output)
        child.returncode = 0  # because _reap collects it, whoever its parent was before
        running.pid, running.started, running.starts = child.pid, time.time(), running.starts + 1
        if running.part.once:
            unfinished(self._settings, running.part.name).touch()
        self._write_state()

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                for running in self._running:
                    if running.pid == ended[0]:
                        self._ended(running, os.waitstatus_to_exitcode(ended[1]))

    def _ended(self, running: Running, status: int) -> None:
        processes.kill_marked(f"{self._mark}/{running.part.name}/")
        running.ended(status)
        self._write_state()
        if running.part.once and status == 0:
            unfinished(self._settings, running.part.name).unlink(missing_ok=True)
        if running.retired:
            running.due = None
        if self._stopping or running.retired or (running.part.once and status == 0):
            return
        after = f"again in {running.due - time.time():.1f} s" if running.due else "not started again"
        self._say(f"{running.part.name} ended (status {status}), {after}; log: {running.log.path}")
        for line in running.log.last_lines():
            self._say(f"  {running.part.name}: {line}")

    def _report(self) -> None:
        for running in self._running:
            for line in running.log.errors():
                self._say(f"{running.part.name}: {line}")
        if not self._announced and answers(self._settings):
            self._announced = True
            self._say(f"{self._settings.title} is at {address(self._settings)}")

    def _stop_all(self) -> None:
        """Ask every group, wait until the grace is over, then kill whatever carries our mark, in any session."""
        self._say("Stopping …")
        deadline = time.monotonic() + self._grace
        for running in self._running:
            if running.pid is not None:
                processes.signal_group(running.pid, signal.SIGTERM)
        while time.monotonic() < deadline and any(running.pid for running in self._running):
            self._wait(0.1)
            self._reap()
        processes.kill_marked(f"{self._mark}/")
        self._reap()
        self._state.unlink(missing_ok=True)
        self._watcher.dismiss()

    def _write_state(self) -> None:
        state = {
            "pid": os.getpid(),
            "mark": self._mark,
            "watcher": self._watcher.pid,
            "address": address(self._settings),
            "parts": {running.part.name: running.facts() for running in self._running},
        }
        draft = self._state.with_suffix(".tmp")
        draft.write_text(json.dumps(state, indent=1))
        draft.replace(self._state)


def unfinished(settings: Settings, name: str) -> Path:
    """The file that says that a `once` part was started and has not succeeded yet: the next start resumes it."""
    return settings.folder("run") / f"{name}.unfinished"


def wants_demo(settings: Settings) -> bool:
    """Whether the demo runs are to be published: only into our own store, when it is empty or they are half there."""
    return settings.owns_store and (store_counts(settings)[1] == 0 or unfinished(settings, "demo").exists())


def say(line: str) -> None:
    """Print for the person who started us; a terminal that is gone must not keep us from stopping the parts."""
    with suppress(OSError):
        print(line, flush=True)


def clear_predecessor(state: Path) -> int:
    """Kill what a supervisor that died without cleaning up left behind; how many processes that were."""
    if not state.exists():
        return 0
    try:
        mark = json.loads(state.read_text())["mark"]
    except (ValueError, KeyError):
        return 0
    return processes.kill_marked(f"{mark}/")


def start(settings: Settings, development: bool) -> None:
    """Check who may enter, and that folder and port are ours, then supervise until stopped; raises CannotStart."""
    check_access(settings)
    check_store(settings)
    try:
        folder = settings.folder("run")
        lock = processes.lock_folder(folder / "supervisor.lock")
    except OSError as exc:
        raise CannotStart(f"The data folder {settings.data_dir} cannot be written ({exc.strerror}).") from exc
    except processes.DataFolderInUse as exc:
        raise CannotStart(
            f"Process {exc} already runs with the data folder {settings.data_dir}; stop it or set VITRINE_DATA_DIR."
        ) from exc
    with lock:
        clear_predecessor(folder / "supervisor.json")
        check_port(settings)
        parts = product_parts(settings, wants_demo(settings), development)
        tell_engines(settings, parts)
        Supervisor(settings, parts, say, on_demand=lambda: environment_parts(settings)).run()


def publish_demo(settings: Settings) -> None:
    """Become the process that publishes the demo runs into the configured store."""
    part = demo_part(settings)
    os.execve(part.command[0], part.command, part_environment(settings, part, "demo"))


def main(arguments: Sequence[str]) -> int:
    """Exit status 0 after a stop signal, 1 with a sentence when nothing could be started."""
    try:
        if "--demo" in arguments:
            publish_demo(Settings())
        start(Settings(), "--dev" in arguments)
    except ValidationError as exc:
        print(*setting_problems(exc), sep="\n", file=sys.stderr)
        return 1
    except CannotStart as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
