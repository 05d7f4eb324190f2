"""The commands of compose.yaml as processes of this machine: MLflow on PostgreSQL, inference, Celery, gunicorn."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlflow
import pandas
import pytest
import yaml
from sklearn.linear_model import LogisticRegression

from mlflow_runs.publish import log_evaluation
from tests.conftest import CHECKOUT, alive, answer, free_port, left_over, wait_for

pytestmark = pytest.mark.process
POSTGRES = os.environ.get("VITRINE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("VITRINE_TEST_REDIS", "redis://127.0.0.1:6379/14")
COMPOSE = yaml.safe_load((CHECKOUT / "compose.yaml").read_text())


def published(store: str) -> str:
    """Log a run with predictions and a model as any script does; its id."""
    before = mlflow.get_tracking_uri()
    with warnings.catch_warnings(action="ignore"):
        mlflow.set_tracking_uri(store)
        try:
            return _published()
        finally:
            mlflow.set_tracking_uri(before)


def _published() -> str:
    experiment = mlflow.MlflowClient().create_experiment("deployment")
    with mlflow.start_run(experiment_id=experiment) as run:
        rows = pandas.DataFrame({"x": [0.0, 1.0, 2.0, 3.0] * 10, "label": ["a", "a", "b", "b"] * 10})
        model = LogisticRegression().fit(rows[["x"]], rows["label"])
        rows["prediction"] = model.predict(rows[["x"]])
        log_evaluation(rows, label="label", prediction="prediction", model=model)
    return str(run.info.run_id)


class Machine:
    """The services of compose.yaml on one machine: the same commands and settings, with addresses of here."""

    def __init__(self, folder: Path, databases: dict[str, str]) -> None:
        self.folder, self.running = folder, dict[str, subprocess.Popen[bytes]]()
        self.ports = {name: free_port() for name in ("mlflow", "inference", "dashboard")}
        self._here = {
            **databases,
            "redis://redis:6379/0": REDIS,
            "http://mlflow:5000": f"http://127.0.0.1:{self.ports['mlflow']}",
            "inference:8090": f"127.0.0.1:{self.ports['inference']}",
            "0.0.0.0": "127.0.0.1",
            "mlflow:5000,localhost:5000,127.0.0.1:5000": f"127.0.0.1:{self.ports['mlflow']}",
            "8090": str(self.ports["inference"]),
            "5000": str(self.ports["mlflow"]),
            "/mlflow": str(folder / "artifacts"),
        }

    def _local(self, text: str) -> str:
        text = re.sub(r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}", lambda found: found[2] or "secret", str(text))
        for there, here in self._here.items():
            whole = there.isdigit() or there.startswith("/")
            text = (here if text == there else text) if whole else text.replace(there, here)
        return text

    def start(self, name: str) -> None:
        """Run a service's command with its settings and a data folder for each of its volumes."""
        service = COMPOSE["services"][name]
        volume = next((entry.split(":")[0] for entry in service["volumes"] if entry.endswith(":/data")), name)
        settings = {key: self._local(value) for key, value in service["environment"].items()}
        data = {"VITRINE_DATA_DIR": str(self.folder / volume), "HOME": str(self.folder / volume)}
        (self.folder / volume).mkdir(exist_ok=True)
        own = {
            "VITRINE_PORT": str(self.ports["dashboard"]),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("VITRINE_", "MLFLOW_"))}
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [self._local(word) for word in service["command"]],
                cwd=CHECKOUT,
                env={**clean, **settings, **data, **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Ask all to leave, then see to it."""
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(15)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def url(self, name: str, path: str = "") -> str:
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url("dashboard", path), data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as found:
            return json.load(found)


@pytest.fixture
def databases() -> Iterator[dict[str, str]]:
    """Two fresh databases on a real PostgreSQL, by the addresses that compose.yaml has for them; an empty Redis."""
    psycopg = pytest.importorskip("psycopg")
    redis = pytest.importorskip("redis")
    names = {"vitrine": f"vitrine_{uuid.uuid4().hex}", "mlflow": f"mlflow_{uuid.uuid4().hex}"}
    try:
        server = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        pytest.skip(f"no PostgreSQL answers at {POSTGRES}; name one with VITRINE_TEST_POSTGRES")
    with server, redis.Redis.from_url(REDIS, socket_connect_timeout=3) as broker:
        try:
            broker.flushdb()
        except redis.RedisError:
            pytest.skip(f"no Redis answers at {REDIS}; name one with VITRINE_TEST_REDIS")
        for name in names.values():
            server.execute(f"CREATE DATABASE {name}")
        address = POSTGRES.replace("postgresql://", "postgresql+psycopg://", 1).rpartition("/")[0]
        yield {
            f"postgresql+psycopg://vitrine:secret@postgres:5432/{service}": f"{address}/{name}"
            for service, name in names.items()
        }
        for name in names.values():
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        broker.flushdb()


@pytest.fixture
def machine(tmp_path: Path, databases: dict[str, str]) -> Iterator[Machine]:
    found = Machine(tmp_path, databases)
    try:
        yield found
    finally:
        found.stop()
        wait_for(lambda: left_over(tmp_path / "data") == [], 20)


def parts(machine: Machine) -> dict[str, int | None]:
    """Name -> pid of what runs beside the web workers."""
    state = json.loads((machine.folder / "data" / "run" / "supervisor.json").read_text())
    return {name: facts["pid"] for name, facts in state["parts"].items()}


def counted(machine: Machine) -> float:
    """How many times /health was answered, by all web workers."""
    with urllib.request.urlopen(machine.url("dashboard", "/metrics"), timeout=30) as found:
        text = found.read().decode()
    return sum(float(line.split()[-1]) for line in text.splitlines() if 'route="/health",status="200"' in line)


def test_the_composed_product_predicts_counts_reloads_and_leaves_nothing(machine: Machine) -> None:
    machine.start("mlflow")
    machine.start("inference")
    machine.start("worker")
    wait_for(lambda: answer(machine.url("mlflow", "/health")) == 200, 120)
    machine.start("dashboard")
    run = published(machine.url("mlflow"))
    wait_for(lambda: answer(machine.url("dashboard", "/ready")) == 200, 120)
    wait_for(lambda: answer(machine.url("dashboard", f"/api/v1/runs/{run}/performance")) == 200, 60)
    told = machine.ask(f"/api/v1/runs/{run}/predict", {"inputs": [{"x": 0.0}, {"x": 3.0}]})
    assert [prediction["label"] for prediction in told["predictions"]] == ["a", "b"]
    searched = machine.url("dashboard", f"/api/v1/runs/{run}/slices/discovered")
    wait_for(lambda: patient(searched) == 200, 120)

    assert "jobs" not in parts(machine)
    before, kept = counted(machine), parts(machine)
    for _ in range(20):
        assert answer(machine.url("dashboard", "/health")) == 200
    assert counted(machine) == before + 20

    master = machine.running["dashboard"]
    workers = web_workers(master.pid)
    master.send_signal(signal.SIGHUP)
    wait_for(lambda: not any(map(alive, workers)) and len(web_workers(master.pid)) == 2, 30)
    assert answer(machine.url("dashboard", "/health")) == 200
    assert parts(machine) == kept

    master.kill()
    master.wait()
    wait_for(lambda: answer(machine.url("dashboard", "/health")) == 0 and left_over_here(machine) == [], 30)
    machine.start("dashboard")
    wait_for(lambda: answer(machine.url("dashboard", "/health")) == 200, 60)

    master = machine.running["dashboard"]
    workers = web_workers(master.pid)
    master.send_signal(signal.SIGHUP)
    wait_for(lambda: not any(map(alive, workers)) and len(web_workers(master.pid)) == 2, 30)
    master.terminate()
    assert master.wait(20) == 0
    assert left_over_here(machine) == []  # it leaves last, also after a reload


def patient(url: str) -> int:
    """The status of an answer that is asked for once a second, as the reference says."""
    status = answer(url)
    time.sleep(0 if status == 200 else 1)
    return status


def web_workers(master: int) -> list[int]:
    """gunicorn's workers: its children but the companion."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return [pid for pid in map(int, children) if b"companion" not in Path(f"/proc/{pid}/cmdline").read_bytes()]


def left_over_here(machine: Machine) -> list[str]:
    """Processes of the dashboard, without the Celery worker that shares its data folder."""
    return [line for line in left_over(machine.folder / "data") if "celery" not in line]


def test_every_path_that_the_dockerfile_copies_exists_and_is_let_through() -> None:
    lines = (CHECKOUT / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY") and "--from" not in line for word in line.split()[1:-1]]
    assert [path for path in copied if not (CHECKOUT / path).exists()] == []
    assert {f"!{path}" for path in copied} <= set((CHECKOUT / ".dockerignore").read_text().splitlines())


def test_what_must_survive_lies_in_named_volumes_and_no_part_runs_as_root() -> None:
    for name, service in COMPOSE["services"].items():
        assert {entry.split(":")[0] for entry in service["volumes"]} <= set(COMPOSE["volumes"]), name
        if name not in ("postgres", "redis"):
            assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert "USER 10001:10001" in (CHECKOUT / "Dockerfile").read_text()
