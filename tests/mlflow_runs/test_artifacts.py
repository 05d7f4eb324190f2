"""Bounded folders: whole files or none, least recently used first, no way out."""

import contextlib
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_runs.artifacts import BoundedFolder, SpareRoom, inside, safe_artifact_path, safe_name
from mlflow_runs.errors import ArtifactUnreadable, DataMissing


def fill(folder: BoundedFolder, name: str, size: int, age: int = 0) -> Path:
    path = folder.keep(name, lambda target: target.write_bytes(b"x" * size))
    if age:
        os.utime(path, (1e9 - age, 1e9 - age))
    return path


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    folder = BoundedFolder(tmp_path / "f", 100)
    old, used = fill(folder, "old", 40, age=10), fill(folder, "used", 40, age=20)
    fill(folder, "used", 999)
    new = fill(folder, "new", 40)
    assert (old.exists(), used.exists(), new.exists()) == (False, True, True)
    assert folder.size() == 80


@given(sizes=st.lists(st.integers(0, 60), max_size=12))
def test_the_budget_always_holds(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    folder = BoundedFolder(tmp_path_factory.mktemp("f"), 100)
    for at, size in enumerate(sizes):
        assert fill(folder, f"n{at}", size).stat().st_size == size
        assert folder.size() <= 100


def test_a_file_is_written_once_and_whole(tmp_path: Path) -> None:
    folder, calls = BoundedFolder(tmp_path, 100), []
    for _ in range(2):
        folder.keep("a", lambda target: calls.append(target.write_bytes(b"1")))
    assert len(calls) == 1

    def broken(target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        folder.keep("b", broken)
    assert {path.name for path in tmp_path.iterdir()} == {"a"}


def test_spare_room_pushes_nothing_out(tmp_path: Path) -> None:
    folder = BoundedFolder(tmp_path, 100)
    kept = fill(folder, "a", 60)
    refused = SpareRoom(folder).keep("b", lambda target: target.write_bytes(b"x" * 60))
    assert (kept.exists(), refused.exists()) == (True, False)
    assert SpareRoom(folder).keep("c", lambda target: target.write_bytes(b"x" * 30)).exists()


def test_larger_than_the_budget_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactUnreadable, match="VITRINE_ARTIFACT_CACHE_MB"):
        fill(BoundedFolder(tmp_path, 10), "a", 11)


def test_equal_content_is_kept_once(tmp_path: Path) -> None:
    folder = BoundedFolder(tmp_path / "f", 1000)
    for name in ("one.png", "two.png"):
        (tmp_path / name).write_bytes(b"same")
    assert folder.keep_content(tmp_path / "one.png", ".png") == folder.keep_content(tmp_path / "two.png", ".png")


def test_clean_removes_what_a_crash_left(tmp_path: Path) -> None:
    (tmp_path / ".1.part").write_bytes(b"half")
    (tmp_path / "big").write_bytes(b"x" * 200)
    folder = BoundedFolder(tmp_path, 100)
    folder.clean()
    assert list(tmp_path.iterdir()) == []


def test_many_threads_keep_the_same_file(tmp_path: Path) -> None:
    folder = BoundedFolder(tmp_path, 10_000)
    threads = [threading.Thread(target=fill, args=(folder, f"n{at % 3}", 100)) for at in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["n0", "n1", "n2"]


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../x", "a/../../x", "a\\..\\x", "a\0", "http://x/y", "%2e%2e/x", "c:x"]
)
def test_paths_that_lead_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(DataMissing):
        safe_artifact_path(path)


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "a\0", "x" * 300])
def test_names_that_are_no_plain_names_are_refused(name: str) -> None:
    with pytest.raises(DataMissing):
        safe_name(name)


@given(path=st.text(max_size=30))
def test_no_path_leaves_the_folder(tmp_path_factory: pytest.TempPathFactory, path: str) -> None:
    root = tmp_path_factory.getbasetemp()
    with contextlib.suppress(DataMissing):
        assert inside(root, path).is_relative_to(root.resolve())
