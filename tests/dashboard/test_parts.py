"""Backoff, the list of parts and their logs, without processes."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dashboard import parts
from dashboard.inference import environments
from dashboard.parts import (
    LAST_DELAY,
    SETTLED,
    Part,
    PartLog,
    Running,
    delay,
    engine_parts,
    environment_parts,
    part_environment,
    product_parts,
)
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
    assert env["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "4"
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


def test_one_engine_per_device_and_the_door_alone_where_a_server_elsewhere_predicts(tmp_path: Path) -> None:
    two = engine_parts(Settings(data_dir=tmp_path, device="cpu,cuda:1"))
    assert [(part.name, part.command[-2:]) for part in two] == [
        ("engine", ("engine", "cpu")),
        ("engine-1", ("engine-1", "cuda:1")),
    ]
    assert {part.env["VITRINE_ENGINE_THREADS"] for part in two} == {str(max(1, parts.cores() // 4))}
    url = "http://127.0.0.1:9"
    (door,) = engine_parts(Settings(data_dir=tmp_path, inference_url=url))
    assert (door.name, door.command[-1]) == ("heavy", "dashboard.inference.heavy_lane")
    (engine,) = engine_parts(Settings(data_dir=tmp_path, inference_url=url, inference_models=("churn=local",)))
    assert engine.name == "engine"


def test_an_environment_that_is_wanted_has_a_part(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert environment_parts(settings) == ()
    environments.folder(tmp_path, "abc").mkdir(parents=True)
    environments.record(tmp_path, environments.Environment("abc", (), (), 1, 0.0, 0.0))
    environments.want(tmp_path, "abc")
    (part,) = environment_parts(settings)
    assert (part.name, part.on_demand) == ("env-abc", True)
    assert part.command[0] == str(tmp_path / "environments/abc/venv/bin/python")
