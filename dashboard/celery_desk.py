"""VITRINE_JOBS=celery: background jobs handed to Celery workers, with results and their state in one Redis.

Celery only carries the jobs. Whether one waits, runs or is lost is read from keys of our own, because Celery would
let a page poll for a lost task for ever: a running job is alive while its worker renews `alive/<id>`, a waiting one
has hope while any worker renews `worker`. Celery and redis are optional: see requirements-celery.txt.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import celery
import redis

from dashboard.jobs import JobFailed
from dashboard.settings import Settings

QUEUE = "vitrine"
TASK = "vitrine.job"
ALIVE = 5  # seconds without a sign of life after which a running job is lost
HOPE = 10  # seconds without any worker after which a waiting job is given up
MAX_WAITING = 200
_REMEMBERED = 3600
_LOST = "the worker that ran it has stopped; please start it again"
_NO_WORKER = f"no Celery worker was there for {HOPE} s; one starts with `celery -A dashboard.celery_worker worker`"


def connection(settings: Settings) -> Any:
    """A client that answers or fails within seconds; it connects on first use."""
    return redis.Redis.from_url(
        settings.celery_broker, decode_responses=True, socket_timeout=3, socket_connect_timeout=3
    )


def application(settings: Settings) -> celery.Celery:
    """Celery as web workers and Celery workers both know it; opens nothing."""
    app = celery.Celery("vitrine", broker=settings.celery_broker, set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        worker_concurrency=settings.job_limit,
        worker_prefetch_multiplier=1,
        worker_soft_shutdown_timeout=5.0,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"visibility_timeout": 60, "socket_timeout": 3, "socket_connect_timeout": 3},
        task_publish_retry=False,
    )
    return app


@contextmanager
def answering() -> Iterator[None]:
    """Turn Redis' and Celery's errors into the one that pages show."""
    try:
        yield
    except (redis.RedisError, celery.exceptions.OperationalError, OSError) as exc:
        raise JobFailed(f"The Redis that keeps background work does not answer ({type(exc).__name__}).") from exc


class RedisShelf:
    """The few operations of a diskcache that a job store needs, on Redis."""

    def __init__(self, settings: Settings) -> None:
        self._redis = connection(settings)

    def get(self, key: str, default: str | None = None) -> str | None:
        with answering():
            found = self._redis.get(_value(key))
        return default if found is None else str(found)

    def set(self, key: str, text: str, expire: float) -> None:
        with answering():
            self._redis.set(_value(key), text, px=int(expire * 1000))

    def add(self, key: str, text: str, expire: float) -> None:
        with answering():
            self._redis.set(_value(key), text, px=int(expire * 1000), nx=True)

    def touch(self, key: str, expire: float) -> None:
        with answering():
            self._redis.pexpire(_value(key), int(expire * 1000))

    def pop(self, key: str) -> str | None:
        with answering():
            found = self._redis.getdel(_value(key))
        return None if found is None else str(found)

    def delete(self, key: str) -> None:
        with answering():
            self._redis.delete(_value(key))

    @contextmanager
    def transact(self) -> Iterator[None]:
        """A lock shared by all machines; given up by itself when its holder dies."""
        with answering(), self._redis.lock("vitrine/lock", timeout=5, blocking_timeout=5):
            yield


class RedisCounts:
    """Counts that all machines share."""

    def __init__(self, settings: Settings) -> None:
        self._redis = connection(settings)

    def count(self, key: str, seconds: int) -> int:
        """How often this was called for the key in the current window of so many seconds, on all machines."""
        slot = f"vitrine/limit/{key}/{int(time.time()) // seconds}"
        with answering(), self._redis.pipeline() as steps:
            steps.incr(slot)
            steps.expire(slot, seconds)
            return int(steps.execute()[0])


class CeleryDesk:
    """Where web workers hand in jobs and ask about them."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._redis, self._celery = settings, connection(settings), application(settings)

    def submit(self, job: str, kind: str, body: str) -> dict[str, Any]:
        """Queue a job; `state` is waiting, or refused with the reason."""
        with answering():
            if self._redis.llen("vitrine/waiting") >= MAX_WAITING:
                return {"state": "refused", "reason": f"{MAX_WAITING} jobs are already waiting"}
            with self._redis.pipeline() as steps:
                steps.rpush("vitrine/waiting", job)
                steps.set(f"vitrine/since/{job}", time.time(), ex=_REMEMBERED)
                steps.delete(f"vitrine/ended/{job}", f"vitrine/cancel/{job}")
                steps.execute()
            self._celery.send_task(TASK, [job, body])
        return self.ask("status", job)

    def ask(self, op: str, job: str) -> dict[str, Any]:
        """What `op` (status, cancel, load) answers, in the words of the job server."""
        with answering():
            if op == "load":
                return {"state": "load", "running": self._running(), "waiting": self._redis.llen("vitrine/waiting")}
            if op == "cancel":
                self._cancel(job)
            return self._status(job)

    def _status(self, job: str) -> dict[str, Any]:
        with self._redis.pipeline() as steps:
            steps.exists(f"vitrine/alive/{job}")
            steps.lpos("vitrine/waiting", job)
            steps.get(f"vitrine/ended/{job}")
            steps.exists("vitrine/worker")
            steps.get(f"vitrine/since/{job}")
            alive, place, reason, worker, since = steps.execute()
        if alive:
            return {"state": "running"}
        if place is None:
            return {"state": "ended", "reason": reason or _LOST}
        if not worker and time.time() - float(since or 0) > HOPE:
            self._redis.lrem("vitrine/waiting", 0, job)
            return {"state": "ended", "reason": _NO_WORKER}
        if self._running() < self._settings.job_limit:
            return {"state": "waiting", "ahead": 0}
        self._redis.set(f"vitrine/told/{job}", 1, ex=_REMEMBERED)
        if self._redis.lpos("vitrine/waiting", job) is None:  # it began meanwhile, and took nobody for told
            return {"state": "running"}
        return {"state": "waiting", "ahead": place + 1}

    def _cancel(self, job: str) -> None:
        if self._redis.lrem("vitrine/waiting", 0, job):
            self._redis.set(f"vitrine/ended/{job}", "it was cancelled", ex=_REMEMBERED)
        else:
            self._redis.set(f"vitrine/cancel/{job}", 1, ex=_REMEMBERED)

    def _running(self) -> int:
        """Jobs that give signs of life; those that died without a word are forgotten here."""
        jobs = list(self._redis.smembers("vitrine/running"))
        dead = [job for job in jobs if not self._redis.exists(f"vitrine/alive/{job}")]
        if dead:
            self._redis.srem("vitrine/running", *dead)
        return len(jobs) - len(dead)


