"""Conformance of the background-callback manager: a real Dash application, gunicorn and job server over HTTP."""

import os
import re
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.errors import BadInput
from dashboard.jobs import (
    JobFailed,
    JobManager,
    JobState,
    JobStore,
    background_manager,
    job_folder,
    original_error,
)
from dashboard.settings import Settings
from tests.conftest import alive, free_port, wait_for
from tests.dashboard.jobs_app import offered
from tests.dashboard.jobs_driver import Page, Product, Running

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    running = Product(tmp_path_factory.mktemp("jobs"), free_port())
    running.start_server()
    running.start_web()
    yield running
    running.stop()


@pytest.fixture
def page(product: Product) -> Page:
    return Page(product)


def _pids(path: Path) -> list[int]:
    wait_for(lambda: path.exists() and path.read_text() != "", 5)
    return [int(pid) for pid in path.read_text().split()]


def test_result_reaches_the_page_from_a_process_of_its_own(page: Page, product: Product) -> None:
    first, second = page.result("add 41"), page.result("add 41")
    assert first["sum"] == second["sum"] == 42
    assert len({first["pid"], second["pid"], product.web.pid, product.server.pid}) == 4


def test_a_job_starts_quickly(page: Page) -> None:
    begin = time.monotonic()
    running = page.begin("slow 2")
    wait_for(lambda: bool(running.poll()) and bool(running.progress), 0.5)
    assert time.monotonic() - begin < 0.5
    running.cancel()


def test_equal_requests_of_many_pages_lose_nothing(product: Product) -> None:
    results: list[Any] = []

    def ask() -> None:
        own = Page(product)
        results.extend(own.result("add 1")["sum"] for _ in range(6))

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [2] * 30


def test_progress_arrives_in_order(page: Page) -> None:
    running = page.begin("slow 1")
    assert running.result() == "slow done"
    assert len(running.progress) >= 3
    assert running.progress == sorted(running.progress, key=lambda text: int(text[:-1]))


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("bad x7", "BadInput: x7: not a number"),
        ("raise this", "cannot use this"),
        ("object", "result cannot be sent to the page"),
        ("die", "SIGKILL"),
        ("exit", "ended with status 3"),
    ],
)
def test_every_failure_reaches_on_error(page: Page, what: str, expected: str) -> None:
    assert expected in page.result(what)


def test_prevent_update_is_no_error(page: Page) -> None:
    assert page.result("nothing") is None


def test_all_side_updates_arrive(page: Page) -> None:
    running = page.begin("side")
    assert running.result() == "side done"
    merged = {key: value for side in running.sides for key, value in side.items()}
    assert merged == {"side": {"children": "one"}, "queue": {"title": "two"}}


def test_a_result_can_be_read_again_when_the_answer_was_lost(page: Page) -> None:
    running = page.begin("add 5")
    assert running.result()["sum"] == running.result()["sum"] == 6


def test_another_page_cannot_read_a_result(page: Page, product: Product) -> None:
    running = page.begin("add 5")
    stolen = Running(Page(product), "add 5", running.key, running.job)
    assert stolen.poll()[0] == 204
    assert running.result()["sum"] == 6


def test_cancel_ends_the_job_and_what_it_started(page: Page, tmp_path: Path) -> None:
    running = page.begin(f"family {tmp_path / 'pids'}")
    pids = _pids(tmp_path / "pids")
    running.cancel()
    wait_for(lambda: not any(alive(pid) for pid in pids), 2)
    assert running.result() is None


def test_cancel_lets_a_job_release_what_it_holds(page: Page, tmp_path: Path) -> None:
    note = tmp_path / "note"
    running = page.begin(f"tidy {note}")
    wait_for(note.exists, 5)
    running.cancel()
    wait_for(lambda: note.read_text() == "let go", 1)


def test_cancel_kills_a_job_that_does_not_listen(page: Page, tmp_path: Path) -> None:
    running = page.begin(f"stubborn {tmp_path / 'pid'}")
    [pid] = _pids(tmp_path / "pid")
    running.cancel()
    wait_for(lambda: not alive(pid), 3)


