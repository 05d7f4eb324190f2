"""The run index: what readers see of what the writer wrote, at size, after damage and from other threads."""

import dataclasses
import multiprocessing
import sqlite3
import threading
import time
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_runs.errors import RunNotFound
from mlflow_runs.index import RunIndex
from mlflow_runs.index_writer import IndexWriter
from mlflow_runs.records import DatasetInput, Evaluation, Figures, ModelInfo, Problem, Roles, RunRow


def make_row(run_id: str = "r1", **changes: object) -> RunRow:
    row = RunRow(
        run_id=run_id,
        run_name=f"name of {run_id}",
        experiment="exp",
        experiment_id="1",
        status="FINISHED",
        start_time=1000.0,
        end_time=1001.0,
        model="exp",
        registered=False,
        version=None,
        ordinal=1,
        aliases=(),
        task=None,
        state="pending",
        problems=(),
        metrics={"accuracy": 0.5},
        params={"lr": "0.1"},
        tags={"team": "Blau"},
        git_commit="abc",
        user="me",
        datasets=(DatasetInput("d", "1"),),
        model_info=None,
        synced_at=5.0,
    )
    return dataclasses.replace(row, **changes)


@pytest.fixture
def writer(tmp_path: Path):
    opened = IndexWriter(tmp_path / "index.db")
    yield opened
    opened.close()


def test_a_row_comes_back_as_it_was_written(writer: IndexWriter) -> None:
    info = ModelInfo("m-1", "net", ("pytorch",), {"inputs": [{"type": "double"}]}, [[1]], {"size": 8}, ("torch==2",))
    row = make_row(model_info=info, metrics={"big": float("inf"), "loss": float("nan")}, tags={"t": "ünï\n<b>"})
    writer.upsert([row])
    found = RunIndex(writer.path).run("r1")
    assert repr(found) == repr(row)


def test_a_run_is_read_once_until_the_index_changes(writer: IndexWriter) -> None:
    writer.upsert([make_row()])
    reader = RunIndex(writer.path)
    first = reader.run("r1")
    assert reader.run("r1") is first
    writer.upsert([make_row(run_name="other")])
    assert reader.run("r1").run_name == "other"
    writer.upsert([make_row(f"r{n}") for n in range(2, 40)])
    assert [reader.run(f"r{n}").run_id for n in range(1, 40)] == [f"r{n}" for n in range(1, 40)]


def test_unknown_run_names_the_id(writer: IndexWriter) -> None:
    with pytest.raises(RunNotFound, match="nope"):
        writer.run("nope")


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", {"a", "b"}),
        ("BLAU", {"a", "b"}),
        ("champion", {"b"}),
        ("v2 model-b", {"b"}),
        ("v2 model-a", set()),
        ("name of a", {"a", "b"}),
        ("%", set()),
        ("' OR 1=1 --", set()),
        ("strasse", {"a"}),
    ],
)
def test_search_needs_every_word(writer: IndexWriter, search: str, found: set[str]) -> None:
    rows = [
        make_row("a", model="model-a", run_name="name of a Straße"),
        make_row("b", model="model-b", registered=True, version="2", aliases=("champion",)),
    ]
    writer.upsert(rows)
    page, total = RunIndex(writer.path).runs(search)
    assert {row.run_id for row in page} == found
    assert total == len(found)


def test_newest_first_paged_and_filtered(writer: IndexWriter) -> None:
    writer.upsert(make_row(f"r{n}", start_time=float(n), experiment=f"e{n % 2}") for n in range(10))
    page, total = writer.runs(limit=3, offset=2)
    assert [row.run_id for row in page] == ["r7", "r6", "r5"]
    assert total == 10
    assert writer.runs(experiment="e1")[1] == 5
    assert writer.runs(model="other") == ([], 0)