class Board:
    """Where a Celery worker says what becomes of its job."""

    def __init__(self, settings: Settings, job: str) -> None:
        self._redis, self._job = connection(settings), job

    def begin(self) -> bool:
        """Take the job; False when it was cancelled, or another worker has taken it (Redis may deliver it twice)."""
        with self._redis.pipeline() as steps:
            steps.lrem("vitrine/waiting", 0, self._job)
            steps.set(f"vitrine/alive/{self._job}", 1, ex=ALIVE)
            steps.sadd("vitrine/running", self._job)
            taken = steps.execute()[0]
        if not taken:
            self._redis.delete(f"vitrine/alive/{self._job}")
        return bool(taken)

    def told(self) -> bool:
        """Whether its page was told to wait."""
        return bool(self._redis.getdel(f"vitrine/told/{self._job}"))

    def beat(self) -> bool:
        """Say that the job lives; whether it is to be cancelled."""
        with self._redis.pipeline() as steps:
            steps.set(f"vitrine/alive/{self._job}", 1, ex=ALIVE)
            steps.exists(f"vitrine/cancel/{self._job}")
            return bool(steps.execute()[1])

    def end(self, reason: str) -> None:
        """Say how it ended."""
        with self._redis.pipeline() as steps:
            steps.set(f"vitrine/ended/{self._job}", reason, ex=_REMEMBERED)
            steps.srem("vitrine/running", self._job)
            steps.delete(f"vitrine/alive/{self._job}", f"vitrine/cancel/{self._job}", f"vitrine/since/{self._job}")
            steps.execute()


def worker_lives(settings: Settings) -> None:
    """Say that there is a worker that takes jobs."""
    connection(settings).set("vitrine/worker", 1, ex=HOPE)


def _value(key: str) -> str:
    return f"vitrine/value/{key}"
