"""Clients for the benchmarks of servers: four processes that stay, each with threads that ask in a closed loop.

What is asked is made before the clock runs: making noise costs as much as predicting from it.
"""

import base64
import io
import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException
from itertools import count, cycle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dashboard.cache import ResultCache
from dashboard.inference.asking import Ask
from dashboard.inference.client import InferenceClient
from dashboard.inference.protocol import HEADER_FIELD, decode_parts, encode_parts
from dashboard.settings import Settings
from mlflow_runs.errors import DashboardError
from mlflow_runs.index import RunIndex
from tests.conftest import CHECKOUT

SHAPES = {"mlp": (16,), "cnn": (3, 64, 64), "onnx": (3, 64, 64)}
_PROCESSES, _WARM = 4, 0.2
_PICTURES = 1000
_TROUBLE = (OSError, HTTPException, AssertionError, ValueError, KeyError, DashboardError)
Array = np.ndarray[Any, Any]
Call = Callable[[], None]


class Crew:
    """The processes; `ask` lets some of their threads ask one server for a while."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "tests.bench.clients"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        own = {**environment, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._processes = [
            subprocess.Popen(command, cwd=CHECKOUT, env=own, **pipes)  # type: ignore[call-overload]
            for _ in range(_PROCESSES)
        ]

    def ask(
        self, where: Mapping[str, Any], clients: int, seconds: float, warm: Callable[[], None]
    ) -> tuple[Any, float]:
        """Latencies in ms of all requests, and the time they took; `warm` is called when the clock begins."""
        processes = self._processes[: min(clients, _PROCESSES)]
        for process in processes:
            _tell(process, {**where, "threads": clients // len(processes), "seconds": seconds})
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        warm()
        for process in processes:
            _tell(process, "go")
        found = [json.loads(process.stdout.readline()) for process in processes]
        return np.concatenate([one["times"] for one in found]), max(one["seconds"] for one in found)

    def close(self) -> None:
        """Let them go."""
        for process in self._processes:
            process.communicate(timeout=20)


def _tell(process: Any, order: Any) -> None:
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()


def serve() -> None:
    """In a process of the crew: orders from stdin, latencies to stdout."""
    for line in sys.stdin:
        order = json.loads(line)
        make = maker(order)
        calls = [make() for _ in range(order["threads"])]
        _together(calls, _WARM)
        print("ready", flush=True)
        sys.stdin.readline()
        times, seconds = _together(calls, order["seconds"])
        print(json.dumps({"times": times, "seconds": seconds}), flush=True)


def _together(calls: list[Call], seconds: float) -> tuple[list[float], float]:
    times: list[float] = []
    begin = time.perf_counter()

    def work(call: Call) -> None:
        while (started := time.perf_counter()) < begin + seconds:
            try:
                call()
            except _TROUBLE as error:
                print(f"a client gave up: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr, flush=True)
                return
            times.append(1000 * (time.perf_counter() - started))

    crew = [threading.Thread(target=work, args=(call,)) for call in calls]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    return times, time.perf_counter() - begin


def maker(order: Mapping[str, Any]) -> Callable[[], Call]:
    """What makes a call for each thread; every call carries an input of its own."""
    kind, shape = order["kind"], SHAPES[order["model"]]
    if kind == "message":
        return lambda: _message(order, arrays(shape))
    if kind == "client":
        client, inputs = _client(order["data"]), natural(shape)
        return lambda: lambda: _predicted(client, order["run"], next(inputs))
    asks: dict[str, Callable[[int, Iterator[Any]], Call]] = {
        "callback": _callback, "stock": _callback, "gradio": _gradio, "litserve": _litserve, "mlflow": _mlflow,
    }  # fmt: skip
    if kind == "ray":
        return lambda: _ray(order["port"], order["id"], arrays(shape))
    if kind == "page":
        return lambda: _page(order["port"], order["run"], arrays(shape))
    give = natural(shape, as_text=True) if kind == "callback" else arrays(shape)
    return lambda: asks[kind](order["port"], give)


def arrays(shape: tuple[int, ...]) -> Iterator[Array]:
    """Numbers that differ from all that other processes ask; threads may share it."""
    generator = np.random.default_rng()
    base = generator.normal(size=shape).astype(np.float32)

    def other(number: int) -> Array:
        values = base.copy()
        values.flat[0] = number
        return values

    return map(other, count())


def natural(shape: tuple[int, ...], as_text: bool = False) -> Iterator[Any]:
    """What a person gives: a row of numbers, or a picture as a PNG file (as dcc.Upload sends it, in base64)."""
    if len(shape) == 1:
        return map(np.ndarray.tolist, arrays(shape))
    pixels = np.random.default_rng().integers(0, 256, (_PICTURES, shape[1], shape[2], shape[0]), dtype=np.uint8)
    files = [_png(picture) for picture in pixels]
    return cycle([base64.b64encode(file).decode() for file in files] if as_text else files)


def _png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _client(data_dir: str) -> InferenceClient:
    folder = Path(data_dir)
    return InferenceClient(folder, ResultCache(folder / "bench", 512), RunIndex(folder / "index.db"), Settings())


def _predicted(client: InferenceClient, run_id: str, given: Any) -> None:
    assert not client.predict(run_id, [given]).cached


def _message(order: Mapping[str, Any], inputs: Iterator[Array]) -> Call:
    """One example's outputs from the engine alone, past the result cache."""
    client = _client(order["data"])
    card = client.card(order["run"])
    engine = client.routes.engine(card)

    def call() -> None:
        engine.infer(Ask(card, {"input_0": next(inputs)[None]}, time.monotonic() + 30))

    return call


