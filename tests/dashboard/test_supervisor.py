"""The supervisor over small real processes, its checks before the start, and one start of the whole product."""

import itertools
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dashboard.settings import Settings
from dashboard.supervisor import clear_predecessor, unfinished, wants_demo
from tests.conftest import CHECKOUT, Product, alive, answer, free_port, left_over, start_product, wait_for

pytestmark = pytest.mark.process

SLEEP = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
FAMILY = (
    "import subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
    "time.sleep(600)"
)
POLITE = (
    "import signal, sys, time\n"
    "def leave(*_):\n    time.sleep(0.5); print('left politely', flush=True); sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, leave)\nprint('ready', flush=True)\ntime.sleep(600)"
)


class Fake:
    """A supervisor over given parts, started in a session of its own."""

    def __init__(self, data: Path, parts: list[tuple[Any, ...]], shell: bool = False) -> None:
        self.data = data
        text = json.dumps([[*part, *(False, False)][:4] for part in parts])
        command = [sys.executable, "-m", "tests.dashboard.fake_supervisor", text]
        with (data / "terminal").open("ab") as out:
            self.process = subprocess.Popen(
                command,
                cwd=CHECKOUT,
                env={**os.environ, "VITRINE_DATA_DIR": str(data), "VITRINE_PORT": str(free_port())},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    @property
    def terminal(self) -> str:
        return (self.data / "terminal").read_text()

    def part(self, name: str) -> dict[str, Any]:
        path = self.data / "run" / "supervisor.json"
        wait_for(path.exists, 10)
        return json.loads(path.read_text())["parts"][name]

    def pid(self, name: str) -> int:
        wait_for(lambda: self.part(name)["pid"] is not None, 10)
        return int(self.part(name)["pid"])

    def log(self, name: str) -> str:
        path = self.data / "logs" / f"{name}.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Callable[..., Fake]]:
    started: list[Fake] = []

    def start(*parts: tuple[Any, ...]) -> Fake:
        started.append(Fake(tmp_path, list(parts)))
        return started[-1]

    yield start
    for supervisor in started:
        supervisor.process.kill()
        supervisor.process.wait()
    wait_for(lambda: left_over(tmp_path) == [], 5)


def test_a_killed_part_is_back_and_counted(fake: Callable[..., Fake]) -> None:
    supervisor = fake(("a", SLEEP), ("b", SLEEP))
    first, other = supervisor.pid("a"), supervisor.pid("b")
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: supervisor.part("a")["pid"] not in (first, None), 3)
    assert supervisor.part("a")["restarts"] == 1
    assert supervisor.part("a")["last_exit"] == -signal.SIGKILL
    assert supervisor.part("b") | {"restarts": 0} == supervisor.part("b")
    assert supervisor.pid("b") == other


def test_a_part_that_ends_with_zero_is_started_again_ever_more_slowly(fake: Callable[..., Fake]) -> None:
    supervisor = fake(("brief", "import time; print(time.time(), flush=True)"))
    wait_for(lambda: supervisor.log("brief").count("\n") >= 4, 15)
    times = [float(line) for line in supervisor.log("brief").split()[:4]]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps[0] >= 0.25 and gaps[1] >= 0.5 and gaps[2] >= 1.0


def test_a_part_that_fails_at_once_shows_its_last_words(fake: Callable[..., Fake]) -> None:
    supervisor = fake(("broken", "raise SystemExit('no such device: cuda:7')"))
    wait_for(lambda: "no such device: cuda:7" in supervisor.terminal, 10)
    assert "broken ended (status 1), again in 0." in supervisor.terminal


def test_error_lines_reach_the_terminal_and_others_only_the_log(fake: Callable[..., Fake]) -> None:
    code = "import time; print('INFO fine'); print('ERROR the store is gone', flush=True); time.sleep(600)"
    supervisor = fake(("loud", code))
    wait_for(lambda: "loud: ERROR the store is gone" in supervisor.terminal, 10)
    assert "INFO fine" in supervisor.log("loud") and "INFO fine" not in supervisor.terminal


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_signal_lets_parts_leave_and_the_supervisor_last(fake: Callable[..., Fake], number: int) -> None:
    supervisor = fake(("polite", POLITE), ("family", FAMILY))
    wait_for(lambda: "ready" in supervisor.log("polite"), 10)
    supervisor.process.send_signal(number)
    supervisor.process.send_signal(number)
    assert supervisor.process.wait(15) == 0
    assert "left politely" in supervisor.log("polite")
    assert left_over(supervisor.data) == []


def test_a_deaf_part_is_killed_within_the_grace(fake: Callable[..., Fake]) -> None:
    supervisor = fake(("deaf", DEAF))
    supervisor.pid("deaf")
    time.sleep(0.3)
    begin = time.monotonic()
    supervisor.process.terminate()
    assert supervisor.process.wait(15) == 0
    assert time.monotonic() - begin < 4
    assert left_over(supervisor.data) == []


def test_signal_to_the_whole_group_as_from_a_terminal_or_make(fake: Callable[..., Fake]) -> None:
    supervisor = fake(("polite", POLITE))
    wait_for(lambda: "ready" in supervisor.log("polite"), 10)
    os.killpg(supervisor.process.pid, signal.SIGINT)
    time.sleep(0.1)
    os.killpg(supervisor.process.pid, signal.SIGTERM)
    assert supervisor.process.wait(15) == 0
    assert "left politely" in supervisor.log("polite")


