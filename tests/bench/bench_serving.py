"""The engine beside other servers with the same model: latency and requests per second at 1, 8 and 32 clients.

Stock Dash, `mlflow models serve`, LitServe, Gradio and Ray Serve are measured where they are installed; all run at
once and are asked in turns, so that each meets the machine in the same state. Every request carries new numbers.
"""

import importlib.util
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.inference.protocol import HEADER_FIELD, decode_parts, encode_parts
from tests.bench.bench_engine import SHAPES, Row, make_call, make_peer_store
from tests.conftest import CHECKOUT, answer, free_port, wait_for
from tests.dashboard.inference.conftest import Engine

_SECONDS, _ROUNDS, _CLIENTS = 3.0, 2, (1, 8, 32)
_READY = {"litserve": "/health", "gradio": "/gradio_api/startup-events", "mlflow": "/ping", "stock": "/health"}
_NEEDS = {"litserve": "litserve", "gradio": "gradio", "mlflow": "mlflow", "stock": "dash", "ray": "ray"}
Call = Callable[[np.ndarray[Any, Any]], None]


@dataclass(frozen=True)
class Peer:
    """A running server: its port, and its processes by their session."""

    name: str
    port: int
    process: subprocess.Popen[bytes]


def main() -> None:
    """Print one table per model."""
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as folder:
        store = make_peer_store(Path(folder))
        engine = Engine(store, Path(folder) / "data", engine_queue="256")
        try:
            engine.wait_ready()
            for name in SHAPES:
                _table(engine, name, store, Path(folder))
        finally:
            engine.stop()


def _table(engine: Engine, model: str, store: Mapping[str, Any], folder: Path) -> None:
    missing = [peer for peer, needed in _NEEDS.items() if importlib.util.find_spec(needed) is None]
    with ExitStack() as stack:
        wanted = [peer for peer in _NEEDS if peer not in missing]
        started = [stack.enter_context(_running(peer, store, model, folder)) for peer in wanted]
        peers = [peer for peer in started if peer.process.poll() is None]
        missing += [f"{peer.name} (did not start)" for peer in started if peer not in peers]
        cases = [(peer, n) for n in _CLIENTS for peer in (None, *peers) if n == 1 or not _is(peer, "stock")]
        rows: dict[tuple[str, int], list[Row]] = {}
        for peer, n in cases * _ROUNDS:
            rows.setdefault((peer.name if peer else "vitrine", n), []).append(
                _measure(engine, peer, model, store["ids"][model], n)
            )
        idle = {peer.name: _idle(_session(peer)) for peer in peers} | {"vitrine": _idle(engine.process.pid)}
    print(f"\n{model}, raw torch loop: {', '.join(f'batch {n} {r:,.0f}/s' for n, r in store['loop'][model].items())}")
    titles = ("p50 ms", "p95 ms", "requests/s", "cpu ms")
    print(f"{'server':<10}{'clients':>8}" + "".join(f"{title:>12}" for title in titles))
    for (name, n), found in rows.items():
        p50, p95, rate, cpu = (statistics.median(getattr(row, key) for row in found) for key in Row.__annotations__)
        print(f"{name:<10}{n:>8}{p50:>12.2f}{p95:>12.2f}{rate:>12,.2f}{cpu:>12.2f}")
    for name, (cpu, pss) in idle.items():
        print(f"idle {name:<10}{cpu:>8.2%} of a core, {pss:,.0f} MB proportional")
    if missing:
        print(f"left out, not installed here: {', '.join(missing)}")


def _is(peer: Peer | None, name: str) -> bool:
    return peer is not None and peer.name == name