def _posted(connection: HTTPConnection, path: str, body: Any) -> Any:
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    text = reply.read()
    assert reply.status == 200, text[:300]
    return json.loads(text)


def _litserve(port: int, inputs: Iterator[Array]) -> Call:
    connection = HTTPConnection("127.0.0.1", port)
    return lambda: _posted(connection, "/predict", {"input": next(inputs).tolist()})


def _mlflow(port: int, inputs: Iterator[Array]) -> Call:
    connection = HTTPConnection("127.0.0.1", port)
    return lambda: _posted(connection, "/invocations", {"inputs": [next(inputs).tolist()]})


def _ray(port: int, model: str, inputs: Iterator[Array]) -> Call:
    connection = HTTPConnection("127.0.0.1", port)

    def call() -> None:
        text, blobs = encode_parts({"parameters": {"binary_data_output": True}}, {"input_0": next(inputs)[None]})
        length = {HEADER_FIELD: str(len(text))}
        connection.request("POST", f"/v2/models/{model}/infer", b"".join((text, *blobs)), length)
        reply = connection.getresponse()
        body, size = memoryview(reply.read()), int(reply.headers.get(HEADER_FIELD, "0"))
        assert reply.status == 200, bytes(body[:300])
        decode_parts(body[:size], body[size:])

    return call


def _gradio(port: int, inputs: Iterator[Array]) -> Call:
    connection = HTTPConnection("127.0.0.1", port)

    def call() -> None:
        given = {"data": [json.dumps(next(inputs).tolist())]}
        event = _posted(connection, "/gradio_api/call/predict", given)["event_id"]
        connection.request("GET", f"/gradio_api/call/predict/{event}")
        assert b"event: complete" in connection.getresponse().read()

    return call


def _callback(port: int, inputs: Iterator[Any]) -> Call:
    """A click as Dash's renderer makes it; a background callback is asked every 300 ms until its result is there."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}") as reply:
        found = re.search(r'id="_dash-config"[^>]*>(.*?)</script>', reply.read().decode(), re.S)
    end = json.loads(found[1]).get("end_id", "") if found else ""
    connection, clicks = HTTPConnection("127.0.0.1", port), count(1)

    def call() -> None:
        given = next(inputs)
        body = {
            "output": "out.children",
            "outputs": {"id": "out", "property": "children"},
            "inputs": [{"id": "go", "property": "n_clicks", "value": next(clicks)}],
            "state": [
                {"id": "what", "property": "value", "value": given.tolist() if hasattr(given, "tolist") else given}
            ],
            "changedPropIds": ["go.n_clicks"],
        }
        query = f"endId={end}"
        for _ in range(1000):
            answer = _posted(connection, f"/_dash-update-component?{query}", body)
            if "response" in answer:
                return
            if "job" in answer:
                query = f"endId={end}&cacheKey={answer.get('cacheKey', '')}&job={answer['job']}"
            time.sleep(0.3)
        raise TimeoutError

    return call


def _page(port: int, run_id: str, inputs: Iterator[Array]) -> Call:
    """The answer of the product's own Inference page, with all that stands beside it."""
    connection = HTTPConnection("127.0.0.1", port)

    def call() -> None:
        query = {"run": run_id, "values": json.dumps({"input_0": next(inputs).tolist()})}
        body = _fired("inference-answer.children", ("inference-query.data", query))
        found = _posted(connection, "/_dash-update-component", body)
        assert "data-tree" in json.dumps(found)

    return call


def _fired(output: str, given: tuple[str, Any], *states: tuple[str, Any]) -> dict[str, Any]:
    """What Dash's renderer posts for a callback with one output and one input."""

    def place(name: str) -> dict[str, Any]:
        component, _, prop = name.partition(".")
        return {"id": component, "property": prop}

    return {
        "output": output,
        "outputs": place(output),
        "inputs": [{**place(given[0]), "value": given[1]}],
        "state": [{**place(name), "value": value} for name, value in states],
        "changedPropIds": [given[0]],
    }


if __name__ == "__main__":
    serve()
