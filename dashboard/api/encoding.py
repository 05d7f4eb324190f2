"""JSON bytes that every parser accepts: NaN and infinity are null, whatever the names and numbers."""

from typing import Any

import orjson

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def encode(document: object) -> bytes:
    """UTF-8 JSON of plain containers, NumPy scalars included; lone surrogates are written out (`\\ud800`)."""
    try:
        return orjson.dumps(document, default=str, option=_OPTIONS)
    except orjson.JSONEncodeError:  # a lone surrogate or an integer beyond 64 bits: rare, so cleaned only then
        return orjson.dumps(_clean(document), default=str, option=_OPTIONS)


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value) if abs(value) < 2**1023 else None
    return value
