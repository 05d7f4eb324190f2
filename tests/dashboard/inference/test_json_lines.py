"""Files of JSON lines as inputs of a batch."""

import pytest

from dashboard.errors import BadInput
from dashboard.inference.batch_files import inspect, items
from dashboard.inference.cards import InputField, ModelCard, TensorSpec

TABLE = ModelCard(
    "m", "pets", None, "r", "r", None, "table", (InputField("age", "double"), InputField("town", "string")),
    columns=True,
)  # fmt: skip
PAIR = TensorSpec("x", "float32", (-1, 2))
NUMBERS = ModelCard("m", "net", None, "r", "r", None, "tensor", (InputField("x", "float32"),), tensors=(PAIR,))


def kept(tmp_path, text):
    """A file with this text."""
    path = tmp_path / "f"
    path.write_text(text, encoding="utf-8")
    return path


def test_objects_are_rows_whatever_the_order_of_their_keys(tmp_path):
    path = kept(tmp_path, '\ufeff{"town": "Rome", "age": 4, "n": 1}\n\n{"age": 5.5, "town": "مرحبا"}\n')
    found = inspect(path, TABLE)
    assert (found.format, found.rows, found.unused) == ("jsonl", 2, ("n",))
    rows = list(items(path, "jsonl", TABLE))
    assert [item.given for item in rows] == [{"age": 4, "town": "Rome"}, {"age": 5.5, "town": "مرحبا"}]


def test_lists_are_the_numbers_of_a_model_of_tensors(tmp_path):
    path = kept(tmp_path, "[1, 2]\n[3, 4.5]\n")
    assert inspect(path, NUMBERS).rows == 2
    rows = list(items(path, "jsonl", NUMBERS))
    assert [(item.given, item.cells) for item in rows] == [([1, 2], {"line": 1}), ([3, 4.5], {"line": 2})]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"age": 1, "town": "x"}\n{"age": ', "Line 2 is not JSON"),
        ('{"age": 1, "town": "x"}\n7\n', "Line 2 is '7'"),
        ('{"town": "x"}\n', "lacks 'age'"),
        ('{"age": "old", "town": "x"}\n', "Row 1: Column 'age' takes a number"),
        ('{"age": NaN, "town": "x"}\n', "finite number"),
        ("[1, 2, 3]\n", "Row 1"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, text, said):
    with pytest.raises(BadInput, match=said):
        inspect(kept(tmp_path, text), NUMBERS if text.startswith("[") else TABLE)
