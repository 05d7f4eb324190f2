"""What is remembered of a dead engine, and whom it blames."""

import json
import os
import time

from dashboard.inference.guard import Beat, Suspects, blame_predecessor, read_json, write_json


def test_a_beat_is_read_by_another_view_of_the_same_page(tmp_path):
    writer, reader = Beat(tmp_path / "beat"), Beat(tmp_path / "beat")
    assert reader.read() == (0.0, 0, 0.0, [])
    writer.write(["m-1", "m-2"], pace=0.5)
    writer.write()
    at, pid, pace, models = reader.read()
    assert (pid, pace, models) == (os.getpid(), 0.5, ["m-1", "m-2"])
    assert 0 <= time.monotonic() - at < 5
    writer.write([])
    assert reader.read()[3] == []


def test_more_models_than_fit_are_cut_and_stay_readable(tmp_path):
    beat = Beat(tmp_path / "beat")
    beat.write([f"m-{n:032d}" for n in range(100)])
    assert 0 < len(beat.read()[3]) <= 20


def test_a_note_costs_microseconds(tmp_path):
    beat = Beat(tmp_path / "beat")
    started = time.perf_counter()
    for _ in range(1000):
        beat.write(["m-1"])
    assert (time.perf_counter() - started) / 1000 < 200e-6


def test_who_hangs_is_refused_at_once_and_others_are_not(tmp_path):
    suspects = Suspects(tmp_path / "suspects.json")
    assert suspects.refusal("a") is None
    suspects.hung(["a"])
    assert "made the inference process hang" in str(suspects.refusal("a"))
    assert suspects.refusal("b") is None


def test_one_crash_is_forgiven_a_second_is_not(tmp_path):
    suspects = Suspects(tmp_path / "suspects.json")
    suspects.crashed(["a", "b"])
    assert suspects.refusal("a") is None
    suspects.crashed(["a"])
    assert "twice was at work" in str(suspects.refusal("a"))
    assert suspects.refusal("b") is None


def test_a_refusal_ends(tmp_path):
    path = tmp_path / "suspects.json"
    path.write_text(json.dumps({"a": {"at": time.time() - 400, "until": time.time() - 100, "reason": "hung"}}))
    assert Suspects(path).refusal("a") is None


def test_a_predecessor_killed_at_work_is_noted_and_its_page_cleared(tmp_path):
    beat, suspects = Beat(tmp_path / "beat"), Suspects(tmp_path / "suspects.json")
    for _ in range(2):
        beat.write(["a"])
        blame_predecessor(beat, suspects)
        assert beat.read() == (0.0, 0, 0.0, [])
    assert suspects.refusal("a") is not None


def test_a_damaged_file_reads_as_nothing(tmp_path):
    path = tmp_path / "x.json"
    assert read_json(path) == {}
    path.write_text("{")
    assert read_json(path) == {}
    path.write_text("[1]")
    assert read_json(path) == {}
    write_json(path, {"a": {"b": 1}})
    assert read_json(path) == {"a": {"b": 1}}
