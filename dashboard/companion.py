"""Plain `gunicorn`: the other parts of the product beside it, kept by a supervisor of their own that leaves with it."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import IO

from dashboard import processes
from dashboard.parts import environment_parts, product_parts, tell_engines
from dashboard.settings import Settings
from dashboard.supervisor import Supervisor, clear_predecessor, say, wants_demo

_log = logging.getLogger(__name__)
_LEAVE = 12.0
_LOOK_AGAIN = 0.5


def begin(environment: Mapping[str, str]) -> subprocess.Popen[bytes] | None:
    """Start it as a child of gunicorn's master, before that listens; None when a supervisor keeps gunicorn itself.

    The kernel stops it when the master dies, however it dies; a reload of the web workers does not touch it.
    """
    if processes.MARK in environment:
        return None
    command = [sys.executable, "-m", "dashboard.companion"]
    return subprocess.Popen(
        command, env=dict(environment), stdin=subprocess.DEVNULL, preexec_fn=processes.die_with_parent()
    )


def end(companion: subprocess.Popen[bytes] | None) -> None:
    """Stop it and wait until its parts are gone."""
    if companion is None:
        return
    companion.terminate()
    try:
        companion.wait(_LEAVE)
    except subprocess.TimeoutExpired:
        companion.kill()


def wait_for_folder(settings: Settings) -> IO[str]:
    """The data folder's lock, as soon as the one that holds it (of a gunicorn that was killed a moment ago) is gone."""
    told = False
    while True:
        try:
            return processes.lock_folder(settings.folder("run") / "supervisor.lock")
        except processes.DataFolderInUse as holder:
            if not told:
                _log.warning("waiting for process %s, which keeps the data folder %s", holder, settings.data_dir)
            told = True
            time.sleep(_LOOK_AGAIN)


def main() -> None:
    """Keep every part but the web server until told to stop."""
    settings = Settings()
    logging.basicConfig(level=settings.log_level.upper())
    with wait_for_folder(settings):
        clear_predecessor(settings.folder("run") / "supervisor.json")
        parts = [part for part in product_parts(settings, wants_demo(settings)) if part.name != "web"]
        tell_engines(settings, parts)
        Supervisor(settings, parts, say, on_demand=lambda: environment_parts(settings)).run()


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    main()
