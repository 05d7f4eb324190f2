"""Starts the small application of jobs_app with its job server and drives it as Dash's renderer does."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import wait_for

APP = "tests.dashboard.jobs_app"


@dataclass
class Product:
    """gunicorn and the job server of the small application, each restartable by a test."""

    data: Path
    port: int
    limit: int = 2
    timeout: float = 60.0
    stock: bool = False
    broker: str = ""
    web: subprocess.Popen[bytes] = field(init=False, repr=False)
    server: subprocess.Popen[bytes] = field(init=False, repr=False)

    @property
    def socket(self) -> Path:
        return self.data / "run" / "jobs.sock"

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        ours = {
            "VITRINE_DATA_DIR": str(self.data),
            "VITRINE_PORT": str(self.port),
            "VITRINE_INSTANCE": "jobs/",  # as under a supervisor: gunicorn starts nothing beside itself
            "VITRINE_JOB_LIMIT": str(self.limit),
            "VITRINE_JOB_TIMEOUT": str(self.timeout),
            "STOCK_MANAGER": "yes" if self.stock else "",
            "VITRINE_JOBS": "celery" if self.broker else "local",
            "VITRINE_CELERY_BROKER": self.broker,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        log = (self.data / "log").open("ab")
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", *command], env={**os.environ, **ours}, stdout=log, stderr=log
            )

    def start_web(self) -> None:
        self.web = self._start("gunicorn", "-c", "gunicorn.conf.py", f"{APP}:create_server()")
        wait_for(lambda: self.get("/health") == b"OK", 20)

    def start_server(self) -> None:
        self.server = self._start("dashboard.jobs", f"{APP}:create_dash")
        wait_for(self.socket.exists, 20)

    def start_celery(self, there: Callable[[], bool]) -> None:
        self.server = self._start("dashboard.celery_worker", f"{APP}:create_dash", "--without-mingle")
        wait_for(there, 60)

    def stop(self) -> None:
        started = [getattr(self, name) for name in ("web", "server") if hasattr(self, name)]
        for process in started:
            process.terminate()
        for process in started:
            process.wait(15)

    def get(self, path: str) -> bytes:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.read()
        except OSError:
            return b""


@dataclass
class Page:
    """One page load, driven as Dash's renderer drives it."""

    product: Product
    end: str = ""

    def __post_init__(self) -> None:
        index = self.product.get("/").decode()
        self.end = json.loads(re.search(r'id="_dash-config"[^>]*>(.*?)</script>', index, re.S)[1])["end_id"]

    def post(self, what: str, clicks: int = 1, **query: Any) -> tuple[int, dict[str, Any]]:
        body = {
            "output": "out.children",
            "outputs": {"id": "out", "property": "children"},
            "inputs": [{"id": "go", "property": "n_clicks", "value": clicks}],
            "state": [{"id": "what", "property": "value", "value": what}],
            "changedPropIds": ["go.n_clicks"],
        }
        return self.send(body, query)

    def send(self, body: dict[str, Any], query: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        where = urllib.parse.urlencode({**query, "endId": self.end}, doseq=True)
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.product.port}/_dash-update-component?{where}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else {}
        except urllib.error.HTTPError as error:
            return error.code, {}

    def begin(self, what: str) -> "Running":
        status, answer = self.post(what)
        assert status == 200
        return Running(self, what, answer["cacheKey"], answer["job"])

    def result(self, what: str, timeout: float = 20) -> Any:
        return self.begin(what).result(timeout)


@dataclass
class Running:
    """A job as the page that began it sees it."""

    page: Page
    what: str
    key: str
    job: str
    progress: list[str] = field(default_factory=list)
    sides: list[dict[str, Any]] = field(default_factory=list)

    def poll(self) -> tuple[int, dict[str, Any]]:
        status, answer = self.page.post(self.what, cacheKey=self.key, job=self.job)
        self.progress += answer.get("progress", {}).values()
        self.sides += [answer["sideUpdate"]] if "sideUpdate" in answer else []
        return status, answer

    def result(self, timeout: float = 20) -> Any:
        """The callback's output, or None when Dash answers 204 (nothing to update)."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            status, answer = self.poll()
            if status != 200:
                assert status == 204
                return None
            if "response" in answer:
                return answer["response"]["out"]["children"]
            time.sleep(0.05)
        raise TimeoutError(self.what)

    def cancel(self) -> None:
        body = {
            "output": "stop.id",
            "outputs": {"id": "stop", "property": "id"},
            "inputs": [{"id": "stop", "property": "n_clicks", "value": 1}],
            "changedPropIds": ["stop.n_clicks"],
        }
        assert self.page.send(body, {"cancelJob": [self.job]})[0] in (200, 204)
