"""What survives the engine's death: who was working, which model is to blame, and who pulls the plug on a hang."""

import json
import mmap
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_SIZE = 4096
_HEAD = struct.Struct("<dqdI")  # time of the last beat, pid, seconds per request, length of the text
HANG_PENALTY, CRASH_PENALTY, CRASH_WINDOW = 300.0, 60.0, 120.0
STALE = 15.0


class Beat:
    """A page shared by the engine's processes: last beat, worker's pid, seconds per request, models at work.

    It is a file mapped into memory, because a note before and after every forward pass must cost microseconds
    and must still be there after kill -9. Times are seconds of the monotonic clock.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists() or path.stat().st_size != _SIZE:
            path.write_bytes(bytes(_SIZE))
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _SIZE)
        self._lock = threading.Lock()

    def write(self, models: Sequence[str] | None = None, pace: float | None = None) -> None:
        """Note a beat, and where given the models at work and the seconds one request takes."""
        with self._lock:
            _, _, last_pace, length = _HEAD.unpack_from(self._page)
            if models is not None:
                text = json.dumps(models[:20]).encode()[: _SIZE - _HEAD.size]
                self._page[_HEAD.size : _HEAD.size + len(text)] = text
                length = len(text)
            pace = last_pace if pace is None else pace
            _HEAD.pack_into(self._page, 0, time.monotonic(), os.getpid(), pace, length)

    def read(self) -> tuple[float, int, float, list[str]]:
        """Time of the last beat, pid, seconds per request, models at work."""
        at, pid, pace, length = _HEAD.unpack_from(self._page)
        text = bytes(self._page[_HEAD.size : _HEAD.size + min(length, _SIZE)])
        try:
            return at, pid, pace, list(json.loads(text or b"[]"))
        except ValueError:  # because a reader may meet a half-written note
            return at, pid, pace, []

    def clear(self) -> None:
        """Forget the last life's notes."""
        self._page[:] = bytes(_SIZE)


def pace(path: Path) -> float:
    """Seconds per request of the engine whose beats lie there, for callers; 0 where none is known."""
    try:
        return float(_HEAD.unpack_from(path.read_bytes())[2])
    except (OSError, struct.error):
        return 0.0


class Suspects:
    """Models that made the engine hang or die, and until when they are refused. Times are Unix seconds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen, self._cases = 0.0, dict[str, dict[str, object]]()

    def hung(self, models: Sequence[str]) -> None:
        """Refuse models that did not come back, for five minutes."""
        self._note(models, HANG_PENALTY, "made the inference process hang")

    def crashed(self, models: Sequence[str]) -> None:
        """Note models at work when the process died; a second time within two minutes they are refused for one."""
        now = time.time()
        known = self._read()
        again = [m for m in models if now - _number(known.get(m, {}).get("at")) < CRASH_WINDOW]
        self._note(again, CRASH_PENALTY, "twice was at work when the inference process died")
        self._note([model for model in models if model not in again], 0.0, "was at work when the process died")

    def refusal(self, model_id: str) -> str | None:
        """Why the model is refused now, in a sentence; None when it is welcome."""
        case = self._read().get(model_id)
        left = _number(case.get("until")) - time.time() if case else 0.0
        if case is None or left <= 0:
            return None
        return (
            f"Model {model_id} {case['reason']} {time.time() - _number(case['at']):.0f} s ago; to protect other models "
            f"it is refused for another {left:.0f} s."
        )

    def _note(self, models: Sequence[str], seconds: float, reason: str) -> None:
        if not models:
            return
        now = time.time()
        fresh: dict[str, dict[str, object]] = {
            model: {"at": now, "until": now + seconds, "reason": reason} for model in models
        }
        write_json(self._path, {**self._read(), **fresh})

    def _read(self) -> dict[str, dict[str, object]]:
        if not self._path.exists():
            return {}
        changed = self._path.stat().st_mtime
        if changed != self._seen:
            self._seen, self._cases = changed, dict(read_json(self._path))
        return self._cases


def watch(beat: Beat, suspects: Suspects, parent: int, serving: Callable[[], bool]) -> None:
    """In the engine's first process: end the whole group when its parent or worker died, or the worker hangs.

    Never returns. The supervisor starts a fresh engine; callers in flight see their connection close and ask again:
    mosec itself would keep them waiting for their whole timeout. `serving` tells whether the HTTP server runs; in an
    orderly stop it is the first to go.
    """
    while True:
        time.sleep(0.1)
        at, pid, _, models = beat.read()
        if os.getppid() != parent:
            end_group("the supervisor is gone")
        if not pid or not serving():
            continue
        if not _alive(pid):
            suspects.crashed(models)
            end_group(f"the worker died while {_named(models)}")
        if time.monotonic() - at > STALE:
            suspects.hung(models)
            end_group(f"the worker gave no sign of life for {STALE:.0f} s while {_named(models)}")


def blame_predecessor(beat: Beat, suspects: Suspects) -> None:
    """At start: whoever was at work when the whole engine was killed gets a note."""
    suspects.crashed(beat.read()[3])
    beat.clear()


def end_group(reason: str) -> None:
    """Kill every process of this engine, this one included."""
    print(f"engine: ending because {reason}", file=sys.stderr, flush=True)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def write_json(path: Path, value: object) -> None:
    """Replace a file in one step."""
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps(value))
    draft.replace(path)


def read_json(path: Path) -> Mapping[str, dict[str, object]]:
    """The file's content, or nothing where it is absent or broken."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _named(models: Sequence[str]) -> str:
    return f"at work on {', '.join(models)}" if models else "idle"


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
