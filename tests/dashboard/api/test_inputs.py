"""The inputs of a predict request."""

from io import BytesIO

import flask
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter
from werkzeug.exceptions import UnsupportedMediaType

from dashboard.api.inputs import parse_body, read_inputs
from dashboard.api.shapes import MAX_INPUTS, PredictBody
from dashboard.errors import BadInput

_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_ITEMS = st.text() | st.dictionaries(st.text(), _VALUES, max_size=2) | st.lists(_VALUES, max_size=2)
_LISTS = st.lists(st.text(), max_size=3) | st.lists(_ITEMS, max_size=3) | st.lists(_VALUES, max_size=3)
_BODIES = _VALUES | st.fixed_dictionaries({"inputs": _LISTS}, optional={"x": _VALUES})
_VALIDATOR = Draft202012Validator(TypeAdapter(PredictBody).json_schema())


@given(_BODIES)
def test_the_schema_and_the_parser_accept_the_same_bodies(body):
    try:
        parse_body(orjson.dumps(body))
        accepted = True
    except BadInput:
        accepted = False
    assert accepted == _VALIDATOR.is_valid(body)


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"", "The body is not JSON"),
        (b'{"inputs": [NaN]}', "Missing values are null."),
        (b"[]", "has no 'inputs'"),
        (b'{"inputs": []}', "has 0 inputs; accepted are 1 to 1,000."),
        (orjson.dumps({"inputs": ["x"] * (MAX_INPUTS + 1)}), "has 1,001 inputs; accepted are 1 to 1,000."),
        (b'{"inputs": "text"}', "'inputs' is a text; accepted is"),
        (b'{"inputs": {"a": 1}}', "'inputs' is a row; accepted is"),
        (b'{"inputs": ["x", 3]}', "inputs[1] is a number; accepted is"),
        (b'{"inputs": [true]}', "inputs[0] is a boolean; accepted is"),
        (b'{"inputs": [null]}', "inputs[0] is null; accepted is"),
        (b'{"inputs": ["x", {"a": 1}]}', "inputs[1] is a row and inputs[0] is a text"),
        (b'{"inputs": ["x"], "params": {}}', "unknown key 'params'"),
        (b'{"inputs": ' + b"[" * 5000 + b"]" * 5000 + b"}", "not JSON"),
    ],
)
def test_a_wrong_body_is_named(body, part):
    with pytest.raises(BadInput) as caught:
        parse_body(body)
    assert part in str(caught.value)


def _read(**options):
    with flask.Flask("x").test_request_context("/", method="POST", **options):
        return read_inputs(flask.request)


def test_files_come_in_their_order():
    files = [(BytesIO(name.encode()), name) for name in ("b.png", "a.png", "c.png")]
    assert _read(data={"images": files}) == [b"b.png", b"a.png", b"c.png"]


def test_a_form_without_files_and_an_empty_file_are_refused():
    with pytest.raises(BadInput, match="form has no file"):
        _read(data={"images": "text"}, content_type="multipart/form-data")
    with pytest.raises(BadInput, match=r"File 'blank\.png' is empty"):
        _read(data={"images": (BytesIO(b""), "blank.png")})


def test_other_content_types_are_refused():
    with pytest.raises(UnsupportedMediaType, match="accepted are application/json and multipart/form-data"):
        _read(data=b'{"inputs": ["x"]}', content_type="text/plain")
