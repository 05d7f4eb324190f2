"""A store with small models and a real engine process, once per session."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.cache import ResultCache
from dashboard.inference.client import InferenceClient
from dashboard.settings import Settings
from mlflow_runs.index import RunIndex

CHECKOUT = Path(__file__).resolve().parents[3]


class Engine:
    """An engine on a data folder, started again whenever it ends, as the supervisor does."""

    def __init__(self, store: dict[str, Any], data_dir: Path, **changes: str) -> None:
        self.runs: dict[str, str] = store["runs"]
        self.data_dir = data_dir
        self.counting = data_dir / "counting.txt"
        data_dir.mkdir(parents=True, exist_ok=True)
        settings = {"tracking_uri": store["uri"], "data_dir": str(data_dir), "engine_threads": 1, **changes}
        self.settings = Settings(**{**settings, "engine_timeout": 40.0})  # callers are patient on a busy machine
        given = {f"VITRINE_{key.upper()}": str(value) for key, value in settings.items()}
        self.environment = {**os.environ, **given, "COUNTING_FILE": str(self.counting)}
        shutil.copy(store["index"], data_dir / "index.db")
        self.index = RunIndex(data_dir / "index.db")
        self.clients: dict[str, InferenceClient] = {}
        self.stopping = False
        self.process: subprocess.Popen[bytes] = self._start()
        self.thread = threading.Thread(target=self._keep, daemon=True)
        self.thread.start()

    def client(self, cache: str = "cache") -> InferenceClient:
        """A client with a result cache of that name."""
        if cache not in self.clients:
            stored = ResultCache(self.data_dir / cache, 64)
            self.clients[cache] = InferenceClient(self.data_dir, stored, self.index, self.settings)
        return self.clients[cache]

    def lines(self) -> list[str]:
        """What the counting model wrote: one line per load and per call."""
        return self.counting.read_text().split() if self.counting.exists() else []

    def wait_ready(self, seconds: float = 60.0) -> None:
        """Come back when the engine answers."""
        client, until = self.client(), time.monotonic() + seconds
        while not client.ready():
            assert time.monotonic() < until, (self.data_dir / "engine.log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """End the engine as the supervisor does: ask the group, then insist."""
        self.stopping = True
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(5)
        self.thread.join(5)
        self.index.close()
        for client in self.clients.values():
            client.close()

    def _start(self) -> subprocess.Popen[bytes]:
        with (self.data_dir / "engine.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dashboard.inference.engine"],
                cwd=CHECKOUT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _keep(self) -> None:
        while not self.stopping:
            self.process.wait()
            if not self.stopping:
                time.sleep(0.25)
                self.process = self._start()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A SQLite store with one run per model."""
    folder = tmp_path_factory.mktemp("store")
    command = [sys.executable, "-m", "tests.dashboard.inference.small_models", str(folder)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return {**json.loads((folder / "runs.json").read_text()), "index": folder / "index.db"}


@pytest.fixture(scope="session")
def engine(store: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One engine for all tests of the session; the short time limit is for models that hang."""
    running = Engine(store, tmp_path_factory.mktemp("data"), engine_timeout="4")
    running.wait_ready()
    yield running
    running.stop()