@contextmanager
def _running(name: str, store: Mapping[str, Any], model: str, folder: Path) -> Iterator[Peer]:
    port, own = free_port(), {"OMP_NUM_THREADS": "1", "GRADIO_ANALYTICS_ENABLED": "False"}
    command = ["tests.bench.serving_peers", name, str(port), store["folders"][model]]
    if name == "litserve":
        command = ["tests.bench.litserve_peer", *command[2:]]
    if name == "ray":
        own |= {"VITRINE_TRACKING_URI": store["uri"], "VITRINE_DATA_DIR": str(folder / "ray"), "PORT": str(port)}
        command = ["dashboard.inference.ray_app"]
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=CHECKOUT,
            env={**os.environ, **own},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        path = _READY.get(name, "/v2/health/ready")
        wait_for(lambda: process.poll() is not None or answer(f"http://127.0.0.1:{port}{path}") == 200, 180)
        if process.poll() is not None:
            print(f"{name} ended: {(folder / f'{name}.log').read_text()[-500:]}")
        yield Peer(name, port, process)
    finally:
        process.send_signal(signal.SIGINT if name == "ray" else signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _measure(engine: Engine, peer: Peer | None, model: str, model_id: str, clients: int) -> Row:
    processes = min(clients, 4)
    surroundings = {**engine.environment, "BENCH_MODEL": model_id}
    where = [str(engine.data_dir), engine.runs[model]] if peer is None else [peer.name, str(peer.port)]
    command = [sys.executable, "-m", "tests.bench.bench_serving", model, str(clients // processes), *where]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    started = [subprocess.Popen(command, cwd=CHECKOUT, env=surroundings, **pipes) for _ in range(processes)]
    for process in started:
        process.stdout.readline()
    session = engine.process.pid if peer is None else _session(peer)
    before = _cpu(session)
    for process in started:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    texts = [process.communicate(timeout=300)[0] for process in started]
    spent = _cpu(session) - before
    times = np.concatenate([json.loads(text)["times"] for text in texts])
    seconds = max(json.loads(text)["seconds"] for text in texts)
    p50, p95 = np.percentile(times, [50, 95])
    return Row(float(p50), float(p95), len(times) / seconds, 1000 * spent / len(times))


def ask(model: str, threads: str, *where: str) -> None:
    """In a process of its own: call until the time is over, print the latencies in ms."""
    times: list[float] = []

    def work(call: Call, until: float) -> None:
        generator = np.random.default_rng()
        while time.time() < until:
            values = generator.normal(size=SHAPES[model]).astype(np.float32)
            started = time.perf_counter()
            call(values)
            times.append(1000 * (time.perf_counter() - started))

    calls = [_call(*where) for _ in range(int(threads))]
    work(calls[0], time.time() + 0.2)
    print("ready", flush=True)
    sys.stdin.readline()
    times.clear()
    begin = time.time()
    crew = [threading.Thread(target=work, args=(call, begin + _SECONDS)) for call in calls]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    print(json.dumps({"times": times, "seconds": time.time() - begin}))


def _call(first: str, second: str) -> Call:
    if first not in _NEEDS:
        return make_call(first, second)
    port = int(second)
    if first == "stock":
        return _stock(port)
    if first == "gradio":
        return _gradio(HTTPConnection("127.0.0.1", port))
    connection = HTTPConnection("127.0.0.1", port)
    if first == "ray":
        return lambda values: _binary(connection, os.environ["BENCH_MODEL"], values)
    path, key = ("/predict", "input") if first == "litserve" else ("/invocations", "inputs")
    wrap: Callable[[Any], Any] = (lambda v: v.tolist()) if first == "litserve" else (lambda v: [v.tolist()])
    return lambda values: _posted(connection, path, {key: wrap(values)})


def _posted(connection: HTTPConnection, path: str, body: Any) -> Any:
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    text = reply.read()
    assert reply.status == 200, text[:300]
    return json.loads(text)


def _binary(connection: HTTPConnection, model: str, values: Any) -> None:
    text, blobs = encode_parts({"parameters": {"binary_data_output": True}}, {"input_0": values[None]})
    connection.request("POST", f"/v2/models/{model}/infer", b"".join((text, *blobs)), {HEADER_FIELD: str(len(text))})
    reply = connection.getresponse()
    body, size = memoryview(reply.read()), int(reply.headers.get(HEADER_FIELD, "0"))
    assert reply.status == 200, bytes(body[:300])
    decode_parts(body[:size], body[size:])


def _gradio(connection: HTTPConnection) -> Call:
    def call(values: Any) -> None:
        event = _posted(connection, "/gradio_api/call/predict", {"data": [json.dumps(values.tolist())]})["event_id"]
        connection.request("GET", f"/gradio_api/call/predict/{event}")
        assert b"event: complete" in connection.getresponse().read()

    return call


def _stock(port: int) -> Call:
    """A click as Dash's renderer makes it, asked every 300 ms until the result is there."""
    base = f"http://127.0.0.1:{port}"
    with urllib.request.urlopen(base) as reply:
        found = re.search(r'id="_dash-config"[^>]*>(.*?)</script>', reply.read().decode(), re.S)
    end = json.loads(found[1]).get("end_id", "") if found else ""
    clicks = iter(range(1, 10**9))

    def call(values: Any) -> None:
        body = {
            "output": "out.children",
            "outputs": {"id": "out", "property": "children"},
            "inputs": [{"id": "go", "property": "n_clicks", "value": next(clicks)}],
            "state": [{"id": "what", "property": "value", "value": values.tolist()}],
            "changedPropIds": ["go.n_clicks"],
        }
        query = f"endId={end}"
        for _ in range(1000):
            connection = HTTPConnection("127.0.0.1", port)
            found = _posted(connection, f"/_dash-update-component?{query}", body)
            if "response" in found:
                return
            query = (
                f"endId={end}&cacheKey={found.get('cacheKey', '')}&job={found.get('job', '')}"
                if "job" in found
                else query
            )
            time.sleep(0.3)
        raise TimeoutError

    return call


def _session(peer: Peer) -> int:
    return peer.process.pid


def _group(session: int) -> list[Path]:
    """Processes of a session, and those that such a one made daemons of its own (Ray)."""
    found, parents = [], {session}
    for path in sorted((p for p in Path("/proc").iterdir() if p.name.isdigit()), key=lambda p: int(p.name)):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session or int(fields[1]) in parents:
            parents.add(int(path.name))
            found.append(path)
    return found


def _cpu(session: int) -> float:
    total = 0.0
    for path in _group(session):
        try:
            total += sum(map(int, (path / "stat").read_text().rpartition(")")[2].split()[11:15])) / 100
        except OSError:
            continue
    return total


def _idle(session: int) -> tuple[float, float]:
    before, begin = _cpu(session), time.monotonic()
    time.sleep(3)
    share, kilobytes = (_cpu(session) - before) / (time.monotonic() - begin), 0
    for path in _group(session):
        try:
            text = (path / "smaps_rollup").read_text()
        except OSError:
            continue
        kilobytes += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return share, kilobytes / 1024


if __name__ == "__main__":
    ask(*sys.argv[1:])
