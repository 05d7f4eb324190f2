"""The only door to the result cache: key rule, single flight, counters.

A key is (computation name, code version, digest or model id, frozen query). Values are anything picklable but
None. The folder is private to the server's user because diskcache stores pickles.
"""

import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

import diskcache

from dashboard.locks import alone, turn

T = TypeVar("T")

_FRESH = 3600.0

CACHE_ERRORS = (OSError, sqlite3.Error, diskcache.Timeout)


@dataclass(frozen=True)
class Cached(Generic[T]):
    """A value with where it came from; `age` is in seconds, 0 for a fresh one."""

    value: T
    hit: bool
    age: float


def cache_key(name: str, version: int, subject: str, query: object) -> str:
    """One text key from the computation's name, its code version, the data's digest and a frozen query's repr."""
    if not subject:
        raise ValueError(f"cache key of {name!r} needs the digest or id of what it is computed from")
    digest = hashlib.blake2b(repr(query).encode(), digest_size=16).hexdigest()
    return f"{name}/{version}/{subject}/{digest}"


class ResultCache:
    """A bounded diskcache folder shared by all processes; opened on first use, so after any fork.

    Reading writes nothing, because SQLite has one writer at a time: a value that is read is stored anew only when that
    was last done an hour ago, and the least recently stored ones make room.
    """

    def __init__(self, folder: Path, size_limit_mb: int) -> None:
        self._folder = folder
        self._size = size_limit_mb * 2**20

    @cached_property
    def _disk(self) -> diskcache.Cache:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        locks = self._folder / "locks"
        locks.mkdir(mode=0o700, exist_ok=True)
        with turn(locks / "open"):  # because SQLite tells those who meet the making of a database that it is locked
            return diskcache.Cache(str(self._folder), size_limit=self._size, eviction_policy="least-recently-stored")

    def peek(self, key: str) -> Cached[object] | None:
        """The stored value, or None on a miss; computes nothing."""
        found = self._disk.get(key)
        if found is None:
            return None
        made, value, *stored = found
        if time.time() - (stored[0] if stored else made) > _FRESH:
            self._refresh(key, made, value)
        return Cached(value, True, max(0.0, time.time() - made))

    def _refresh(self, key: str, made: float, value: object) -> None:
        now = time.time()
        with suppress(*CACHE_ERRORS):
            there, expires = self._disk.get(key, expire_time=True)
            if there is not None:
                self._disk.set(key, (made, value, now), expire=None if expires is None else expires - now)

    def store(self, key: str, value: object, expire: float | None = None) -> None:
        """Store a value; `expire` is in seconds."""
        self._disk.set(key, (time.time(), value), expire=expire)

    def compute(self, key: str, function: Callable[[], T], expire: float | None = None) -> Cached[T]:
        """The stored value, or the function's result; equal requests in any process run it once.

        Errors are not cached. Whoever waits for one that dies computes itself. A cache that cannot be used (a full
        disk) keeps nothing, and nobody is refused for it.
        """
        found = self._found(key)
        if found is None:
            with self._alone(key):
                found = self._found(key)
                if found is None:
                    value = function()
                    with suppress(*CACHE_ERRORS), self._writing(), self._disk.transact():
                        self.store(key, value, expire)
                        self._disk.incr("count/computed/" + key.split("/", 1)[0])
                    return Cached(value, False, 0.0)
        with suppress(*CACHE_ERRORS):
            self._disk.incr("count/hit/" + key.split("/", 1)[0])
        return found  # type: ignore[return-value]

    def _found(self, key: str) -> Cached[object] | None:
        with suppress(*CACHE_ERRORS):
            return self.peek(key)
        return None

    def _writing(self) -> AbstractContextManager[None]:
        """A turn to write: in SQLite itself those who wait sleep up to a tenth of a second between two looks."""
        return turn(self._folder / "locks" / "write")

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Hold the key's lock, where locks can be had."""
        name = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        with ExitStack() as held:
            with suppress(*CACHE_ERRORS):
                held.enter_context(alone(self._folder / "locks" / name))
            yield

    def count(self, key: str, seconds: int) -> int:
        """How often this was called for the key in the current window of so many seconds, in all processes."""
        slot = f"limit/{key}/{int(time.time()) // seconds}"
        self._disk.add(slot, 0, expire=seconds)
        return int(self._disk.incr(slot, default=0))

    def counters(self) -> dict[str, int]:
        """How often each computation ran ("computed/<name>") and was answered from the cache ("hit/<name>")."""
        return {
            key.removeprefix("count/"): int(self._disk[key])
            for key in self._disk.iterkeys()
            if isinstance(key, str) and key.startswith("count/")
        }