def test_a_new_click_replaces_the_job_of_the_same_page(page: Page, tmp_path: Path) -> None:
    old = page.begin(f"stubborn {tmp_path / 'pid'}")
    [pid] = _pids(tmp_path / "pid")
    page.post("add 1", clicks=2, oldJob=[old.job])
    wait_for(lambda: not alive(pid), 3)


def test_jobs_beyond_the_limit_wait_and_say_so(product: Product) -> None:
    pages = [Page(product) for _ in range(3)]
    jobs = [page.begin("slow 1.5") for page in pages]
    wait_for(lambda: bool(jobs[2].poll()) and bool(jobs[2].sides), 3)
    assert jobs[2].sides[0] == {"queue": {"children": "Waiting, 1 before this one"}}
    assert [job.result() for job in jobs] == ["slow done"] * 3
    assert {"queue": {"children": ""}} in jobs[2].sides


def test_folder_and_socket_are_private(page: Page, product: Product) -> None:
    page.result("add 1")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (product.data / "jobs", product.socket)]
    assert modes == [0o700, 0o600]


def test_the_job_server_has_one_thread_and_no_heavy_library(product: Product) -> None:
    assert len(list(Path(f"/proc/{product.server.pid}/task").iterdir())) == 1
    maps = Path(f"/proc/{product.server.pid}/maps").read_text()
    assert not re.search(r"libtorch|libcuda|libcudart", maps)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Callable[..., Product]]:
    started: list[Product] = []

    def start(data: Path = tmp_path, **options: Any) -> Product:
        product = Product(data, free_port(), **options)
        started.append(product)
        product.start_server()
        product.start_web()
        return product

    yield start
    for product in started:
        product.stop()


def test_a_job_ends_at_its_timeout_also_below_a_long_path(own: Callable[..., Product], tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 20) / ("longer" * 20)
    deep.mkdir(parents=True)
    product = own(deep, timeout=1.0, limit=1)
    begin = time.monotonic()
    assert "stopped after 1 s" in Page(product).result("slow 30")
    assert time.monotonic() - begin < 4


def test_killed_servers_lose_no_page_silently(own: Callable[..., Product], tmp_path: Path) -> None:
    product = own()
    page = Page(product)
    running = page.begin(f"stubborn {tmp_path / 'pid'}")
    [pid] = _pids(tmp_path / "pid")
    product.server.kill()
    product.server.wait()
    assert "JobFailed" in running.result()
    wait_for(lambda: not alive(pid), 2)
    assert "does not answer" in page.result("add 1")
    product.start_server()
    assert page.result("add 1")["sum"] == 2
    _kill_web(product, page)


def _kill_web(product: Product, page: Page) -> None:
    """After kill -9 of gunicorn a running job goes on, and does not hold the port."""
    running = page.begin("slow 3")
    time.sleep(0.3)
    children = Path(f"/proc/{product.web.pid}/task/{product.web.pid}/children").read_text().split()
    for pid in (product.web.pid, *map(int, children)):
        os.kill(pid, signal.SIGKILL)
    product.web.wait()
    product.start_web()
    assert running.result() == "slow done"


def test_a_killed_web_worker_is_replaced_and_no_job_is_lost(page: Page, product: Product, tmp_path: Path) -> None:
    result = tmp_path / "note"
    running = page.begin(f"tidy {result}")
    wait_for(result.exists, 20)
    workers = Path(f"/proc/{product.web.pid}/task/{product.web.pid}/children").read_text().split()
    os.kill(int(workers[0]), signal.SIGKILL)
    wait_for(lambda: not alive(int(workers[0])) and product.get("/health") == b"OK", 20)
    assert running.job and result.read_text() == "working"
    running.cancel()
    wait_for(lambda: result.read_text() == "let go", 20)
    assert page.result("add 1")["sum"] == 2


