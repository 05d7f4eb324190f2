"""Saved slices survive restarts and are shared by processes, on SQLite and on PostgreSQL."""

import getpass
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.errors import BadInput, StateUnavailable
from dashboard.settings import Settings
from dashboard.state import RoleCorrection, SavedSlice, State
from tests.conftest import CHECKOUT, free_port, wait_for

SAVED = SavedSlice("flowers", "späte <Jahre>", "after 1990", "year > 1990", "ann", 1000.5)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of its own; skipped without the server's programs or the driver."""
    pytest.importorskip("psycopg", reason="the PostgreSQL driver is not installed")
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("no PostgreSQL server on this machine")
    user = _server_user()
    folder, port = Path(tempfile.mkdtemp(prefix="vitrine-pg-")), free_port()
    shutil.chown(folder, user)

    def run(*command: object) -> None:
        subprocess.run([str(word) for word in command], check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)

    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    try:
        run("initdb", "-D", folder / "db", "-A", "trust", "--no-sync")
        run("pg_ctl", "-D", folder / "db", "-o", options, "-w", "-l", folder / "log", "start")
        yield f"postgresql+psycopg://{user}@127.0.0.1:{port}/postgres"
        run("pg_ctl", "-D", folder / "db", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _server_user() -> str:
    """Who runs the server: it refuses root, so that another account is needed there."""
    if os.geteuid() != 0:
        return getpass.getuser()
    if "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres")
    return "postgres"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres"))
    return Settings(data_dir=tmp_path).state_url


def test_a_slice_is_kept_per_model_until_it_is_deleted(url: str) -> None:
    state = State(url)
    state.save_slice(SAVED)
    state.save_slice(replace(SAVED, name="early", created=999.0))
    state.save_slice(replace(SAVED, model="others"))
    assert [item.name for item in state.slices("flowers")] == ["early", SAVED.name]
    assert state.slices("flowers")[1] == SAVED
    with pytest.raises(BadInput, match="already has a saved slice 'early'"):
        state.save_slice(replace(SAVED, name=" early "))
    for _ in range(2):
        state.delete_slice("flowers", "early")
    assert state.slices("flowers") == (SAVED,)
    assert len(state.slices("others")) == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "  "}, "needs a name"),
        ({"name": "x" * 201}, "at most 200"),
        ({"description": "x" * 2001}, "at most 2,000"),
        ({"filter": "x" * 2001}, "at most 2,000"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, change: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        State(Settings(data_dir=tmp_path).state_url).save_slice(replace(SAVED, **change))


WRITER = """
import sys
from dashboard.state import RoleCorrection, SavedSlice, State
for i in range(20):
    State(sys.argv[1]).save_slice(SavedSlice("m", f"{sys.argv[2]}-{i}", "", "a = 1", "", float(i)))
"""


def test_processes_share_it_and_a_restart_finds_it(url: str) -> None:
    """Three processes begin at once on a database without a table, and each writes twenty slices."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, url, str(k)], cwd=CHECKOUT) for k in range(3)]
    wait_for(lambda: all(writer.poll() is not None for writer in writers), 30)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert len(State(url).slices("m")) == 60


def test_a_database_that_cannot_be_used_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this is no database, " * 100)
    for url in (Settings(data_dir=tmp_path).state_url, "sqlite:////nowhere/at/all.db", "nonsense+driver://x"):
        with pytest.raises(StateUnavailable, match="database of what people made cannot be used"):
            State(url).slices("m")


def test_the_setting_names_another_database(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).state_url == f"sqlite:///{tmp_path}/state.db"
    other = Settings(data_dir=tmp_path, state_database="postgresql+psycopg://db/vitrine")
    assert other.state_url == "postgresql+psycopg://db/vitrine"


def test_a_runs_correction_replaces_the_earlier_one_and_can_be_undone(tmp_path: Path) -> None:
    state = State(f"sqlite:///{tmp_path / 'state.db'}")
    assert state.correction("r1") is None
    first = RoleCorrection("r1", "", {"label": "truth", "time": None}, "ann", 1000.5)
    state.save_correction(first)
    assert state.correction("r1") == first
    assert first.description() == {"columns": {"label": "truth", "time": None}}
    second = replace(first, task="regression", columns={"label": "price"})
    state.save_correction(second)
    assert state.correction("r1") == second
    assert second.description()["task"] == "regression"
    assert state.correction("r2") is None
    state.forget_correction("r1")
    state.forget_correction("r1")
    assert state.correction("r1") is None
