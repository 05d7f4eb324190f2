"""One at a time across threads and processes: a lock that is free again at once when its holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def alone(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file while inside, which is gone afterwards; True, or False where `wait` is not wanted and
    another holds it. Raises OSError where the file cannot be made."""
    held = _taken(path, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield held is not None
    finally:
        if held is not None:
            with suppress(OSError):
                path.unlink()
            os.close(held)


@contextmanager
def turn(path: Path) -> Iterator[None]:
    """Hold the lock file, which stays, while inside: for short turns that are taken often."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock file now."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _taken(path: Path, how: int) -> int | None:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, how)
            if _same(handle, path):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:  # because whoever is told to stop while it waits must not keep the file open
            os.close(handle)
            raise
        os.close(handle)  # the holder before has removed the file: the next one to be made is the lock


def _same(handle: int, path: Path) -> bool:
    with suppress(OSError):
        return os.fstat(handle).st_ino == path.stat().st_ino
    return False
