"""Long work that several pages may follow: one process does it, the others see its progress and then its result.

So a page that was loaded anew, or opened twice, joins what is running instead of beginning it again.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dashboard.locks import alone, is_held
from mlflow_runs.errors import DashboardError

T = TypeVar("T")
Report = Callable[..., None]

_LOOK = 0.2


class WorkCancelled(DashboardError):
    """Someone who followed the same work has cancelled it."""

    code = "work_cancelled"
    status = 409


@dataclass(frozen=True)
class SharedWork:
    """The work with this key; a lock file in the folder says that it is being done, beside it lie its progress and,
    when somebody cancels it, a mark."""

    folder: Path
    key: str

    def running(self) -> bool:
        """Whether a process is at it."""
        return is_held(self._file("lock"))

    def cancel(self) -> None:
        """Let it end, whoever does it."""
        if self.running():
            self._file("cancelled").touch()

    def run(self, work: Callable[[Report], T], found: Callable[[], T | None], report: Report) -> T:
        """Do the work, or follow who does it and return what is then `found`.

        `report` hears what the doing process reports, JSON values. Raises what the work raises, or WorkCancelled.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        begun = time.time()
        while True:
            with alone(self._file("lock"), wait=False) as mine:
                if mine:
                    return self._do(work, report)
            self._follow(begun, report)
            if (known := found()) is not None:
                return known

    def _do(self, work: Callable[[Report], T], report: Report) -> T:
        begun = time.time()

        def told(*values: Any) -> None:
            self._stop_if_cancelled(begun)
            draft = self._file("draft")
            draft.write_text(json.dumps(values))
            draft.replace(self._file("json"))
            report(*values)

        try:
            return work(told)
        finally:
            for name in ("json", "draft", "cancelled"):
                self._file(name).unlink(missing_ok=True)

    def _follow(self, begun: float, report: Report) -> None:
        """Hear the other's progress until it has ended."""
        last = ""
        while self.running():
            self._stop_if_cancelled(begun)
            with suppress(OSError, ValueError):
                text = self._file("json").read_text()
                if text != last:
                    last = text
                    report(*json.loads(text))
            time.sleep(_LOOK)

    def _stop_if_cancelled(self, begun: float) -> None:
        with suppress(OSError):
            if self._file("cancelled").stat().st_mtime >= begun - 0.01:
                raise WorkCancelled("The work was cancelled, here or in another window; it can be started again.")

    def _file(self, name: str) -> Path:
        return self.folder / f"{self.key}.{name}"
