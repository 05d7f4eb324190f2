"""The engine alone and a whole prediction at 1, 8 and 32 clients, beside a raw torch loop; ONNX Runtime beside torch.

The `onnx` model is the CNN in its ONNX form. Rows as in bench_serving, which adds other servers.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.clients import SHAPES, Crew
from tests.conftest import CHECKOUT
from tests.dashboard.inference.conftest import Engine

_SECONDS, _ROUNDS, _CLIENTS = 1.5, 2, (1, 8, 32)


class Loop:
    """A process that runs the bare model in a loop when asked to, with one thread."""

    def __init__(self, folder: Path, model: str) -> None:
        self._command = [sys.executable, "-m", "tests.bench.bench_engine", "loop", str(folder), model]

    def __enter__(self) -> "Loop":
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        one = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._process: Any = subprocess.Popen(self._command, cwd=CHECKOUT, env=one, **pipes)  # type: ignore[call-overload]
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=10)

    def rate(self, batch: int) -> float:
        """Examples per second in batches of this size."""
        self._process.stdin.write(f"{batch}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as folder:
        store = make_peer_store(Path(folder))
        engine = Engine(store, Path(folder) / "data", engine_queue="256")
        crew = Crew(engine.environment)
        try:
            engine.wait_ready()
            print(f"{'model':<6}{'path':<9}{'clients':>8}{'p50 ms':>10}{'p95 ms':>10}{'requests/s':>12}{'of loop':>10}")
            found = {name: _table(engine, crew, name, Path(folder)) for name in SHAPES}
            ratio = found["onnx"] / found["cnn"]
            print(f"ONNX Runtime answers {ratio:.2f} times as many requests as torch at 32 clients")
        finally:
            crew.close()
            engine.stop()


def _table(engine: Engine, crew: Crew, model: str, folder: Path) -> float:
    """Prints the rows of a model; its requests per second at 32 clients, the engine alone."""
    where = {"model": model, "data": str(engine.data_dir), "run": engine.runs[model]}
    rates: dict[tuple[str, int], float] = {}
    with Loop(folder, "cnn" if model == "onnx" else model) as loop:
        for path in ("message", "client"):
            for n in _CLIENTS:
                rows = []
                for _ in range(_ROUNDS):
                    bare = loop.rate(n)
                    times, took = crew.ask({**where, "kind": path}, n, _SECONDS, lambda: None)
                    rows.append((*np.percentile(times, [50, 95]), len(times) / took, len(times) / took / bare))
                p50, p95, rate, share = (statistics.median(column) for column in zip(*rows, strict=True))
                rates[path, n] = rate
                print(f"{model:<6}{path:<9}{n:>8}{p50:>10.2f}{p95:>10.2f}{rate:>12,.0f}{share:>10.0%}", flush=True)
    return rates["message", 32]


def make_peer_store(folder: Path) -> dict[str, Any]:
    """The models in a store, indexed: its `uri`, and the `runs`, model `ids` and `folders` by name."""
    command = [sys.executable, "-m", "tests.bench.bench_engine", "store", str(folder)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return {**json.loads(done.stdout.splitlines()[-1]), "index": folder / "index.db"}


def make_store(folder: Path) -> None:
    """In a process of its own: log the models and index them; prints the facts, keeps the nets for the raw loop."""
    import mlflow
    import onnx
    import torch

    from dashboard.inference.onnx_export import export
    from mlflow_runs.index_writer import IndexWriter
    from tests.dashboard.inference.small_models import run_row

    uri = f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.create_experiment("bench", artifact_location=str(folder / "artifacts"))
    mlflow.set_experiment("bench")
    runs, ids, folders = {}, {}, {}
    nets = _nets(torch)
    export(nets["cnn"], [torch.zeros(2, *SHAPES["cnn"])], folder / "cnn.onnx")
    for name, shape in SHAPES.items():
        example = np.zeros((2, *shape), np.float32)
        with mlflow.start_run(run_name=name) as run:
            if name == "onnx":
                model, keep = onnx.load(str(folder / "cnn.onnx")), {"pip_requirements": ["onnxruntime"]}
                signature = mlflow.models.infer_signature({"input_0": example}, np.zeros((2, 10), np.float32))
                info = mlflow.onnx.log_model(model, name="m", signature=signature, **keep)
            else:
                torch.save(nets[name], folder / f"{name}.pt")
                keep = {"input_example": example, "pip_requirements": ["torch"]}
                info = mlflow.pytorch.log_model(nets[name], name="m", **keep)
        ids[name], folders[name], runs[name] = info.model_id, info.artifact_path, run.info.run_id
    writer = IndexWriter(folder / "index.db")
    writer.upsert(run_row(mlflow.MlflowClient(uri), run, task=None) for run in runs.values())
    writer.close()
    print(json.dumps({"uri": uri, "runs": runs, "ids": ids, "folders": folders}))


def _nets(torch: Any) -> dict[str, Any]:
    nn = torch.nn
    mlp = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 10))
    layers = [(3, 16), (16, 32), (32, 64)]
    blocks = [layer for a, b in layers for layer in (nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))]
    return {"mlp": mlp.eval(), "cnn": nn.Sequential(*blocks, nn.Flatten(), nn.Linear(64 * 64, 10)).eval()}


def loop(folder: Path, model: str) -> None:
    """In a process of its own: batch sizes from stdin, examples per second to stdout."""
    import torch

    torch.set_num_threads(1)
    net = torch.load(folder / f"{model}.pt", weights_only=False)
    print("ready", flush=True)
    for line in sys.stdin:
        values = torch.randn(int(line), *SHAPES[model])
        with torch.inference_mode():
            net(values)
            done, started = 0, time.perf_counter()
            while (spent := time.perf_counter() - started) < _SECONDS / 2:
                net(values)
                done += len(values)
        print(done / spent, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "store":
        make_store(Path(sys.argv[2]))
    else:
        loop(Path(sys.argv[2]), sys.argv[3])
