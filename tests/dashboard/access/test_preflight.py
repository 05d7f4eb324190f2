"""What is refused before anything starts, by the functions and by the real commands."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dashboard.access.preflight import check_access, is_loopback
from dashboard.preflight import CannotStart
from dashboard.settings import Settings
from tests.conftest import CHECKOUT, free_port


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("[::1]", True), ("localhost", True)]
    + [(host, False) for host in ("0.0.0.0", "::", "", "192.0.2.7", "no-such-host.invalid")],
)
def test_loopback_is_told_from_the_rest(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"host": "0.0.0.0"}, "0.0.0.0 can be reached by others.*VITRINE_AUTH=proxy.*=basic.*=oidc.*VITRINE_AUTH=none"),
        ({"auth": "proxy"}, "VITRINE_AUTH=proxy needs VITRINE_AUTH_PROXIES"),
        ({"auth": "proxy", "auth_proxies": ("10.0.0.1/8",)}, "has host bits set"),
        ({"auth": "basic"}, "needs VITRINE_AUTH_PASSWORDS"),
        ({"auth": "basic", "auth_passwords": Path("/nowhere/users")}, "No such file"),
        ({"auth": "oidc", "oidc_url": "https://id.example"}, "needs VITRINE_OIDC_CLIENT and VITRINE_OIDC_SECRET"),
    ],
)
def test_what_is_incomplete_is_named(tmp_path: Path, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CannotStart, match=sentence):
        check_access(Settings(data_dir=tmp_path, **values))


def test_what_is_said_passes_and_bound_addresses_count(tmp_path: Path) -> None:
    check_access(Settings(data_dir=tmp_path, host="0.0.0.0", auth="none"))
    check_access(Settings(data_dir=tmp_path), "127.0.0.1", "::1")
    with pytest.raises(CannotStart, match=r"192\.0\.2\.7 can be reached"):
        check_access(Settings(data_dir=tmp_path), "192.0.2.7")


@pytest.mark.process
@pytest.mark.parametrize("command", [["dashboard.supervisor"], ["gunicorn"]])
def test_the_real_commands_refuse_before_anything_is_written(tmp_path: Path, command: list[str]) -> None:
    data, port = tmp_path / "data", free_port()
    own = {"VITRINE_DATA_DIR": str(data), "VITRINE_HOST": "0.0.0.0", "VITRINE_PORT": str(port)}
    clean = {key: value for key, value in os.environ.items() if not key.startswith("VITRINE_")}
    ended = subprocess.run(
        [sys.executable, "-m", *command], cwd=CHECKOUT, env=clean | own, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode != 0
    assert "0.0.0.0 can be reached by others, and nothing says who may enter." in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not data.exists()
