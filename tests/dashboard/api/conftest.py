"""A real store, a real back office and a real engine behind a Flask test client; started once for these tests."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import flask
import pytest
from flask.testing import FlaskClient

from dashboard import processes
from dashboard.api.routes import register_api
from dashboard.flags import FlagFilter
from dashboard.services import Services, build_services
from dashboard.settings import Settings
from tests.conftest import CHECKOUT, wait_for


@dataclass(frozen=True)
class Api:
    """The client, the run ids by run name, the services behind, and the folder with what was published."""

    client: FlaskClient
    runs: dict[str, str]
    services: Services
    folder: Path

    def path(self, run: str, rest: str = "") -> str:
        """The address of a run, by its name."""
        return f"/api/v1/runs/{self.runs[run]}{rest}"

    def undo_flags(self) -> None:
        """Take back every flag, so that the next test finds the runs as they were published."""
        for run in self.runs.values():
            for flag in self.services.flags.find(FlagFilter(run_id=run))[0]:
                self.services.flags.undo(flag.id)


@contextmanager
def part(folder: Path, module: str, *arguments: str) -> Iterator[None]:
    """A process of the product, or of the tests, that works in the folder; ended with the block."""
    own = {
        "VITRINE_DATA_DIR": str(folder),
        processes.MARK: str(folder),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_NUM_THREADS": "1",
    }
    cleared = {key: value for key, value in os.environ.items() if not key.startswith(("VITRINE_", "MLFLOW_"))}
    with (folder / f"{module}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=CHECKOUT,
            env=cleared | own,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(40)


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Runs with predictions, a model for pictures, ready-made figures, broken artifacts, and with nothing."""
    folder = tmp_path_factory.mktemp("api")
    quiet = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run(
        [sys.executable, "-m", "tests.dashboard.api.publisher", str(folder)],
        cwd=CHECKOUT,
        env=quiet,
        check=True,
        timeout=120,
        capture_output=True,
    )
    runs = json.loads((folder / "runs.json").read_text())
    services = build_services(Settings(data_dir=folder, tracking_uri="", max_upload_mb=1))
    server = flask.Flask("api")
    register_api(server, services)
    try:
        with (
            part(folder, "dashboard.backoffice"),
            part(folder, "dashboard.inference.engine"),
            part(folder, "dashboard.jobs"),
        ):
            wait_for(lambda: _settled(services, len(runs)), 60)
            wait_for(services.inference.ready, 60)
            yield Api(server.test_client(), runs, services, folder)
    finally:
        processes.kill_marked(str(folder))
        services.inference.close()


def _settled(services: Services, count: int) -> bool:
    rows, total = services.runs.runs()
    return total == count and all(row.state != "pending" for row in rows)
