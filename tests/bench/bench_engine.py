"""The engine: latency and requests per second at 1, 8 and 32 clients, beside a raw torch loop on the same machine.

"message" rows ask the engine alone; "client" rows are whole calls as callbacks make them, every input new, so that each
is digested, looked up, predicted and written to the result cache.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.cache import ResultCache
from dashboard.inference.asking import Ask
from dashboard.inference.client import InferenceClient
from dashboard.settings import Settings
from mlflow_runs.index import RunIndex
from tests.dashboard.inference.conftest import CHECKOUT, Engine

_SECONDS, _ROUNDS, _CLIENTS = 1.5, 1, (1, 8, 32)
SHAPES = {"mlp": (16,), "cnn": (3, 64, 64)}


@dataclass(frozen=True)
class Row:
    """One measurement: latencies in ms, requests per second, the engine's CPU in ms per request."""

    p50: float
    p95: float
    rate: float
    cpu: float


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as folder:
        store = make_peer_store(Path(folder))
        for name, rates in store["loop"].items():
            print(f"raw torch loop {name}: " + ", ".join(f"batch {n} {rate:,.0f}/s" for n, rate in rates.items()))
        engine = Engine(store, Path(folder) / "data", engine_queue="256")
        try:
            engine.wait_ready()
            _table(engine, store["loop"])
            _idle(engine)
        finally:
            engine.stop()


def _table(engine: Engine, loop: dict[str, dict[str, float]]) -> None:
    cases = [(name, path, n) for name in SHAPES for path in ("message", "client") for n in _CLIENTS]
    rows: dict[Any, list[Row]] = {case: [] for case in cases}
    for case in cases * _ROUNDS:
        rows[case].append(_measure(engine, *case))
    titles = ("p50 ms", "p95 ms", "requests/s", "of loop", "cpu ms")
    print(f"{'model':<6}{'path':<9}{'clients':>8}" + "".join(f"{title:>12}" for title in titles))
    for (name, path, n), found in rows.items():
        p50, p95, rate, cpu = (statistics.median(getattr(row, key) for row in found) for key in Row.__annotations__)
        share = rate / loop[name][str(n)]
        print(f"{name:<6}{path:<9}{n:>8}{p50:>12.2f}{p95:>12.2f}{rate:>12,.0f}{share:>12.0%}{cpu:>12.2f}")


