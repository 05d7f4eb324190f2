"""The access log's lines are JSON whatever a client sends, and hold no query."""

import json
from datetime import timedelta
from types import SimpleNamespace

from dashboard.access_log import line


def test_a_line_is_one_json_object_without_the_query() -> None:
    environ = {
        "REMOTE_ADDR": "10.0.0.7",
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "/vitrine",
        "PATH_INFO": '/a"b\\c\n\x1b[31m\u202e',
        "QUERY_STRING": "token=secret",
    }
    text = line(SimpleNamespace(status="404 NOT FOUND", sent=12), environ, timedelta(milliseconds=12.34))
    assert "\n" not in text and "\x1b" not in text and "secret" not in text
    told = json.loads(text)
    assert told.pop("time").endswith("Z")
    assert told == {
        "client": "10.0.0.7",
        "method": "GET",
        "path": '/vitrine/a"b\\c\n\x1b[31m\u202e',
        "status": 404,
        "bytes": 12,
        "ms": 12.3,
    }
