"""Declared slices, and what a slices file may hold."""

import re

import pytest

from dashboard.errors import BadQuery
from dashboard.metrics.slices import declared_slices, file_slices, find_slice

COLUMNS = {"age": "BIGINT", "region": "VARCHAR", "slice_old": "BOOLEAN"}


def test_declared_slices_are_named_without_their_prefix() -> None:
    plain, odd = declared_slices(["slice_old", "slice_a b"])
    assert (plain.name, plain.kind, plain.filter) == ("old", "declared", "slice_old")
    assert (odd.name, odd.filter, odd.condition) == (
        "a b",
        '"slice_a b"',
        'coalesce(TRY_CAST("slice_a b" AS BOOLEAN), false)',
    )


@pytest.mark.parametrize(
    "text", ["- {name: north, filter: region = 'north'}", "slices:\n- {name: north, filter: region = 'north'}"]
)
def test_both_forms_of_a_file(text: str) -> None:
    (found,), problems = file_slices(text, COLUMNS)
    assert (found.name, found.kind, found.condition, problems) == ("north", "file", "(\"region\" = 'north')", [])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- {name: x, filter: agee > 1}", "slice 'x': .*no column 'agee'"),
        ("- {name: x}", "needs a name and a filter"),
        ("- {filter: age > 1}", "needs a name and a filter"),
        ("- 5", "needs a name and a filter"),
        ("name: x", "expected is a list"),
        ("", "expected is a list"),
        ("a: [", "not YAML"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
        ("[" * 5000, "not YAML"),
    ],
)
def test_what_cannot_be_used_is_a_problem(text: str, says: str) -> None:
    slices, (problem,) = file_slices(text, COLUMNS)
    assert slices == []
    assert re.search(says, problem.reason)


def test_usable_slices_stay_beside_a_bad_one() -> None:
    slices, problems = file_slices("- {name: a, filter: age > 1}\n- {name: b, filter: nope = 1}", COLUMNS)
    assert ([s.name for s in slices], len(problems)) == (["a"], 1)


def test_too_many_are_cut_and_said_so() -> None:
    slices, (problem,) = file_slices("\n".join(f"- {{name: s{i}, filter: age > {i}}}" for i in range(205)), COLUMNS)
    assert (len(slices), problem.reason) == (200, "it holds 205 slices; the first 200 are shown")


def test_a_slice_is_found_by_name_or_column() -> None:
    slices = declared_slices(["slice_old", "slice_new"])
    assert [find_slice(slices, name) for name in ("new", "slice_new", "old")] == [1, 1, 0]
    with pytest.raises(BadQuery, match="no slice 'x'; its slices are: 'old', 'new'"):
        find_slice(slices, "x")