def _measure(engine: Engine, name: str, path: str, clients: int) -> Row:
    processes = min(clients, 4)
    command = [sys.executable, "-m", "tests.bench.bench_engine", str(engine.data_dir), engine.runs[name], name, path]
    started = [
        subprocess.Popen(
            [*command, str(clients // processes)],
            cwd=CHECKOUT,
            env=engine.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(processes)
    ]
    for process in started:
        process.stdout.readline()  # type: ignore[union-attr]  # because each says when it is warm
    before = _cpu(engine)
    for process in started:
        process.stdin.write(b"go\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
    texts = [process.communicate(timeout=60)[0] for process in started]
    spent = _cpu(engine) - before
    times = np.concatenate([json.loads(text) for text in texts])
    p50, p95 = np.percentile(times, [50, 95])
    return Row(float(p50), float(p95), len(times) / _SECONDS, 1000 * spent / len(times))


def _client(data_dir: str) -> InferenceClient:
    folder = Path(data_dir)
    return InferenceClient(folder, ResultCache(folder / "bench", 512), RunIndex(folder / "index.db"), Settings())


def make_call(data_dir: str, run_id: str) -> Callable[[Any], None]:
    """A call that asks the engine alone for one example's outputs, past the result cache."""
    client = _client(data_dir)
    card = client.card(run_id)
    engine = client.routes.engine(card)

    def call(values: Any) -> None:
        engine.infer(Ask(card, {"input_0": values[None]}, time.monotonic() + 30))

    return call


def ask(data_dir: str, run_id: str, name: str, path: str, threads: str) -> None:
    """In a process of its own: call until the time is over, print the latencies in ms."""
    client, times = _client(data_dir), list[float]()
    message = make_call(data_dir, run_id)

    def call(generator: np.random.Generator, until: float) -> None:
        while time.time() < until:
            values = generator.normal(size=SHAPES[name]).astype(np.float32)
            given = values.tolist() if path == "client" else None
            started = time.perf_counter()
            if given is not None:
                client.predict(run_id, [given])
            else:
                message(values)
            times.append(1000 * (time.perf_counter() - started))

    call(np.random.default_rng(), time.time() + 0.2)
    print("ready", flush=True)
    sys.stdin.readline()
    times.clear()
    until = time.time() + _SECONDS
    crew = [threading.Thread(target=call, args=(np.random.default_rng(), until)) for _ in range(int(threads))]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    print(json.dumps(times))


def _idle(engine: Engine) -> None:
    before = _cpu(engine)
    time.sleep(3)
    print(f"idle: {(_cpu(engine) - before) / 3:.2%} of a core, {_memory(engine):.0f} MB proportional")


def _group(engine: Engine) -> list[Path]:
    processes = (path for path in Path("/proc").iterdir() if path.name.isdigit())
    return [path for path in processes if _stat(path)[2:3] == [str(engine.process.pid)]]


def _stat(path: Path) -> list[str]:
    try:
        return (path / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu(engine: Engine) -> float:
    return sum(int(ticks) for path in _group(engine) for ticks in _stat(path)[11:13]) / 100


def _memory(engine: Engine) -> float:
    texts = [(path / "smaps_rollup").read_text().splitlines() for path in _group(engine)]
    return sum(int(line.split()[1]) for text in texts for line in text if line.startswith("Pss:")) / 1024


def make_peer_store(folder: Path) -> dict[str, Any]:
    """The two models in a store, indexed: its `uri`, `runs`, model `ids` and `folders`, and the raw `loop`'s rates."""
    command = [sys.executable, "-m", "tests.bench.bench_engine", "store", str(folder)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return {**json.loads(done.stdout.splitlines()[-1]), "index": folder / "index.db"}


def make_store(folder: Path) -> None:
    """In a process of its own: log the two models, index them, time the raw loop; prints the facts."""
    import mlflow
    import torch

    from mlflow_runs.index_writer import IndexWriter
    from tests.dashboard.inference.small_models import run_row

    torch.set_num_threads(1)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.create_experiment("bench", artifact_location=str(folder / "artifacts"))
    mlflow.set_experiment("bench")
    runs, loop, ids, folders = {}, {}, {}, {}
    for name, net in _nets(torch).items():
        example = np.zeros((2, *SHAPES[name]), np.float32)
        with mlflow.start_run(run_name=name) as run:
            info = mlflow.pytorch.log_model(net, name="m", input_example=example, pip_requirements=["torch"])
        ids[name], folders[name] = info.model_id, info.artifact_path
        runs[name] = run.info.run_id
        loop[name] = {str(n): _rate(torch, net, n, SHAPES[name]) for n in _CLIENTS}
    writer = IndexWriter(folder / "index.db")
    writer.upsert(run_row(mlflow.MlflowClient(uri), run, task=None) for run in runs.values())
    writer.close()
    print(json.dumps({"uri": uri, "runs": runs, "ids": ids, "folders": folders, "loop": loop}))


def _nets(torch: Any) -> dict[str, Any]:
    nn = torch.nn
    mlp = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 10))
    layers = [(3, 16), (16, 32), (32, 64)]
    blocks = [layer for a, b in layers for layer in (nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))]
    return {"mlp": mlp.eval(), "cnn": nn.Sequential(*blocks, nn.Flatten(), nn.Linear(64 * 64, 10)).eval()}


def _rate(torch: Any, net: Any, batch: int, shape: tuple[int, ...]) -> float:
    values, count = torch.zeros(batch, *shape), 0
    with torch.inference_mode():
        net(values)
        started = time.perf_counter()
        while time.perf_counter() - started < 1.0:
            net(values)
            count += batch
        return count / (time.perf_counter() - started)


if __name__ == "__main__":
    if sys.argv[1] == "store":
        make_store(Path(sys.argv[2]))
    else:
        ask(*sys.argv[1:])