def test_history_follows_versions_then_time_and_numbers_them(writer: IndexWriter) -> None:
    writer.upsert(make_row(f"v{n}", model="m", registered=True, version=str(n), start_time=-n) for n in (10, 9, 2))
    writer.upsert(make_row(f"u{n}", start_time=n) for n in (3, 1, 2))
    assert [(row.run_id, row.ordinal) for row in writer.history("m")] == [("v2", 1), ("v9", 2), ("v10", 3)]
    assert [row.run_id for row in writer.history("exp")] == ["u1", "u2", "u3"]
    assert writer.models() == ["m", "exp"]
    writer.upsert([make_row("u1", model="m", registered=True, version="1")])
    assert [(row.run_id, row.ordinal) for row in writer.history("exp")] == [("u2", 1), ("u3", 2)]
    assert writer.history("m")[0].run_id == "u1"


def test_latest_for_version_or_alias(writer: IndexWriter) -> None:
    rows = [
        make_row("a", model="m", version="1", aliases=("champion",)),
        make_row("b", model="m", version="2"),
        make_row("c", model="m", version="2", start_time=2000.0),
    ]
    writer.upsert(rows)
    assert writer.latest_for("m", "champion").run_id == "a"
    assert writer.latest_for("m", "2").run_id == "c"
    with pytest.raises(RunNotFound, match="champion"):
        writer.latest_for("m", "9")


def test_revision_rises_with_visible_changes_only(writer: IndexWriter) -> None:
    revisions = []

    def note() -> None:
        revisions.append(RunIndex(writer.path).state().revision)

    writer.upsert([make_row()])
    note()
    writer.upsert([make_row(synced_at=99.0)])
    note()
    writer.upsert([make_row(status="FAILED")])
    note()
    evaluation = Evaluation("r1", "classification", Roles(label="y"), digest="d")
    writer.set_evaluation(evaluation, "ready", "m1")
    note()
    writer.set_evaluation(evaluation, "ready", "m2")
    note()
    writer.set_state("uri", True, "", synced_at=1.0)
    note()
    writer.set_state("uri", True, "", synced_at=2.0)
    note()
    writer.set_state("uri", False, "gone")
    note()
    writer.delete(["r1", "unknown"])
    note()
    writer.delete(["r1"])
    note()
    assert [later - revisions[0] for later in revisions] == [0, 0, 1, 2, 2, 3, 3, 4, 5, 5]


def test_evaluation_comes_back_and_survives_a_new_row(writer: IndexWriter) -> None:
    evaluation = Evaluation(
        "r1",
        "classification",
        Roles(label="y", scores={"a": "score_a"}, slices=("slice_x",), features=("f",)),
        ("a", "b"),
        "b",
        writer.tables / "d.parquet",
        "d",
        3,
        "predictions.csv",
        Figures({"f1": 0.5}, {"a": {"f1": 1.0}}, {}, "performance.json"),
        (Problem("x", "y"),),
        {"size": 8},
    )
    writer.upsert([make_row()])
    writer.set_evaluation(evaluation, "ready", "m")
    writer.upsert([make_row(status="FAILED")])
    reader = RunIndex(writer.path)
    assert reader.evaluation("r1") == evaluation
    row = reader.run("r1")
    assert (row.task, row.state, row.problems, row.status) == ("classification", "ready", evaluation.problems, "FAILED")
    assert reader.evaluation("unknown") is None
    assert writer.marks() == {"r1": "m"}


def test_model_details_survive_until_the_model_changes(writer: IndexWriter) -> None:
    writer.upsert([make_row(model_info=ModelInfo("m-1", "net"))])
    writer.set_model_info("r1", ModelInfo("m-1", "net", ("sklearn",)))
    writer.upsert([make_row(model_info=ModelInfo("m-1", "net"), status="FAILED")])
    assert writer.run("r1").model_info == ModelInfo("m-1", "net", ("sklearn",))
    writer.upsert([make_row(model_info=ModelInfo("m-2", "net"))])
    assert writer.run("r1").model_info == ModelInfo("m-2", "net")


