"""The engine beside other servers with the same model: latency and requests per second at 1, 8 and 32 clients.

Stock Dash, `mlflow models serve`, LitServe, Gradio and Ray Serve are measured where they are installed. All run at the
same time and are asked in turns, so that each meets the machine in the same state; whoever is not asked is stopped
(SIGSTOP), because some are never idle. BENCH_MODELS and BENCH_PEERS choose, separated by commas; BENCH_PYTHON is the
interpreter of an environment in which other servers are installed.

Of Vitrine: `message` is the engine alone with tensors; `client` a whole prediction as callbacks make it, from a row or
a PNG file through result cache and engine; `callback` the same inside a Dash callback behind gunicorn, asked over
HTTP; `page` the callback of the Inference page itself.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.telemetry import proportional_bytes
from tests.bench.bench_engine import Loop, make_peer_store
from tests.bench.clients import Crew
from tests.conftest import CHECKOUT, answer, free_port, wait_for
from tests.dashboard.inference.conftest import Engine

_SECONDS, _ROUNDS, _CLIENTS = 1.5, 2, (1, 8, 32)
_READY = {"litserve": "/health", "gradio": "/gradio_api/startup-events", "mlflow": "/ping", "ray": "/v2/health/ready"}
_NEEDS = {"callback": "dash", "page": "dash", "litserve": "litserve", "gradio": "gradio", "ray": "ray"} | {
    "mlflow": "mlflow",
    "stock": "dash",
}
_LONE, _OURS = ("stock", "page"), ("callback", "page")


@dataclass(frozen=True)
class Peer:
    """A running server: its port, and the session of its processes."""

    name: str
    port: int
    session: int


@dataclass(frozen=True)
class Row:
    """One measurement: latencies in ms, requests per second, the server's CPU in ms per request."""

    p50: float
    p95: float
    rate: float
    cpu: float


def main() -> None:
    """Print one table per model."""
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as folder:
        store = make_peer_store(Path(folder))
        engine = Engine(store, Path(folder) / "data", engine_queue="256")
        crew = Crew(engine.environment)
        try:
            engine.wait_ready()
            for model in os.environ.get("BENCH_MODELS", "mlp,cnn").split(","):
                _table(engine, crew, model, store, Path(folder))
        finally:
            crew.close()
            engine.stop()


def _table(engine: Engine, crew: Crew, model: str, store: Mapping[str, Any], folder: Path) -> None:
    wanted = os.environ.get("BENCH_PEERS", ",".join(_NEEDS)).split(",")
    wanted = [name for name in wanted if name != "page" or model == "mlp"]
    missing = [name for name in wanted if not _importable(_NEEDS[name])]
    ours = Peer("engine", 0, engine.process.pid)
    with ExitStack() as stack:
        started = [stack.enter_context(_running(n, engine, store, model, folder)) for n in wanted if n not in missing]
        peers = [peer for peer in started if peer is not None]
        loop = stack.enter_context(Loop(folder, model))
        for peer in peers:
            _freeze(peer)
        cases = [(kind, peer, n) for n in _CLIENTS for kind, peer in _cases(ours, peers) if n == 1 or kind not in _LONE]
        rows: dict[tuple[str, int], list[Row]] = {}
        rates: dict[int, list[float]] = {}
        for kind, peer, n in cases * _ROUNDS:
            if kind == "message":
                rates.setdefault(n, []).append(loop.rate(n))
            where = {"kind": kind, "model": model, "port": peer.port, "data": str(engine.data_dir)}
            where |= {"run": engine.runs[model], "id": store["ids"][model]}
            rows.setdefault((kind, n), []).append(_measure(crew, where, peer, n))
        idle = [(peer.name, *_idle(peer)) for peer in (ours, *peers)]
    _print(model, {n: statistics.median(found) for n, found in rates.items()}, rows, idle)
    left = missing + [name for name, peer in zip(wanted, started, strict=False) if peer is None]
    print(f"left out, not installed or not started here: {', '.join(left)}" if left else "all peers were there")


def _python(name: str = "") -> str:
    return sys.executable if name in _OURS else os.environ.get("BENCH_PYTHON", sys.executable)


def _importable(module: str) -> bool:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{module}') is None)"
    return subprocess.run([_python(), "-c", code], check=False).returncode == 0


def _cases(ours: Peer, peers: Sequence[Peer]) -> list[tuple[str, Peer]]:
    return [("message", ours), ("client", ours), *((peer.name, peer) for peer in peers)]


