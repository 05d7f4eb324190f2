"""Port, default store and address as the supervisor sees them."""

import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dashboard.preflight import (
    CannotStart,
    address,
    answers,
    check_port,
    check_store,
    setting_problems,
    store_counts,
    store_ready,
)
from dashboard.settings import Settings
from tests.conftest import free_port


def _settings(data: Path, **values: Any) -> Settings:
    return Settings(data_dir=data, **values)


def test_store_counts_tell_absent_unfinished_and_filled_stores(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    assert store_counts(settings) == (0, 0)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as store:
        assert store_counts(settings) == (0, 0)
        store.execute("CREATE TABLE experiments (id)")
        store.execute("CREATE TABLE runs (id)")
        assert not store_ready(settings)
        store.execute("INSERT INTO experiments VALUES (0)")
        store.execute("INSERT INTO runs VALUES (1), (2)")
        store.commit()
    assert store_counts(settings) == (1, 2)
    assert store_ready(settings)


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(CannotStart, match=f"127.0.0.1:{port} is already in use"):
            check_port(_settings(tmp_path, port=port))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("::", "http://[::1]:80"),
    ],
)
def test_the_address_can_be_opened(tmp_path: Path, host: str, expected: str) -> None:
    assert address(_settings(tmp_path, host=host, port=80)) == expected


def test_a_free_port_passes_and_nobody_answers_there(tmp_path: Path) -> None:
    settings = _settings(tmp_path, port=free_port())
    check_port(settings)
    assert not answers(settings)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"port": "abc"}, "VITRINE_PORT=abc: accepted is a whole number from 1 to 65535."),
        ({"port": 70000}, "VITRINE_PORT=70000: accepted is a whole number from 1 to 65535."),
        ({"min_rows": 0}, "VITRINE_MIN_ROWS=0: accepted is a whole number from 1 up."),
        ({"engine_timeout": "soon"}, "VITRINE_ENGINE_TIMEOUT=soon: accepted is a number above 0."),
        ({"access_log": "perhaps"}, "VITRINE_ACCESS_LOG=perhaps: accepted is true or false."),
        ({"auth": "maybe"}, "VITRINE_AUTH=maybe: accepted is '', 'none', 'proxy', 'basic' or 'oidc'."),
        ({"url_prefix": "a b"}, "VITRINE_URL_PREFIX=a b: a prefix is a path of letters"),
    ],
)
def test_a_setting_that_cannot_be_read_is_told_in_plain_words(
    tmp_path: Path, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValidationError) as raised:
        _settings(tmp_path, **values)
    (told,) = setting_problems(raised.value)
    assert told.startswith(sentence)


def test_a_store_that_mlflow_cannot_open_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=r"MLflow knows no store foo://.*sqlite:///file\.db"):
        check_store(_settings(tmp_path, tracking_uri="foo://x"))
    for uri in ("http://127.0.0.1:5000", "postgresql+psycopg://user@host/name", "./mlruns", ""):
        check_store(_settings(tmp_path, tracking_uri=uri))
