"""gunicorn's access log as one JSON object per line; addresses without their query, which may hold a signed link."""

import json
import time
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger


class JsonLogger(Logger):  # type: ignore[misc]
    """Everything else is logged as gunicorn does it."""

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Write the line of one request."""
        if self.access_log_enabled:
            self.access_log.info("%s", line(resp, environ, request_time))


def line(resp: Any, environ: dict[str, Any], request_time: timedelta) -> str:
    """The line: time (UTC), client, method, path, status, bytes sent, milliseconds."""
    facts = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "client": environ.get("REMOTE_ADDR", ""),
        "method": environ.get("REQUEST_METHOD", ""),
        "path": f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}",
        "status": int(str(resp.status).split()[0]),
        "bytes": getattr(resp, "sent", 0) or 0,
        "ms": round(request_time.total_seconds() * 1000, 1),
    }
    return json.dumps(facts)
