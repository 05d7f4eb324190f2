"""How columns are read, and which corrections are refused; a real correction is tested with the API."""

import pytest

from dashboard.errors import BackOfficeUnavailable, BadInput
from dashboard.reports.column_roles import ROLES, ColumnRoles, column_roles, correct_roles
from dashboard.state import RoleCorrection
from tests.dashboard.reports.conftest import House

DATA = {"label": ["a", "b"], "prediction": ["a", "a"], "when": [1, 2]}


def test_how_columns_are_read(house: House) -> None:
    house.add("r1", DATA, roles={"time": "when"})
    found = column_roles(house, "r1")
    assert (found.task, found.columns, found.changed) == ("classification", ("when", "label", "prediction"), None)
    assert dict(zip(ROLES, found.chosen, strict=True))["time"] == "when"
    house.state.save_correction(RoleCorrection("r1", "", {}, "ann", 1000.5))
    assert (column_roles(house, "r1").author, column_roles(house, "r1").changed) == ("ann", 1000.5)
    house.add("r2")
    assert column_roles(house, "r2") == column_roles(house, "nobody") == ColumnRoles()


@pytest.mark.parametrize(
    ("task", "chosen", "words"),
    [
        ("ranking", {"label": "label"}, ["'ranking'", "multilabel"]),
        ("", {"label": "gone"}, ["'gone'"]),
        ("", {"label": "when", "time": "when"}, ["'when'", "label and time"]),
        ("", {"boxes": "when"}, ["'boxes'"]),
    ],
)
def test_what_cannot_be_is_refused_and_not_kept(house: House, task: str, chosen: dict, words: list[str]) -> None:
    house.add("r1", DATA)
    with pytest.raises(BadInput) as error:
        correct_roles(house, "r1", task, chosen)
    assert all(word in str(error.value) for word in words)
    assert house.state.correction("r1") is None


def test_nothing_is_kept_while_runs_cannot_be_read(house: House) -> None:
    house.add("r1", DATA)
    with pytest.raises(BackOfficeUnavailable):
        correct_roles(house, "r1", "", {"label": "when"})
    assert house.state.correction("r1") is None
