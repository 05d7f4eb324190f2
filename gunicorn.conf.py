"""gunicorn's configuration, taken from the product's settings; `gunicorn -c gunicorn.conf.py "app:create_server()"`."""

import sys
from pathlib import Path

from dashboard.settings import Settings

_settings = Settings()

bind = f"[{_settings.host}]:{_settings.port}" if ":" in _settings.host else f"{_settings.host}:{_settings.port}"
workers = _settings.workers
threads = _settings.threads
worker_class = "gthread"
preload_app = "--reload" not in sys.argv  # because what the parent has loaded cannot be loaded anew
timeout = 60
graceful_timeout = 5
keepalive = 5
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else str(_settings.folder("run"))
accesslog = None
errorlog = "-"
loglevel = _settings.log_level
