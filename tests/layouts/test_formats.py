"""How numbers and times are written."""

import math

import pytest

from layouts import formats


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.91234, "0.912"),
        (1.0, "1.000"),
        (54.321, "54.3"),
        (1234.5, "1,234"),
        (12345.6, "12,346"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
        (-0.5, "-0.500"),
    ],
)
def test_number(value, text):
    assert formats.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(18.0, "18"), (95.2, "95.2"), (3.3, "3.3"), (0.0, "0"), (-0.00012345, "-0.000123"), (1234567.891, "1,234,567.891"),
     (10.0, "10")],
)  # fmt: skip
def test_bound(value, text):
    assert formats.bound(value) == text


def test_values_of_one_column_have_equally_many_decimals():
    assert formats.alike(3.3, 95.2, 100.0) == ["3.30", "95.20", "100.00"]
    assert formats.alike(18.0, 89.0) == ["18", "89"]
    assert formats.alike(0.001, 0.97) == ["0.001", "0.970"]


def test_signed_uses_a_true_minus_sign():
    assert formats.signed(-0.0123) == "−0.012"
    assert formats.signed(0.5) == "+0.500"
    assert formats.signed(0.0) == formats.signed(-1e-9) == "0.000"
    assert formats.difference(-0.014, -0.028, -0.00004) == "−0.014 (−0.028 to −0.00004)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (5, "just now"),
        (60, "1 minute ago"),
        (7300, "2 hours ago"),
        (86400 * 3, "3 days ago"),
        (86400 * 400, "1 year ago"),
    ],
)
def test_age(seconds, text):
    assert formats.age(seconds) == text


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        ("macro_f1", "Macro F1"),
        ("f1", "F1"),
        ("rmse", "RMSE"),
        ("weighted_f1", "Weighted F1"),
        ("accuracy", "Accuracy"),
    ],
)
def test_title(metric, text):
    assert formats.title(metric) == text


def test_plural_and_short():
    assert formats.plural(1, "row") == "1 row"
    assert formats.plural(1200, "row") == "1,200 rows"
    assert formats.short("abcdef", 4) == "abc…"
