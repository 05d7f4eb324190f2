"""The door and the way to it, with real sockets: answers, errors, a worker that dies, nobody at home."""

import socket
import threading

import numpy as np
import pytest

from dashboard.errors import BadInput, EngineUnavailable
from dashboard.inference import heavy_lane
from dashboard.inference.heavy_lane import HeavyLane, receive, send, socket_file
from dashboard.inference.protocol import encode


def working(step, share):
    """A message on the way."""
    return encode({"state": "working", "step": step, "share": share}, {})


@pytest.fixture
def house(tmp_path):
    """A data folder and a function that answers the next caller with these messages, then hangs up."""
    (tmp_path / "run").mkdir()
    heard, threads = [], []
    door = socket.socket(socket.AF_UNIX)
    door.bind(str(socket_file(tmp_path)))
    door.listen()

    def serve(bodies):
        def answer():
            connection, _ = door.accept()
            with connection:
                heard.append(receive(connection))
                for body in bodies:
                    send(connection, body)

        threads.append(threading.Thread(target=answer))
        threads[-1].start()

    yield tmp_path, serve, heard
    for thread in threads:
        thread.join()
    door.close()


def test_the_answer_comes_after_the_progress(house):
    folder, serve, heard = house
    rows = np.arange(3_000_000, dtype=np.float32)
    last = encode({"state": "done", "result": 7}, {"y": rows}, "outputs")
    serve([working("half", 0.5), working("", 0.0), last])
    steps = []
    message = HeavyLane(folder).ask("compare", {"run": "r"}, {"x": rows}, lambda *told: steps.append(told))
    assert steps == [("half", 0.5)]
    assert message.header["result"] == 7
    np.testing.assert_array_equal(message.tensors["y"], rows)
    assert heard[0].header == {"task": "compare", "arguments": {"run": "r"}}
    np.testing.assert_array_equal(heard[0].tensors["x"], rows)


def test_the_workers_error_keeps_its_class_and_text(house):
    folder, serve, _ = house
    serve([encode({"state": "failed", "error": {"code": "bad_input", "message": "no such thing"}}, {})])
    with pytest.raises(BadInput, match="no such thing"):
        HeavyLane(folder).ask("compare", {}, {}, lambda *_: None)


def test_a_worker_that_dies_is_told_with_the_next_step(house):
    folder, serve, _ = house
    serve([working("half", 0.5)])
    with pytest.raises(EngineUnavailable, match=r"ended in the middle.*start it again"):
        HeavyLane(folder).ask("compare", {}, {}, lambda *_: None)


def test_a_worker_that_falls_silent_is_given_up(house, monkeypatch):
    folder, serve, _ = house
    monkeypatch.setattr(heavy_lane, "SILENCE", 0.2)
    gate = threading.Event()

    def slowly():
        yield working("half", 0.5)
        gate.wait(5)

    serve(slowly())
    with pytest.raises(EngineUnavailable, match="no sign of life"):
        HeavyLane(folder).ask("compare", {}, {}, lambda *_: None)
    gate.set()


def test_nobody_at_home_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(heavy_lane, "_PATIENCE", 0.2)
    with pytest.raises(EngineUnavailable, match=r"heavy\.sock"):
        HeavyLane(tmp_path).ask("compare", {}, {}, lambda *_: None)


def test_half_a_message_is_none():
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"\0\0\0")
        left.shutdown(socket.SHUT_WR)
        assert receive(right) is None


def test_a_worker_that_cannot_start_sends_its_callers_away(tmp_path, monkeypatch):
    monkeypatch.setattr(heavy_lane.sys, "executable", "/bin/false")
    monkeypatch.setattr(heavy_lane, "_PAUSE", 0.01)
    (tmp_path / "run").mkdir()
    threading.Thread(target=heavy_lane.keep_door, args=(socket_file(tmp_path),), daemon=True).start()
    with pytest.raises(EngineUnavailable, match="ended in the middle"):
        HeavyLane(tmp_path).ask("compare", {}, {}, lambda *_: None)
