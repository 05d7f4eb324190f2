"""Names and texts that would break out of their quotes do not."""

import pytest

from dashboard.metrics.columns import class_text, condition, is_number, is_text, number, quoted, string
from dashboard.metrics.tables import Tables


@pytest.mark.parametrize("text", ["a'b", "'; DROP TABLE x; --", '"', "\\'", "日本", ""])
def test_quotes(tables: Tables, text: str) -> None:
    assert tables.first(f"SELECT {string(text)} AS {quoted('x' + text)}") == {"x" + text: text}


@pytest.mark.parametrize(
    ("value", "type_name", "text"),
    [
        ("1.0::DOUBLE", "DOUBLE", "1"),
        ("1.25::DOUBLE", "DOUBLE", "1.25"),
        ("1e300::DOUBLE", "DOUBLE", "1e+300"),
        ("'-inf'::DOUBLE", "DOUBLE", "-inf"),
        ("0.1::FLOAT", "FLOAT", "0.1"),
        ("2.50::DECIMAL(5,2)", "DECIMAL(5,2)", "2.5"),
        ("3::UTINYINT", "UTINYINT", "3"),
        ("true", "BOOLEAN", "True"),
        ("NULL::BOOLEAN", "BOOLEAN", None),
        ("' a '", "VARCHAR", " a "),
    ],
)
def test_class_text(tables: Tables, value: str, type_name: str, text: str | None) -> None:
    assert tables.first(f"SELECT {class_text('v', type_name)} AS t FROM (SELECT {value} AS v)") == {"t": text}


@pytest.mark.parametrize(("value", "want"), [("'1.5'", 1.5), ("'x'", None), ("'inf'", None), ("true", 1.0)])
def test_number(tables: Tables, value: str, want: float | None) -> None:
    assert tables.first(f"SELECT {number('v')} AS n FROM (SELECT {value} AS v)") == {"n": want}


@pytest.mark.parametrize(("value", "want"), [("1", True), ("'true'", True), ("'no idea'", False), ("NULL", False)])
def test_condition(tables: Tables, value: str, want: bool) -> None:
    assert tables.first(f"SELECT {condition('v')} AS c FROM (SELECT {value} AS v)") == {"c": want}


def test_types() -> None:
    assert [is_number(t) for t in ("DOUBLE", "HUGEINT", "DECIMAL(1,0)", "VARCHAR", "BOOLEAN")] == [True] * 3 + [
        False
    ] * 2
    assert [is_text(t) for t in ("VARCHAR", "ENUM('a')", "BLOB")] == [True, True, False]