def _print(
    model: str,
    loop: Mapping[int, float],
    rows: Mapping[tuple[str, int], list[Row]],
    idle: Sequence[tuple[str, float, float]],
) -> None:
    bare = 1000 / loop[1]
    print(f"\n{model}, raw torch loop: {', '.join(f'batch {n} {rate:,.0f}/s' for n, rate in loop.items())}")
    titles = ("p50 ms", "p95 ms", "added ms", "requests/s", "of loop", "cpu ms")
    print(f"{'server':<10}{'clients':>8}" + "".join(f"{title:>12}" for title in titles))
    for (name, n), found in rows.items():
        p50, p95, rate, cpu = (statistics.median(getattr(row, key) for row in found) for key in Row.__annotations__)
        added = f"{p50 - bare:>12.2f}" if n == 1 else f"{'':>12}"
        print(f"{name:<10}{n:>8}{p50:>12.2f}{p95:>12.2f}{added}{rate:>12,.1f}{rate / loop[n]:>12.1%}{cpu:>12.2f}")
    for name, cpu, pss in idle:
        print(f"idle {name:<10}{cpu:>8.2%} of a core, {pss:,.0f} MB proportional")


@contextmanager
def _running(name: str, engine: Engine, store: Mapping[str, Any], model: str, folder: Path) -> Iterator[Peer | None]:
    """A peer that answers; None when it does not start. Its processes are ended afterwards."""
    port, log = free_port(), folder / f"{name}-{model}.log"
    command, own = _command(name, port, engine, store, model, folder)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [_python(name), "-m", *command],
            cwd=CHECKOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1", **own},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    peer = Peer(name, port, process.pid)
    try:
        address = f"http://127.0.0.1:{port}{_READY.get(name, '/health')}"
        with suppress(AssertionError):
            wait_for(lambda: process.poll() is not None or answer(address) == 200, 90)
        there = process.poll() is None and answer(address) == 200
        if not there:
            print(f"{name} did not start: {log.read_text()[-700:]}", flush=True)
        yield peer if there else None
    finally:
        _freeze(peer, signal.SIGCONT)
        process.send_signal(signal.SIGINT if name == "ray" else signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        _freeze(peer, signal.SIGKILL)
        process.wait(5)


def _command(
    name: str, port: int, engine: Engine, store: Mapping[str, Any], model: str, folder: Path
) -> tuple[list[str], dict[str, str]]:
    """What starts the peer, and its environment."""
    if name in ("callback", "page"):
        made = f"tests.bench.callback_peer:create_server('{engine.runs[model]}')"
        app = made if name == "callback" else "app:create_server()"
        own = {**engine.environment, "VITRINE_PORT": str(port), "VITRINE_INSTANCE": f"bench/{name}/"}
        return ["gunicorn", "-c", "gunicorn.conf.py", app], own
    if name == "ray":
        own = {"VITRINE_TRACKING_URI": store["uri"], "VITRINE_DATA_DIR": str(folder / "ray"), "PORT": str(port)}
        return ["dashboard.inference.ray_app"], own
    module = "tests.bench.litserve_peer" if name == "litserve" else "tests.bench.serving_peers"
    what = [] if name == "litserve" else [name]
    return [module, *what, str(port), store["folders"][model]], {"GRADIO_ANALYTICS_ENABLED": "False"}


def _measure(crew: Crew, where: Mapping[str, Any], peer: Peer, clients: int) -> Row:
    before: list[float] = []
    _freeze(peer, signal.SIGCONT)
    seconds = 2 * _SECONDS if peer.name == "stock" else _SECONDS
    times, took = crew.ask(where, clients, seconds, lambda: before.append(_cpu(peer)))
    spent = _cpu(peer) - before[0]
    if peer.name != "engine":
        _freeze(peer)
    p50, p95 = np.percentile(times, [50, 95]) if len(times) else (np.nan, np.nan)
    return Row(float(p50), float(p95), len(times) / took, 1000 * spent / max(len(times), 1))


def _freeze(peer: Peer, number: int = signal.SIGSTOP) -> None:
    for path in _group(peer.session):
        with suppress(ProcessLookupError):
            os.kill(int(path.name), number)


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


def _cpu(peer: Peer) -> float:
    total = 0.0
    for path in _group(peer.session):
        with suppress(OSError):
            total += sum(map(int, (path / "stat").read_text().rpartition(")")[2].split()[11:15])) / 100
    return total


def _idle(peer: Peer) -> tuple[float, float]:
    """Share of a core while nobody asks, and proportional memory in MB."""
    _freeze(peer, signal.SIGCONT)
    time.sleep(1)
    before, begin = _cpu(peer), time.monotonic()
    time.sleep(3)
    share = (_cpu(peer) - before) / (time.monotonic() - begin)
    size = sum(proportional_bytes(int(path.name)) for path in _group(peer.session))
    if peer.name != "engine":
        _freeze(peer)
    return share, size / 2**20
