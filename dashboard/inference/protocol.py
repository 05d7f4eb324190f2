"""The message between client and engine: Open Inference Protocol v2 with binary tensors; imports no torch.

Over HTTP the protocol's binary extension keeps the length of the JSON header in the header field
`Inference-Header-Content-Length`. The embedded engine sees only the body, so there the same bytes follow a
four-byte big-endian length. Source: https://kserve.github.io/website/ (Open Inference Protocol, binary data).
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.errors import BadInput

Array = NDArray[Any]
Tensors = dict[str, Array]
ENGINE_VERSION = 1
ROUTE = "/v2/infer"
HEADER_FIELD = "Inference-Header-Content-Length"

DATATYPES = {
    "BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64",
    "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64",
    "FP16": "float16", "FP32": "float32", "FP64": "float64",
}  # fmt: skip
_NAMES = {np.dtype(dtype): name for name, dtype in DATATYPES.items()}


@dataclass(frozen=True)
class Message:
    """A decoded message: the JSON header without the tensor lists, and the tensors by name."""

    header: dict[str, Any]
    tensors: Tensors = field(default_factory=dict)


def encode(header: Mapping[str, Any], tensors: Mapping[str, Array], kind: str = "inputs") -> bytes:
    """The framed message: four bytes of length, JSON header, tensors. `kind` is "inputs" or "outputs"."""
    text, blobs = encode_parts(header, tensors, kind)
    return b"".join((struct.pack(">I", len(text)), text, *blobs))


def encode_parts(
    header: Mapping[str, Any], tensors: Mapping[str, Array], kind: str = "inputs"
) -> tuple[bytes, list[bytes]]:
    """The JSON header and the binary tensors apart, as the protocol sends them over plain HTTP."""
    described, blobs = [], []
    for name, array in tensors.items():
        datatype, blob, extra = _pack(array)
        parameters = {"binary_data_size": len(blob), **extra}
        described.append({"name": name, "shape": list(array.shape), "datatype": datatype, "parameters": parameters})
        blobs.append(blob)
    return json.dumps({**header, kind: described}, separators=(",", ":")).encode(), blobs


def encode_json(header: Mapping[str, Any], tensors: Mapping[str, Array], kind: str = "inputs") -> bytes:
    """The message as plain JSON, for those who take no binary tensors; floats that are no numbers are null."""
    described = [
        {"name": name, "shape": list(array.shape), "datatype": _datatype(array), "data": _listed(array)}
        for name, array in tensors.items()
    ]
    return json.dumps({**header, kind: described}, separators=(",", ":"), default=str).encode()


def decode(body: bytes | bytearray | memoryview) -> Message:
    """The message of a framed body; raises BadInput when the frame is broken."""
    view = memoryview(body)
    if len(view) < 4:
        raise BadInput(f"The message has {len(view)} bytes; at least 4 are needed for its length.")
    (length,) = struct.unpack(">I", view[:4])
    if length > len(view) - 4:
        raise BadInput(f"The message says its header has {length} bytes, but only {len(view) - 4} follow.")
    return decode_parts(view[4 : 4 + length], view[4 + length :])


def decode_parts(text: bytes | memoryview, blob: memoryview) -> Message:
    """The message of a JSON header and the binary tensors behind it; raises BadInput when they do not fit."""
    try:
        header = json.loads(bytes(text))
        described = header.pop("inputs", None) or header.pop("outputs", None) or []
        tensors, offset = {}, 0
        for item in described:
            size = item.get("parameters", {}).get("binary_data_size")
            if size is None:
                tensors[item["name"]] = _from_json(item)
            else:
                tensors[item["name"]] = _unpack(item, blob[offset : offset + size])
                offset += size
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as exc:
        raise BadInput(f"The message is not Open Inference Protocol v2: {exc}.") from exc
    return Message(header, tensors)


def _pack(array: Array) -> tuple[str, bytes, dict[str, Any]]:
    if array.dtype.kind in "OUS":
        values = [None if value is None else str(value).encode() for value in array.ravel().tolist()]
        nulls = [index for index, value in enumerate(values) if value is None]
        blob = b"".join(struct.pack("<I", len(value or b"")) + (value or b"") for value in values)
        return "BYTES", blob, {"nulls": nulls} if nulls else {}
    return _datatype(array), np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes(), {}


def _datatype(array: Array) -> str:
    name = "BYTES" if array.dtype.kind in "OUS" else _NAMES.get(array.dtype.newbyteorder("="))
    if name is None:
        raise BadInput(f"A tensor of type {array.dtype} cannot be sent; numbers, booleans and text can.")
    return name


def _listed(array: Array) -> list[Any]:
    flat = array.ravel()
    if flat.dtype.kind == "f" and not np.isfinite(flat).all():
        return [value if np.isfinite(value) else None for value in flat.tolist()]
    return list(flat.tolist())


def _unpack(item: dict[str, Any], blob: memoryview) -> Array:
    shape = tuple(int(n) for n in item["shape"])
    if item["datatype"] != "BYTES":
        return np.frombuffer(blob, dtype=np.dtype(DATATYPES[item["datatype"]])).reshape(shape)
    values, offset = [], 0
    while offset < len(blob):
        (size,) = struct.unpack_from("<I", blob, offset)
        values.append(bytes(blob[offset + 4 : offset + 4 + size]).decode())
        offset += 4 + size
    out = np.array(values, dtype=object)
    out[item["parameters"].get("nulls", [])] = None
    return out.reshape(shape)


def _from_json(item: dict[str, Any]) -> Array:
    dtype = np.dtype(object) if item["datatype"] == "BYTES" else np.dtype(DATATYPES[item["datatype"]])
    return np.array(item["data"], dtype=dtype).reshape(tuple(item["shape"]))