def _damage(path: Path, how: str) -> None:
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    if how == "missing":
        path.unlink()
    elif how == "garbage":
        path.write_bytes(b"not a database " * 1000)
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif how == "empty":
        path.write_bytes(b"")
    else:
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE meta SET value = '0' WHERE key = 'schema'")
        connection.close()


@pytest.mark.parametrize("how", ["missing", "garbage", "cut", "empty", "old"])
def test_a_damaged_index_reads_as_empty_and_is_rebuilt(tmp_path: Path, how: str) -> None:
    path = tmp_path / "index.db"
    first = IndexWriter(path)
    first.upsert([make_row()])
    before = first.state().revision
    first.close()
    _damage(path, how)
    reader = RunIndex(path)
    assert reader.runs() == ([], 0)
    assert reader.state().reachable is False
    assert reader.models() == []
    time.sleep(0.05)
    second = IndexWriter(path)
    second.upsert([make_row("new")])
    assert [row.run_id for row in reader.runs()[0]] == ["new"]
    assert reader.state().revision > before
    second.close()


def test_clear_keeps_the_revision_rising(writer: IndexWriter) -> None:
    writer.upsert([make_row()])
    before = writer.state().revision
    writer.clear()
    assert writer.runs() == ([], 0)
    assert writer.state().revision > before


def test_reader_before_the_writer_ever_ran(tmp_path: Path) -> None:
    reader = RunIndex(tmp_path / "none" / "index.db")
    assert reader.runs() == ([], 0)
    assert "being built" in reader.state().message
    assert not (tmp_path / "none").exists()


def _count_in_child(path: Path, queue: "multiprocessing.Queue[int]", reader: RunIndex) -> None:
    queue.put(reader.runs()[1])


def test_a_reader_used_before_a_fork_works_in_the_child(writer: IndexWriter) -> None:
    writer.upsert([make_row()])
    reader = RunIndex(writer.path)
    assert reader.runs()[1] == 1
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_count_in_child, args=(writer.path, queue, reader))
    child.start()
    assert queue.get(timeout=20) == 1
    child.join()


def test_readers_in_threads_while_the_writer_writes(writer: IndexWriter) -> None:
    writer.upsert([make_row()])
    reader, seen, stop = RunIndex(writer.path), [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.append(reader.runs()[1])
        reader.close()

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(30):
        writer.upsert([make_row(f"x{n}")])
    stop.set()
    for thread in threads:
        thread.join()
    assert reader.runs()[1] == 31
    assert all(count >= 1 for count in seen)


def test_a_thousand_runs_list_and_filter_under_100_ms(writer: IndexWriter) -> None:
    tags = {f"tag{n}": "value " * 5 for n in range(10)}
    metrics = {f"m{n}": n / 7 for n in range(20)}
    writer.upsert(make_row(f"r{n}", start_time=n, model=f"m{n % 20}", tags=tags, metrics=metrics) for n in range(1000))
    reader = RunIndex(writer.path)
    reader.state()

    def cost(**query: object) -> float:
        started = time.thread_time()  # because other work on the machine must not decide
        reader.runs(**query)
        return time.thread_time() - started

    for query in ({}, {"search": "r99"}, {"model": "m3"}, {"limit": 1000}, {"search": "value m7", "offset": 10}):
        assert median(cost(**query) for _ in range(5)) < 0.1


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


@settings(max_examples=15, deadline=None)
@given(names=st.lists(texts, min_size=1, max_size=6), word=texts)
def test_search_equals_a_plain_scan(tmp_path_factory: pytest.TempPathFactory, names: list[str], word: str) -> None:
    writer = IndexWriter(tmp_path_factory.mktemp("index") / "index.db")
    writer.upsert(make_row(f"{n:032x}", run_name=name, tags={}) for n, name in enumerate(names))
    rows, _ = writer.runs()
    expected = {
        row.run_id
        for row in rows
        if all(
            part in f"{row.run_name}\n{row.run_id}\n{row.model}\n\n\n{row.experiment}\n".casefold()
            for part in word.casefold().split()
        )
    }
    assert {row.run_id for row in writer.runs(word)[0]} == expected
    writer.close()