def test_what_a_dead_part_left_in_other_sessions_ends_before_its_restart(fake: Callable[..., Fake]) -> None:
    supervisor = fake(("family", FAMILY))
    leader = supervisor.pid("family")
    wait_for(lambda: len(left_over(supervisor.data)) == 4, 10)
    os.kill(leader, signal.SIGKILL)
    wait_for(lambda: supervisor.part("family")["restarts"] == 1, 5)
    wait_for(lambda: len(left_over(supervisor.data)) == 4, 5)


def test_a_killed_supervisor_leaves_nothing_behind(fake: Callable[..., Fake]) -> None:
    supervisor = fake(("polite", SLEEP), ("deaf", DEAF), ("family", FAMILY))
    wait_for(lambda: len(left_over(supervisor.data)) == 6, 10)
    polite = supervisor.pid("polite")
    supervisor.process.kill()
    supervisor.process.wait()
    wait_for(lambda: not alive(polite), 1)
    wait_for(lambda: left_over(supervisor.data) == [], 5)


def test_the_next_supervisor_clears_what_a_killed_one_and_its_watcher_left(fake: Callable[..., Fake]) -> None:
    supervisor = fake(("deaf", DEAF), ("family", FAMILY))
    wait_for(lambda: len(left_over(supervisor.data)) == 5, 10)
    deaf, state = supervisor.pid("deaf"), supervisor.data / "run" / "supervisor.json"
    time.sleep(0.3)
    os.kill(json.loads(state.read_text())["watcher"], signal.SIGKILL)
    supervisor.process.kill()
    supervisor.process.wait()
    wait_for(lambda: len(left_over(supervisor.data)) == 2, 5)
    assert alive(deaf)
    assert clear_predecessor(state) == 2
    assert left_over(supervisor.data) == []


def test_a_stranger_with_a_recorded_pid_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", SLEEP])
    state = tmp_path / "supervisor.json"
    state.write_text(json.dumps({"mark": "0" * 32, "parts": {"web": {"pid": stranger.pid}}}))
    assert clear_predecessor(state) == 0
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_parts_after_the_store_wait_for_it_or_for_the_end_of_publishing(fake: Callable[..., Fake]) -> None:
    supervisor = fake(("publish", "import time; time.sleep(2)", True, False), ("late", SLEEP, False, True))
    publisher = supervisor.pid("publish")
    assert supervisor.part("late")["starts"] == 0
    late = supervisor.pid("late")
    assert not alive(publisher) and alive(late)
    assert not (supervisor.data / "run" / "publish.unfinished").exists()
    time.sleep(0.5)
    assert supervisor.part("publish")["starts"] == 1


def test_an_interrupted_publication_is_remembered(fake: Callable[..., Fake]) -> None:
    supervisor = fake(("publish", SLEEP, True))
    supervisor.pid("publish")
    supervisor.process.terminate()
    assert supervisor.process.wait(15) == 0
    assert (supervisor.data / "run" / "publish.unfinished").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"VITRINE_PORT": "many"}, "VITRINE_PORT.*many"),
        ({"VITRINE_HOST": "no.such.host.invalid", "VITRINE_AUTH": "none"}, "no.such.host.invalid.*cannot be used"),
        ({"VITRINE_DATA_DIR": "/proc/nowhere"}, "/proc/nowhere.*cannot be written"),
    ],
)
def test_wrong_settings_get_a_sentence(tmp_path: Path, values: dict[str, str], message: str) -> None:
    env = {**os.environ, "VITRINE_DATA_DIR": str(tmp_path), **values}
    done = subprocess.run(
        [sys.executable, "-m", "dashboard.supervisor"],
        cwd=CHECKOUT,
        env=env,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.search(message, done.stderr)


def test_the_demo_is_for_our_own_empty_or_half_filled_store_only(tmp_path: Path) -> None:
    ours = Settings(data_dir=tmp_path, tracking_uri="")
    assert wants_demo(ours)
    assert not wants_demo(Settings(data_dir=tmp_path, tracking_uri="http://mlflow.example"))
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as store:
        store.executescript("CREATE TABLE experiments (id); CREATE TABLE runs (id); INSERT INTO runs VALUES (1);")
    assert not wants_demo(ours)
    unfinished(ours, "demo").touch()
    assert wants_demo(ours)


def test_a_taken_port_ends_it_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        process = start_product(tmp_path / "data", holder.getsockname()[1])
        assert process.wait(20) == 1
    assert "VITRINE_PORT" in (tmp_path / "data" / "terminal.log").read_text()
    assert not (tmp_path / "data" / "logs").exists()


def test_the_whole_product_starts_and_a_second_one_on_its_folder_does_not(product: Product) -> None:
    state = json.loads((product.data_dir / "run" / "supervisor.json").read_text())["parts"]
    assert {"web", "jobs", "engine", "backoffice", "demo"} == set(state)
    for name in ("web", "jobs"):
        assert len(list(Path(f"/proc/{state[name]['pid']}/task").iterdir())) == 1
        maps = Path(f"/proc/{state[name]['pid']}/maps").read_text()
        assert "libtorch" not in maps
    wait_for(lambda: "Vitrine is at " + product.base_url in (product.data_dir / "terminal.log").read_text(), 5)
    second = start_product(product.data_dir, free_port())
    assert second.wait(20) == 1
    assert f"Process {product.process.pid} already runs" in (product.data_dir / "terminal.log").read_text()
    assert answer(f"{product.base_url}/health") == 200
