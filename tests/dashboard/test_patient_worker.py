"""Requests that arrive in pieces or never: nobody else waits for them, and what arrives is answered as it was sent."""

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.patient_worker import Arriving
from tests.conftest import free_port
from tests.dashboard.jobs_driver import Product

POST = b"POST /_dash-update-component HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    running = Product(tmp_path_factory.mktemp("patient"), free_port())
    try:
        running.start_server()
        running.start_web()
        yield running
    finally:
        running.stop()


@pytest.mark.parametrize("size", [1, 2, 7, 50, 1000])
def test_a_request_has_arrived_with_its_last_byte_whatever_its_pieces(size: int) -> None:
    arriving = Arriving(None, 0.0)
    pieces = [POST[start : start + size] for start in range(0, len(POST), size)]
    assert [arriving.add(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert arriving.data == POST


@pytest.mark.parametrize(
    ("head", "arrived"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", False),
        (b"POST / HTTP/1.1\r\ncontent-length:5\r\n\r\n", False),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nContent-Length: 50000000\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (b"\x16\x03\x01 this is no HTTP \r\n\r\n", True),
        (b"x" * 200_000, True),
    ],
)
def test_when_a_thread_can_go_on(head: bytes, arrived: bool) -> None:
    assert Arriving(None, 0.0).add(head) is arrived


def test_forty_slow_clients_hold_nobody_and_their_own_requests_are_answered(product: Product) -> None:
    head = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    slow = []
    for number in range(40):
        client = socket.create_connection(("127.0.0.1", product.port), timeout=20)
        client.sendall(POST[:-1] if number % 2 else head[:-2])
        slow.append(client)
    for _ in range(5):
        assert product.get("/health") == b"OK"
    for client in slow[::2]:
        client.sendall(b"\r\n")
        assert b"200 OK" in client.recv(4096)
    for client in slow:
        client.close()
    assert product.get("/health") == b"OK"


@pytest.mark.process
@pytest.mark.parametrize("size", [10, 300_000, 3_000_000])
def test_bodies_of_every_size_arrive_whole_on_a_kept_connection(product: Product, size: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", product.port, timeout=20)
    for number in range(3):
        body = {
            "output": "out.children",
            "outputs": {"id": "out", "property": "children"},
            "inputs": [{"id": "go", "property": "n_clicks", "value": number}],
            "state": [{"id": "what", "property": "value", "value": "add 1"}],
            "changedPropIds": ["go.n_clicks"],
        }
        text = json.dumps(body) + " " * size
        connection.request("POST", "/_dash-update-component", text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200
        assert "cacheKey" in json.loads(answer.read())
    connection.close()


def test_a_request_that_is_no_http_is_refused_and_harms_nobody(product: Product, tmp_path: Path) -> None:
    with socket.create_connection(("127.0.0.1", product.port), timeout=20) as client:
        client.sendall(b"\x16\x03\x01\x00 nonsense\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 400")
    assert product.get("/health") == b"OK"
