"""Every input reaches the model by its signature, or is refused with its value and what would be accepted."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.errors import BadInput
from dashboard.inference.inputs import decode_input, digest, join, layout
from tests.dashboard.inference.test_cards import TEXT, card, tensor

ROW = [
    {"type": "double", "name": "age", "required": True},
    {"type": "long", "name": "children", "required": True},
    {"type": "string", "name": "region", "required": False},
    {"type": "boolean", "name": "smoker", "required": True},
]
GOOD = {"age": "51.5", "children": 2, "region": None, "smoker": "yes"}


def test_a_row_becomes_one_typed_tensor_per_column():
    tensors = decode_input(card(ROW), GOOD)
    assert {name: (array.dtype.kind, array.shape) for name, array in tensors.items()} == {
        "age": ("f", (1, 1)), "children": ("i", (1, 1)), "region": ("O", (1, 1)), "smoker": ("b", (1, 1)),
    }  # fmt: skip
    assert [array.item() for array in tensors.values()] == [51.5, 2, None, True]


def test_a_row_may_also_be_a_list_in_the_columns_order():
    assert digest(decode_input(card(ROW), [51.5, 2, None, True])) == digest(decode_input(card(ROW), GOOD))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"age": "old"}, "'age' takes a number such as 3.5, not 'old'"),
        ({"children": 2.5}, "'children' takes a whole number such as 3, not 2.5"),
        ({"children": 2**70}, "up to 9223372036854775807"),
        ({"children": "inf"}, "whole number"),
        ({"smoker": "maybe"}, "'smoker' takes true or false, not 'maybe'"),
        ({"age": None}, "missing: age"),
        ({"age": "NaN"}, "'age' takes a finite number such as 3.5, not 'NaN'"),
        ({"age": float("inf")}, "'age' takes a finite number such as 3.5, not inf"),
        ({"age": "-Infinity"}, "'age' takes a finite number"),
        ({"salary": 3}, "unknown: salary"),
        ({"age": [1]}, "'age' takes a number"),
        ({"region": {"a": 1}}, "'region' takes one value"),
    ],
)
def test_a_wrong_row_is_refused_with_its_value(changes, words):
    with pytest.raises(BadInput) as caught:
        decode_input(card(ROW), {**GOOD, **changes})
    assert words in str(caught.value)


def test_an_empty_optional_number_is_not_a_number():
    optional = [{"type": "double", "name": "x", "required": False}, {"type": "long", "name": "n", "required": False}]
    tensors = decode_input(card(optional), {"x": "", "n": None})
    assert all(math.isnan(array.item()) for array in tensors.values())


def test_large_whole_numbers_stay_exact():
    assert decode_input(card([ROW[1]]), {"children": "9007199254740993"})["children"].item() == 9007199254740993


def test_text_and_tensors():
    assert decode_input(card(TEXT), "hello")["body"].tolist() == [["hello"]]
    assert decode_input(card(TEXT), {"body": "hello"})["body"].tolist() == [["hello"]]
    assert decode_input(card(tensor("str", -1)), "hello")["input_0"].tolist() == ["hello"]
    numbers = decode_input(card(tensor("float32", -1, 3)), "[1, 2, 3]")["input_0"]
    assert (numbers.dtype, numbers.tolist()) == (np.float32, [[1, 2, 3]])


def test_numbers_may_be_pasted_from_a_spreadsheet():
    assert decode_input(card(tensor("float32", -1, 3)), "1, 2.5,3\n")["input_0"].tolist() == [[1, 2.5, 3]]
    assert decode_input(card(tensor("float64", -1, 2, 2)), "1,2\n3,4")["input_0"].tolist() == [[[1, 2], [3, 4]]]


@pytest.mark.parametrize(
    "value",
    [
        "[NaN, 1, 2]",
        "1,inf,2",
        [1, float("nan"), 2],
        "[1, 2]",
        [[1, 2, 3], [4, 5, 6]],
        "abc",
        {"y": 1},
        None,
        [1, "x", 3],
    ],
)
def test_numbers_of_the_wrong_shape_are_refused(value):
    with pytest.raises(BadInput, match=r"input_0"):
        decode_input(card(tensor("float32", -1, 3)), value)


def test_a_picture_for_a_text_model_and_a_text_for_a_picture_model():
    with pytest.raises(BadInput, match="does not take pictures but body"):
        decode_input(card(TEXT), b"\x89PNG")
    with pytest.raises(BadInput, match="takes a picture, not the text 'cat'"):
        decode_input(card(tensor("float32", -1, 3, 8, 8)), "cat")


def test_numbers_are_never_cut_or_grown_to_infinity():
    with pytest.raises(BadInput, match=r"up to 3\.403e\+38"):
        decode_input(card([{"type": "float", "name": "x", "required": True}]), {"x": 1e39})
    with pytest.raises(BadInput, match="takes float32 numbers"):
        decode_input(card(tensor("float32", -1, 1)), [1e39])
    with pytest.raises(BadInput, match="takes int64 numbers"):
        decode_input(card(tensor("int64", -1, 2)), [1.5, 2])
    assert decode_input(card(tensor("int64", -1, 2)), [1.0, 2])["input_0"].tolist() == [[1, 2]]


@given(st.lists(st.text(), min_size=2, max_size=2, unique=True))
def test_different_texts_have_different_digests(texts):
    one, two = (decode_input(card(TEXT), text) for text in texts)
    assert digest(one) != digest(two)
    assert layout(one) == layout(two)
    assert join([one, two])["body"].ravel().tolist() == texts


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["age", "body", "input_0", "x"]), inner)
    ),
    max_leaves=8,
)


@given(JSON, st.sampled_from([ROW, TEXT, tensor("float32", -1, 3), tensor("int64", -1), None]))
def test_whatever_a_browser_sends_is_decoded_or_refused(value, signature):
    try:
        tensors = decode_input(card(signature), value)
    except BadInput as error:
        assert len(str(error)) > 10
    else:
        assert all(len(array) == 1 for array in tensors.values())


def test_the_only_field_of_a_model_without_signature_holds_what_is_written_in_it():
    numbers, anything = card(example=[[0.5, 1]]), card()
    assert (numbers.kind, anything.kind) == ("tensor", "other")
    assert decode_input(numbers, {"input": "[1, 2.5]"})["input"].tolist() == [[1, 2.5]]
    assert decode_input(numbers, {"input": "1, 2.5"})["input"].tolist() == [[1, 2.5]]
    assert decode_input(anything, {"input": "plain words"})["input"].tolist() == ["plain words"]
    assert decode_input(anything, {"input": "[3]"})["input"].tolist() == [[3]]
    with pytest.raises(BadInput, match="is not JSON such as"):
        decode_input(numbers, {"input": "[1, "})
