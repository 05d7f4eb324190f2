"""Run artifacts on this machine: where they come from, and folders of files that stay within a disk budget."""

import hashlib
import os
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from mlflow_runs.errors import ArtifactUnreadable, DataMissing


@dataclass(frozen=True)
class ArtifactFile:
    """One file among a run's artifacts: its path with forward slashes and its size in bytes (None if unknown)."""

    path: str
    size: int | None


class Source(Protocol):
    """Where one run's artifacts come from."""

    def files(self) -> Sequence[ArtifactFile]:
        """Files that may belong to an evaluation."""

    def fetch(self, path: str) -> Path:
        """A local file; raises ArtifactUnreadable with the reason."""


class Tables(Protocol):
    """Where normalised tables are kept, by name."""

    def keep(self, name: str, write: Callable[[Path], object]) -> Path:
        """The file of that name; `write` makes it when it is not there."""


class BoundedFolder:
    """Files under names that follow from their content; the least recently used go when the budget is exceeded.

    One process writes, others may read: a file appears whole (temporary name, then rename) or not at all.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self.limit = limit
        self._lock = threading.Lock()

    def keep(self, name: str, write: Callable[[Path], object], make_room: bool = True) -> Path:
        """The file of that name, made by `write(temporary path)` when it is not there; use makes it young again.

        Without `make_room` a file that does not fit beside the others is not stored and the path does not exist.
        Raises ArtifactUnreadable for a file that is larger than the whole budget.
        """
        target = self.path / safe_name(name)
        if touch(target):
            return target
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self.path / f".{uuid.uuid4().hex}.part"
        try:
            write(part)
            with self._lock:
                self._admit(part, target, make_room)
        finally:
            part.unlink(missing_ok=True)
        return target

    def keep_content(self, source: Path, suffix: str) -> Path:
        """A copy of a file, named by the digest of its bytes."""
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        return self.keep(digest + suffix, lambda target: target.write_bytes(source.read_bytes()))

    def clean(self) -> None:
        """Remove what a crash left half-written, and what exceeds the budget."""
        for part in self.path.glob(".*.part"):
            part.unlink(missing_ok=True)
        with self._lock:
            self._evict(0)

    def size(self) -> int:
        """Bytes in use."""
        return sum(size for _, size, _ in self._entries())

    def _admit(self, part: Path, target: Path, make_room: bool) -> None:
        size = part.stat().st_size
        if size > self.limit:
            budget = f"the disk budget of {self.limit / 2**20:.0f} MB (VITRINE_ARTIFACT_CACHE_MB)"
            raise ArtifactUnreadable(f"takes {size / 2**20:.1f} MB as a local copy, more than {budget}")
        if not make_room and self.size() + size > self.limit:
            return
        self._evict(size)
        part.chmod(0o600)
        part.replace(target)

    def _evict(self, coming: int) -> None:
        entries = sorted(self._entries())
        total = coming + sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if total <= self.limit:
                break
            path.unlink(missing_ok=True)
            total -= size

    def _entries(self) -> list[tuple[float, int, Path]]:
        if not self.path.is_dir():
            return []
        found = []
        with os.scandir(self.path) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
                    seen = entry.stat(follow_symlinks=False)
                    found.append((seen.st_mtime, seen.st_size, Path(entry.path)))
        return found


@dataclass(frozen=True)
class SpareRoom:
    """A bounded folder that takes files only while nothing else has to go."""

    folder: BoundedFolder

    def keep(self, name: str, write: Callable[[Path], object]) -> Path:
        """As `BoundedFolder.keep` without making room."""
        return self.folder.keep(name, write, make_room=False)


def touch(path: Path) -> bool:
    """Mark a file as used just now; False when it is not there."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def safe_name(name: str) -> str:
    """A plain file name; raises DataMissing for anything that could lead elsewhere."""
    if not name or name.startswith(".") or any(mark in name for mark in "/\\\0") or len(name) > 200:
        raise DataMissing(f"{name[:200]!r} is not a plain file name")
    return name


def safe_artifact_path(path: str) -> str:
    """A relative artifact path with forward slashes; raises DataMissing for one that could lead out of the run."""
    parts = PurePosixPath(path).parts
    wrong = not parts or path.startswith("/") or ".." in parts or any(mark in path for mark in "\\\0%?#")
    if wrong or ":" in parts[0] or len(path) > 1000:
        raise DataMissing(f"{path[:200]!r} is not a path within the run's artifacts")
    return "/".join(parts)


def inside(root: Path, path: str) -> Path:
    """An existing file below a folder, symbolic links resolved; raises ArtifactUnreadable otherwise."""
    found = (root / safe_artifact_path(path)).resolve()
    if not found.is_relative_to(root.resolve()):
        raise ArtifactUnreadable("is a link that leads out of the run's artifacts")
    if not found.is_file():
        raise ArtifactUnreadable("is not there" if not found.exists() else "is a folder, expected a file")
    return found
