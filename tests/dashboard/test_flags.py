"""Flags in the state database: kept, found, taken back, and due for MLflow until they are there."""

import dataclasses
import time

import pytest

from dashboard.errors import BadInput, BadQuery
from dashboard.flags import LARGEST_PICTURE, Flag, FlagFilter, Flags
from dashboard.settings import Settings


@pytest.fixture
def flags(tmp_path):
    """An empty state database."""
    return Flags(Settings(data_dir=tmp_path).state_url)


def flag(number=1, **changes):
    """A flag of one answer."""
    plain = Flag(
        id=f"{number:032x}", run_id="r", model="flowers", version="3", model_id="m-1", verdict="wrong",
        corrected='"rose"', reason="100% sure", author="ann", created=float(number), input='"a text"',
        output='{"label": "tulip"}', source="row 5", row=5, digest="d",
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)


def test_flags_are_found_newest_first_by_run_model_verdict_and_words(flags):
    flags.add(flag(1))
    flags.add(flag(2, verdict="right", reason="1000 times", run_id="other"))
    flags.add(flag(3, row=7, author="bo"))
    assert [item.id[-1] for item in flags.find(FlagFilter())[0]] == ["3", "2", "1"]
    for asked, found in (
        ({"run_id": "r"}, ["3", "1"]),
        ({"verdict": "right"}, ["2"]),
        ({"search": "100%"}, ["3", "1"]),
        ({"search": "BO"}, ["3"]),
        ({"model": "other"}, []),
    ):
        assert [item.id[-1] for item in flags.find(FlagFilter(**asked))[0]] == found
    page, total = flags.find(FlagFilter(), limit=1, offset=1)
    assert ([item.id[-1] for item in page], total) == (["2"], 3)
    assert flags.rows("r", "d") == (5, 7)
    assert flags.rows("r", "another table") == ()


def test_an_undone_flag_leaves_lists_and_rows_but_is_removed_from_mlflow_first(flags):
    flags.add(flag(1))
    flags.add(flag(2))
    flags.note_stored(flag(1).id, "written")
    for number in (1, 2, 1):
        flags.undo(flag(number).id)
    assert flags.find(FlagFilter()) == ((), 0)
    assert flags.rows("r", "d") == ()
    assert [item.id for item in flags.due()] == [flag(1).id]
    flags.note_stored(flag(1).id, "removed")
    assert flags.due() == ()
    with pytest.raises(BadQuery, match="no flag 'nothing'"):
        flags.undo("nothing")


def test_a_flag_stays_due_until_it_is_written_and_waits_after_a_failure(flags):
    flags.add(flag(1))
    flags.add(flag(2))
    flags.note_problem(flag(1).id, "the store is away")
    assert [item.id for item in flags.due()] == [flag(2).id]
    waiting = flags.flag(flag(1).id)
    assert waiting.problem == "the store is away"
    assert waiting.retry_at > time.time()


def test_a_picture_is_kept_byte_for_byte(flags):
    data = bytes(range(256))
    assert flags.add(flag(1, input=""), data).picture
    assert flags.picture(flag(1).id) == data
    assert flags.picture("unknown") == b""


@pytest.mark.parametrize(
    ("changes", "picture", "said"),
    [
        ({"verdict": "perhaps"}, b"", "'perhaps' is none of right, wrong, unsure"),
        ({"reason": "x" * 2001}, b"", "2,001 characters; at most 2,000"),
        ({"corrected": "x" * (2**20 + 1)}, b"", "longer than 1,048,576"),
        ({}, bytes(LARGEST_PICTURE + 1), "keeps at most"),
    ],
)
def test_what_cannot_be_kept_is_told(flags, changes, picture, said):
    with pytest.raises(BadInput, match=said):
        flags.add(flag(**changes), picture)
    assert flags.find(FlagFilter())[1] == 0
    with pytest.raises(BadQuery, match="none of right"):
        flags.find(FlagFilter(verdict="perhaps"))
