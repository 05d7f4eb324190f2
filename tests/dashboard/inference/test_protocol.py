"""Messages survive the trip, and broken ones are refused with a sentence."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dashboard.errors import BadInput
from dashboard.inference.protocol import decode, encode, encode_parts

NUMBERS = st.sampled_from(
    ["bool", "uint8", "int8", "int16", "int32", "int64", "uint64", "float16", "float32", "float64"]
)
SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)
ARRAYS = NUMBERS.flatmap(lambda dtype: hnp.arrays(dtype, SHAPES))
TEXTS = st.lists(st.one_of(st.none(), st.text()), max_size=6).map(lambda values: np.array([*values, "x"], dtype=object))


@given(
    st.dictionaries(st.text(min_size=1), st.one_of(ARRAYS, TEXTS), max_size=4), st.sampled_from(["inputs", "outputs"])
)
def test_a_message_comes_back_as_it_was(tensors, kind):
    message = decode(encode({"op": "infer"}, tensors, kind))
    assert message.header.get("op") == "infer"
    assert list(message.tensors) == list(tensors)
    for name, array in tensors.items():
        np.testing.assert_array_equal(message.tensors[name], array)
        assert message.tensors[name].dtype.kind == array.dtype.kind


def test_big_endian_and_strided_arrays_are_sent_by_value():
    array = np.arange(12, dtype=">i4").reshape(3, 4)[:, ::2]
    np.testing.assert_array_equal(decode(encode({}, {"x": array})).tensors["x"], array)


def test_the_layout_is_that_of_the_open_inference_protocol():
    text, blobs = encode_parts({"id": "1"}, {"x": np.array([[1.0]], np.float32), "t": np.array(["é"], object)})
    assert json.loads(text)["inputs"] == [
        {"name": "x", "shape": [1, 1], "datatype": "FP32", "parameters": {"binary_data_size": 4}},
        {"name": "t", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 6}},
    ]
    assert blobs == [struct.pack("<f", 1.0), struct.pack("<I", 2) + "é".encode()]


def test_numbers_may_also_come_as_json():
    header = {"inputs": [{"name": "x", "shape": [2], "datatype": "INT64", "data": [3, 4]}]}
    text = json.dumps(header).encode()
    assert decode(struct.pack(">I", len(text)) + text).tensors["x"].tolist() == [3, 4]


@pytest.mark.parametrize(
    "body",
    [b"", b"\0\0", struct.pack(">I", 99) + b"{}", struct.pack(">I", 2) + b"[]", struct.pack(">I", 3) + b"{x}"],
)
def test_what_is_no_message_is_refused(body):
    with pytest.raises(BadInput):
        decode(body)


@given(st.binary(max_size=60))
def test_noise_is_refused_and_never_breaks_the_reader(noise):
    body = encode({"op": "infer"}, {"x": np.zeros((2, 2), np.float32)})
    for broken in (noise, body[: len(noise)], body[:4] + noise + body[4:]):
        try:
            decode(broken)
        except BadInput:
            continue


def test_a_type_that_cannot_be_sent_is_named():
    with pytest.raises(BadInput, match="complex128"):
        encode({}, {"x": np.zeros(1, complex)})