def test_stopping_the_server_stops_its_jobs(own: Callable[..., Product], tmp_path: Path) -> None:
    product = own()
    Page(product).begin(f"family {tmp_path / 'pids'}")
    pids = _pids(tmp_path / "pids")
    product.server.terminate()
    assert product.server.wait(5) == 0
    wait_for(lambda: not any(alive(pid) for pid in pids), 2)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    running = Product(tmp_path_factory.mktemp("stock"), free_port(), stock=True)
    running.start_web()
    yield running
    running.stop()


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("add 41", "'sum': 42"),
        ("slow 0.5", "slow done"),
        ("raise this", "cannot use this"),
        ("bad x7", "BackgroundCallbackError"),  # ours: the BadInput itself
        ("object", "None"),  # ours: an error; here the page hears nothing
        ("die", "None"),
        ("exit", "None"),
    ],
)
def test_how_the_stock_manager_differs(stock: Product, what: str, expected: str) -> None:
    # three tries, because a job that ends between the two questions of one poll is lost here (not ours)
    assert any(expected in str(Page(stock).result(what)) for _ in range(3))


def test_the_stock_manager_serves_the_result_of_an_abandoned_job(stock: Product) -> None:
    def served() -> bool:
        Page(stock).begin("add 7")
        time.sleep(1)
        return "response" in Page(stock).begin("add 7").poll()[1]

    wait_for(served, 30)  # ours: a job of its own, see the equal requests above


def test_the_store_merges_side_updates_and_keeps_the_first_verdict(tmp_path: Path) -> None:
    store = JobStore(lambda: job_folder(tmp_path / "jobs"))
    store.set("a-set_props", {"x": {"one": 1}})
    store.set("a-set_props", {"x": {"two": 2}, "y": {"three": 3}})
    assert store.take("a-set_props", {}) == {"x": {"one": 1, "two": 2}, "y": {"three": 3}}
    assert store.take("a-set_props", {}) == {}
    store.set("b", "result")
    store.add("b", "cancelled")
    assert store.get("b", None) == "result"


def test_keys_are_never_shared(tmp_path: Path) -> None:
    manager = background_manager(Settings(data_dir=tmp_path))
    assert len({manager.build_cache_key(print, [1], [], None) for _ in range(50)}) == 50
    assert not (tmp_path / "jobs").exists()


def test_other_errors_are_left_as_they_are() -> None:
    error = ValueError("a: {b}")
    assert original_error(error) is error


@pytest.fixture
def offering(product: Product) -> JobManager:
    """What a web worker has: the door to the same job server, with the same jobs on offer."""
    manager = background_manager(Settings(data_dir=product.data))
    manager.offer("offered", offered)
    return manager


def test_a_job_without_a_page_is_joined_until_it_is_done(offering: JobManager, tmp_path: Path) -> None:
    result = tmp_path / "result"

    def join() -> JobState | None:
        return offering.join("offered", "job-1", ["work", str(result)], result.exists)

    first = join()
    assert first is not None and first.state in ("waiting", "running")
    wait_for(result.with_suffix(".begun").exists, 10)
    for _ in range(3):
        again = join()
        assert again is not None
        assert (again.state, again.progress, again.doing) == ("running", 0.5, "halfway")
    result.with_suffix(".go").touch()
    wait_for(lambda: join() is None, 10)


@pytest.mark.parametrize(
    ("what", "kind", "sentence"), [("die", JobFailed, "SIGKILL"), ("refuse", BadInput, "this cannot be used")]
)
def test_a_failed_job_is_told_once_and_begins_anew(
    offering: JobManager, tmp_path: Path, what: str, kind: type[Exception], sentence: str
) -> None:
    def fails() -> bool:
        try:
            assert offering.join("offered", f"job-{what}", [what, str(tmp_path / "x")], lambda: False) is not None
        except kind as error:
            assert sentence in str(error)
            return True
        return False

    for _ in range(2):
        assert not fails()
        wait_for(fails, 10)
