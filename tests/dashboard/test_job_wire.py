"""Requests to the job server as bytes."""

import io
from pathlib import Path

import pytest

from dashboard.job_wire import ask, read_request


def test_a_server_that_is_not_there_is_waited_for_and_then_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        ask(tmp_path / "s", {"op": "status", "id": "x"}, patience=0.2)


@pytest.mark.parametrize("sent", [b"", b"nonsense\n", b"[1]\n", b'{"length": 9}\nshort'])
def test_what_is_no_whole_request_is_refused(sent: bytes) -> None:
    with pytest.raises(ValueError):
        read_request(io.BufferedRWPair(io.BytesIO(sent), io.BytesIO()))


def test_a_request_is_a_header_and_its_bytes() -> None:
    stream = io.BufferedRWPair(io.BytesIO(b'{"op": "submit", "length": 2}\nabc'), io.BytesIO())
    assert read_request(stream) == ({"op": "submit", "length": 2}, b"ab")
