"""The conformance of test_jobs with Celery and a real Redis, and what only happens there: lost workers, no worker."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import pytest

from dashboard.cache import ResultCache
from dashboard.errors import TooMany
from dashboard.jobs import background_manager
from dashboard.limits import Limits
from dashboard.settings import Settings
from tests.conftest import alive, free_port, wait_for
from tests.dashboard import test_jobs
from tests.dashboard.jobs_driver import Page, Product

celery_desk = pytest.importorskip("dashboard.celery_desk", reason="celery and redis are not installed")
pytestmark = pytest.mark.process
BROKER = os.environ.get("VITRINE_TEST_REDIS", "redis://127.0.0.1:6379/13")


test_a_new_click_replaces_the_job = test_jobs.test_a_new_click_replaces_the_job_of_the_same_page
test_a_result_can_be_read_again = test_jobs.test_a_result_can_be_read_again_when_the_answer_was_lost
test_all_side_updates_arrive = test_jobs.test_all_side_updates_arrive
test_another_page_cannot_read_a_result = test_jobs.test_another_page_cannot_read_a_result
test_cancel_ends_the_job_and_what_it_started = test_jobs.test_cancel_ends_the_job_and_what_it_started
test_cancel_kills_a_job_that_does_not_listen = test_jobs.test_cancel_kills_a_job_that_does_not_listen
test_equal_requests_lose_nothing = test_jobs.test_equal_requests_of_many_pages_lose_nothing
test_every_failure_reaches_on_error = test_jobs.test_every_failure_reaches_on_error
test_prevent_update_is_no_error = test_jobs.test_prevent_update_is_no_error
test_progress_arrives_in_order = test_jobs.test_progress_arrives_in_order


@pytest.fixture(scope="module")
def store() -> Iterator[Any]:
    import redis

    found = redis.Redis.from_url(BROKER, decode_responses=True, socket_connect_timeout=2)
    try:
        found.flushdb()
    except redis.RedisError:
        pytest.skip(f"no Redis answers at {BROKER}; name one with VITRINE_TEST_REDIS")
    yield found
    found.flushdb()
    found.close()


@pytest.fixture(scope="module")
def product(store: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    running = Product(tmp_path_factory.mktemp("celery"), free_port(), broker=BROKER)
    try:
        running.start_celery(lambda: bool(store.exists("vitrine/worker")))
        running.start_web()
        yield running
    finally:
        running.stop()


@pytest.fixture
def page(product: Product) -> Page:
    return Page(product)


def test_jobs_beyond_the_limit_wait_and_say_so_here_too(product: Product, tmp_path: Path) -> None:
    busy = [Page(product).begin(f"family {tmp_path / name}") for name in ("a", "b")]
    for name in ("a", "b"):
        test_jobs._pids(tmp_path / name)
    waiting = Page(product).begin("add 1")
    wait_for(lambda: bool(waiting.poll()) and bool(waiting.sides), 20)
    assert waiting.sides[0] == {"queue": {"children": "Waiting, 1 before this one"}}
    for job in busy:
        job.cancel()
    assert waiting.result()["sum"] == 2
    assert waiting.sides[-1] == {"queue": {"children": ""}}


def test_the_worker_imports_nothing_heavy(page: Page, product: Product) -> None:
    page.result("add 1")
    maps = Path(f"/proc/{product.server.pid}/maps").read_text()
    assert "libtorch" not in maps and "mlflow" not in maps


def test_a_job_whose_worker_is_killed_ends_with_a_message_and_leaves_nothing(
    page: Page, product: Product, store: Any, tmp_path: Path
) -> None:
    running = page.begin(f"stubborn {tmp_path / 'pid'}")
    [pid] = test_jobs._pids(tmp_path / "pid")
    children = Path(f"/proc/{product.server.pid}/task/{product.server.pid}/children").read_text().split()
    for victim in (product.server.pid, *map(int, children)):
        os.kill(victim, signal.SIGKILL)
    product.server.wait()
    hopeless = Page(product).begin("add 1")
    assert "the worker that ran it has stopped" in running.result(60)
    wait_for(lambda: not alive(pid), 20)
    assert "no Celery worker was there" in hopeless.result(60)
    product.start_celery(lambda: bool(store.exists("vitrine/worker")))
    assert page.result("add 1", 60)["sum"] == 2


def test_a_redis_that_is_away_is_an_error_of_its_own(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, jobs="celery", celery_broker=f"redis://127.0.0.1:{free_port()}/0")
    manager = background_manager(settings)
    with pytest.raises(Exception, match="Redis that keeps background work does not answer"):
        manager.join("kind", "job", [], lambda: False)


def test_machines_count_a_client_together(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 120.0 * 10**7)
    with flask.Flask("x").test_request_context():
        machines = [
            Limits(
                Settings(data_dir=tmp_path / name, auth="none", jobs="celery", celery_broker=broker, jobs_per_minute=1),
                ResultCache(tmp_path / name / "cache", 16),
            )
            for name, broker in (("one", BROKER), ("two", BROKER), ("cut off", "redis://127.0.0.1:1/0"))
        ]
        machines[0].spend("jobs")
        with pytest.raises(TooMany):
            machines[1].spend("jobs")
        machines[2].spend("jobs")  # its Redis is away: it counts for itself
        with pytest.raises(TooMany):
            machines[2].spend("jobs")
