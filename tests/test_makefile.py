"""The commands that a user types."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
COMMANDS = {"install", "run", "test", "bench", "check", "fmt", "demo", "dev", "clean"}

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def _make(*arguments: str) -> str:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout


def test_make_alone_lists_every_command() -> None:
    listed = {line.split()[1] for line in _make().splitlines()}
    assert listed == COMMANDS | {"help"}


def test_the_long_running_commands_replace_the_shell_so_that_signals_arrive() -> None:
    for command in ("run", "test", "demo", "dev"):
        assert _make("-n", command).splitlines()[-1].startswith("exec .venv/bin/python -m ")


def test_direct_dependencies_are_pinned_exactly() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = [line for line in (CHECKOUT / name).read_text().splitlines() if line and line[0] not in "#-"]
        assert all(re.fullmatch(r"[A-Za-z0-9_.-]+(\[[a-z]+\])?==[0-9][0-9.]*", line) for line in lines), lines
