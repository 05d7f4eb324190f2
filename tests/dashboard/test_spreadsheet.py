"""CSV cells that no spreadsheet runs, and that read back as they were."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.spreadsheet import escaped, lines


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "--1"])
def test_formulas_are_defused(text):
    assert escaped(text) == "'" + text


@pytest.mark.parametrize("value", ["-2.5", "+1e-3", -3, 0.5, "plain", "a=b", ""])
def test_numbers_and_texts_stay(value):
    assert escaped(value) == str(value)


def test_missing_is_empty():
    assert escaped(None) == ""


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")), min_size=1, max_size=4))
def test_every_cell_reads_back(cells):
    text = "".join(lines(["h"] * len(cells), [cells]))
    assert list(csv.reader(io.StringIO(text)))[1] == [escaped(cell) for cell in cells]
