"""The result cache when its disk is full: within its quota, and without any disk at all."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pytest import MonkeyPatch

from dashboard.cache import ResultCache
from tests.conftest import CHECKOUT


def test_the_quota_holds_and_the_newest_values_stay(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path / "cache", 2)
    for number in range(40):
        assert not cache.compute(f"big/1/{number}/q", lambda number=number: os.urandom(200_000) + bytes([number])).hit
    newest = cache.compute("big/1/39/q", lambda: b"computed again")
    assert newest.hit and newest.value[-1] == 39
    held = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.val"))
    assert held <= 2.5 * 2**20
    assert cache.counters() == {"computed/big": 40, "hit/big": 1}


def test_reading_keeps_a_value_from_making_room_and_its_age_stays(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    cache = ResultCache(tmp_path / "cache", 2)
    cache.store("kept/1/a/q", "old", expire=50_000)
    begin, blob = time.time(), os.urandom(40_000)
    for hours in range(1, 9):
        monkeypatch.setattr("dashboard.cache.time.time", lambda hours=hours: begin + 4000 * hours)
        found = cache.peek("kept/1/a/q")
        assert found is not None and found.value == "old"
        assert abs(found.age - 4000 * hours) < 5
        for number in range(20):
            cache.store(f"big/1/{hours}/{number}", blob)
    assert cache.peek("big/1/1/0") is None
    monkeypatch.setattr("dashboard.cache.time.time", lambda: begin + 50_001)
    assert cache.peek("kept/1/a/q") is None


_FULL = """
import resource, signal, sys
from pathlib import Path
from dashboard.cache import ResultCache
cache = ResultCache(Path(sys.argv[1]), 64)
assert cache.compute("kept/1/a/q", lambda: "from before").value == "from before"
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
for size in (10, 100_000):
    answers = [cache.compute(f"new/1/{size}/q", lambda: "x" * size) for _ in range(2)]
    assert [(len(answer.value), answer.hit) for answer in answers] == [(size, False)] * 2
assert cache.compute("kept/1/a/q", lambda: "computed again").value in ("from before", "computed again")
try:
    cache.compute("wrong/1/a/q", lambda: 1 / 0)
except ZeroDivisionError:
    print("fine")
"""


def test_where_nothing_can_be_written_everything_is_computed_and_nobody_is_refused(tmp_path: Path) -> None:
    """The kernel refuses every byte to this process, as a full disk does."""
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path / "cache")], cwd=CHECKOUT, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.returncode) == ("fine\n", 0), done.stderr


def test_a_folder_that_cannot_be_made_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert ResultCache(tmp_path / "file" / "cache", 16).compute("a/1/b/c", lambda: 42).value == 42


def test_the_functions_own_errors_pass(tmp_path: Path) -> None:
    def broken() -> int:
        raise OSError("mine")

    with pytest.raises(OSError, match="mine"):
        ResultCache(tmp_path / "cache", 16).compute("a/1/b/c", broken)
