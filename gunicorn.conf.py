"""The production server: `gunicorn` in this folder starts web workers and, beside them, every other part."""

import ctypes
import gc
import hashlib
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_before = dict(os.environ)
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "ARROW_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is imported: web workers count with threads of their own
os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
with suppress(
    AttributeError, OSError
):  # as dashboard/parts.py has it for the other parts; where the C library is glibc
    for _option, _value in ((-8, 2), (-3, 2**20), (-1, 2**20)):  # M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
        ctypes.CDLL(None).mallopt(_option, _value)

sys.path.insert(0, str(Path(__file__).resolve().parent))
from dashboard import companion  # noqa: E402
from dashboard.access.preflight import read_settings, refuse_to_start  # noqa: E402
from dashboard.parts import cores  # noqa: E402

_settings = read_settings()
refuse_to_start(_settings)
_memory = Path("/dev/shm")


def _counting_folder() -> Path:
    """Where workers count for /metrics: in memory, because a mapped file on a full disk would kill its process."""
    name = f"vitrine-{os.getuid()}-{hashlib.blake2b(str(_settings.data_dir).encode(), digest_size=6).hexdigest()}"
    folder = _memory / name if os.access(_memory, os.W_OK) else _settings.folder("run") / "counts"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        folder = _settings.folder("run") / "counts"
        folder.mkdir(mode=0o700, exist_ok=True)
    owner = folder / "owner"
    if not owner.exists() or owner.read_text() != str(os.getpid()):  # not at a reload, whose workers go on counting
        shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
        owner.write_text(str(os.getpid()))
    return folder


os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_counting_folder())

wsgi_app = "app:create_server()"
bind = f"[{_settings.host}]:{_settings.port}" if ":" in _settings.host else f"{_settings.host}:{_settings.port}"
workers = _settings.workers or min(2, cores())
threads = _settings.threads
worker_class = "dashboard.patient_worker.PatientWorker"
preload_app = "--reload" not in sys.argv  # because what the parent has loaded cannot be loaded anew
timeout = 60
graceful_timeout = 5
keepalive = 5
limit_request_line = 8190  # because a view is an address, and a filter may be long
max_requests = 50_000
max_requests_jitter = 5_000
control_socket_disable = True
forwarded_allow_ips = ""  # because VITRINE_PROXY_HOPS alone says whose headers are believed
worker_tmp_dir = str(_memory) if _memory.is_dir() else str(_settings.folder("run"))
accesslog = "-" if _settings.access_log else None
logger_class = "dashboard.access_log.JsonLogger"
errorlog = "-"
loglevel = _settings.log_level


def on_starting(server: Any) -> None:
    """Start the other parts, before the server listens: none of them may hold its port. The command line may bind
    other addresses than the settings."""
    refuse_to_start(_settings, *(place[0] for place in server.cfg.address if isinstance(place, tuple)))
    server.companion = companion.begin(_before)  # kept there, because this file is read anew at every reload


def when_ready(_: object) -> None:
    """What is loaded stays shared with the workers: their garbage collectors need not touch it."""
    gc.collect()
    gc.freeze()


def on_exit(server: Any) -> None:
    """Stop them and wait for them."""
    companion.end(getattr(server, "companion", None))
    counts = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    if (counts / "owner").read_text() == str(os.getpid()):  # else a new master counts there already
        shutil.rmtree(counts, ignore_errors=True)
