"""The inference process, `python -m dashboard.inference.engine [name [device]]`: mosec in front, models behind.

It may run on a machine of its own: VITRINE_ENGINE_HOST, _PORT and _KEY say where it listens and what it wants to hear.
Three processes of one group: this one (starts, watches), mosec's HTTP server, and the worker that holds the models.
"""

import os
import secrets
import shutil
import socket
import sys
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mosec import Server, Worker

from dashboard.inference import guard, heavy_lane
from dashboard.inference.protocol import ROUTE, Message
from dashboard.settings import Settings
from mlflow_runs.errors import DashboardError

_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "TOKENIZERS_PARALLELISM": "false"}
_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
QUEUE_TIMEOUT_MS = 15_000
_BATCH = 32
_SOCKET_LIMIT = 75
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_EVERYWHERE = ("0.0.0.0", "::")


class CannotListen(SystemExit):
    """The settings would let anyone on the network ask the engine."""


def address_file(data_dir: Path, name: str = "engine") -> Path:
    """Where the engine's address and process id are found."""
    return data_dir / "run" / f"{name}.json"


class EngineWorker(Worker):
    """Mosec's view of the worker; torch is imported where it is built, in its own process, and nowhere else."""

    resp_mime_type = "application/octet-stream"

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        from dashboard.inference.worker import Service

        self._service = Service()

    def deserialize(self, data: bytes) -> Message | DashboardError:
        """The message, or the error of a body that is none: one broken body must not fail its whole batch."""
        return self._service.read(data)

    def forward(self, data: list[Any]) -> list[Any]:  # Any, because mosec builds a schema from anything narrower
        """One packed reply per message, in their order."""
        return self._service.answer(data)

    def serialize(self, data: bytes) -> bytes:
        """The reply as it is: it was packed where its errors could be caught."""
        return data


def main(name: str = "engine", device: str = "") -> None:
    """Serve until stopped."""
    settings = Settings()
    settings = settings.model_copy(update={"device": device or settings.device.split(",")[0].strip()})
    if settings.engine_host not in _LOOPBACK and not settings.engine_key:
        raise CannotListen(
            f"VITRINE_ENGINE_HOST is {settings.engine_host!r}: an engine that others reach needs VITRINE_ENGINE_KEY."
        )
    run = settings.folder("run")
    parent = os.getppid()
    if os.getpgid(0) != os.getpid():
        os.setpgid(0, 0)  # because the whole group is ended at once, and only this engine's processes may be in it
    os.environ.update({**_environment(settings), "VITRINE_ENGINE_NAME": name})
    beat, suspects = guard.Beat(run / f"{name}.beat"), guard.Suspects(run / f"{name}.suspects.json")
    guard.blame_predecessor(beat, suspects)
    port = settings.engine_port if settings.engine_port and name == "engine" else free_port()
    sys.argv = ["engine", *_arguments(settings, port, _sockets(run, name))]  # because mosec reads its options there
    warnings.filterwarnings("ignore", message="`--wait` is deprecated", category=DeprecationWarning)
    server: Any = Server()  # type: ignore[no-untyped-call]
    server.append_worker(EngineWorker, num=1, max_batch_size=_BATCH, route=ROUTE)
    watched = (beat, suspects, parent, lambda: _serving(server))
    threading.Thread(target=guard.watch, args=watched, daemon=True).start()
    if name == "engine":
        threading.Thread(target=heavy_lane.keep_door, args=(run / "heavy.sock",), daemon=True).start()
    _announce(settings, name, port)
    server.run()


def _serving(server: Any) -> bool:
    process = server._rs_runtime_manager.process
    return process is not None and process.poll() is None


def _announce(settings: Settings, name: str, port: int) -> None:
    path = address_file(settings.data_dir, name)
    starts = guard.read_json(path).get("starts", 0)
    facts: dict[str, Any] = {
        "pid": os.getpid(),
        "host": "127.0.0.1" if settings.engine_host in _EVERYWHERE else settings.engine_host,
        "port": port,
        "key": os.environ["VITRINE_ENGINE_KEY"],
        "started": time.time(),
        "starts": (starts if isinstance(starts, int) else 0) + 1,
    }
    guard.write_json(path, facts)
    path.chmod(0o600)


def _environment(settings: Settings) -> Mapping[str, str]:
    threads = str(settings.engine_threads or default_threads())
    uri = settings.store_uri
    if uri.startswith("sqlite:///") and not uri.startswith("sqlite:////"):
        uri = f"sqlite:///{Path(uri.removeprefix('sqlite:///')).absolute()}"  # because the working folder changes below
    return {
        **_QUIET,
        **dict.fromkeys(_POOLS, threads),
        "VITRINE_TRACKING_URI": uri,
        "VITRINE_DATA_DIR": str(settings.data_dir),
        "VITRINE_DEVICE": settings.device,
        "VITRINE_ENGINE_KEY": settings.engine_key or secrets.token_hex(16),
    }


def default_threads() -> int:
    """Half the cores this process may use, at least one: two threads on two busy cores were 17 times slower."""
    return max(1, len(os.sched_getaffinity(0)) // 2 if hasattr(os, "sched_getaffinity") else 1)


def _sockets(run: Path, name: str) -> str:
    """The folder of mosec's sockets, fresh and with a short name: a Unix socket's path has at most 107 bytes."""
    folder = run / name
    shutil.rmtree(folder, ignore_errors=True)
    if len(os.fsencode(folder)) <= _SOCKET_LIMIT:
        return str(folder)
    sys.path[:] = [str(Path(entry).absolute()) for entry in sys.path]
    os.chdir(run)
    return name


def _arguments(settings: Settings, port: int, sockets: str) -> Sequence[str]:
    size = max(64, 2 * settings.max_upload_mb) * 2**20
    level = "warning" if settings.log_level == "info" else settings.log_level
    return (
        "--address", settings.engine_host, "--port", str(port), "--path", sockets, "--timeout", str(QUEUE_TIMEOUT_MS),
        "--wait", "0",  # because batches form by themselves while the worker is busy; waiting costs a lone caller 1 ms
        "--capacity", str(settings.engine_queue), "--max-request-size", str(size), "--log-level", level,
    )  # fmt: skip


def free_port() -> int:
    """A TCP port of this machine that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main(*sys.argv[1:])
