"""Backoff, the list of parts and their logs, without processes."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dashboard import parts
from dashboard.parts import LAST_DELAY, SETTLED, Part, PartLog, Running, delay, part_environment, product_parts
from dashboard.settings import Settings


@given(st.integers(1, 10_000))
def test_the_delay_doubles_up_to_its_limit(failures: int) -> None:
    assert delay(failures) == min(0.25 * 2 ** min(failures - 1, 40), LAST_DELAY)
    assert delay(failures + 1) >= delay(failures)


def test_a_part_that_had_settled_begins_anew(tmp_path: Path) -> None:
    running = Running(Part("a", ("a",)), PartLog(tmp_path / "a.log"), failures=5, started=100.0)
    running.ended(1, now=100.0 + SETTLED - 1)
    assert (running.failures, running.due) == (6, 100.0 + SETTLED - 1 + delay(6))
    running.ended(1, now=100.0 + SETTLED)
    assert (running.failures, running.due) == (1, 100.0 + SETTLED + delay(1))


def test_a_once_part_is_done_whatever_its_status(tmp_path: Path) -> None:
    running = Running(Part("a", ("a",), once=True), PartLog(tmp_path / "a.log"))
    running.ended(1)
    assert running.due is None


def test_the_demo_comes_along_only_when_asked(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    names = [part.name for part in product_parts(settings, publish_demo=False)]
    assert names == ["web", "jobs", "engine", "backoffice"]
    assert {part.name for part in product_parts(settings, publish_demo=True)} == {*names, "demo"}


def test_the_environment_of_a_part(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    web = product_parts(settings, publish_demo=False)[0]
    env = part_environment(settings, web, "mark/web/")
    assert env["VITRINE_DATA_DIR"] == str(tmp_path)
    assert env["VITRINE_INSTANCE"] == "mark/web/"
    assert env["OMP_NUM_THREADS"] == "1"
    assert env["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "5"
    assert env["PATH"] == os.environ["PATH"]


def test_a_log_is_turned_over_at_start_and_yields_whole_error_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("old\n")
    log = PartLog(path)
    assert (path.read_text(), (tmp_path / "a.log.1").read_text()) == ("", "old\n")
    path.write_text("INFO fine\n2026 ERROR one\nERROR tw")
    assert log.errors() == ["2026 ERROR one"]
    path.write_text(path.read_text() + "o\n")
    assert log.errors() == ["ERROR two"]
    assert log.errors() == []


def test_a_log_that_grows_is_cut(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(parts, "_LOG_LIMIT", 1000)
    log = PartLog(tmp_path / "a.log")
    with os.fdopen(log.descriptor(), "w") as writer:
        for _ in range(30):
            writer.write("x" * 99 + "\n")
            writer.flush()
            log.errors()
        assert log.path.stat().st_size <= 1200
        assert log.path.with_suffix(".log.1").stat().st_size <= 1000
