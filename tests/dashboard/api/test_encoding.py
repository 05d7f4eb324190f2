"""JSON bytes that every parser accepts."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.api.encoding import encode

_HOSTILE = st.text(st.characters(), max_size=20) | st.sampled_from(
    ["</script>", "\ud800", "\x00", "\u2028", "NaN", "é"]
)
_SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**1100), 2**1100) | st.floats() | _HOSTILE | st.floats().map(np.float64)
)
_DOCUMENTS = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(_HOSTILE, inner, max_size=4),
    max_leaves=20,
)


def _strict(body: bytes):
    def refuse(name: str):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(body.decode("utf-8"), parse_constant=refuse)


@given(_DOCUMENTS)
def test_anything_becomes_strict_json(document):
    _strict(encode(document))


@given(st.lists(st.floats()))
def test_finite_numbers_survive_and_others_are_null(values):
    assert _strict(encode(values)) == [value if math.isfinite(value) else None for value in values]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64("nan"), None),
        (np.float32("inf"), None),
        (np.float64(0.1), 0.1),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (float("-inf"), None),
        (2**64, 2.0**64),
        (10**400, None),
        ("a\ud800b", "a\\ud800b"),
        ({1: "whole", None: "nothing"}, {"1": "whole", "null": "nothing"}),
    ],
)
def test_what_json_lacks(value, expected):
    assert _strict(encode({"x": value})) == {"x": expected}
