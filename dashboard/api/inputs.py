"""What a predict request may carry: texts, rows or lists as JSON, or images as multipart files."""

from typing import Any

import orjson
from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from dashboard.api.shapes import MAX_INPUTS
from dashboard.errors import BadInput

Inputs = list[str] | list[bytes] | list[dict[str, Any]] | list[list[Any]]

_KINDS: dict[type, str] = {
    str: "a text",
    dict: "a row",
    list: "a list",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}
_ACCEPTED = 'accepted is {"inputs": [...]} with 1 to 1,000 texts, rows (objects by column name) or lists of numbers'


def read_inputs(request: Request) -> Inputs:
    """The inputs of a request, in order; BadInput says which one is wrong and what would be accepted."""
    if request.mimetype == "multipart/form-data":
        return read_files(request)
    if request.is_json:
        return parse_body(body_of(request))
    accepted = "accepted are application/json and multipart/form-data"
    raise UnsupportedMediaType(f"The body's content type is {request.mimetype[:80]!r}; {accepted}.")


def body_of(request: Request) -> bytes:
    """The whole body; 413 when it is longer than accepted."""
    body = request.get_data()
    limit = request.max_content_length
    # because Werkzeug cuts a body without Content-Length off at the limit instead of refusing it
    if request.content_length is None and limit is not None and len(body) >= limit:
        raise RequestEntityTooLarge
    return body


def parse_body(body: bytes) -> Inputs:
    """The inputs of a JSON body."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise BadInput(f"The body is not JSON ({exc}); {_ACCEPTED}. Missing values are null.") from exc
    if not isinstance(document, dict) or "inputs" not in document:
        raise BadInput(f"The body has no 'inputs'; {_ACCEPTED}.")
    unknown = sorted(document.keys() - {"inputs"})
    if unknown:
        raise BadInput(f"The body has an unknown key {unknown[0][:80]!r}; {_ACCEPTED}.")
    return _one_kind(document["inputs"])


def _one_kind(inputs: Any) -> Inputs:
    if not isinstance(inputs, list):
        raise BadInput(f"'inputs' is {_KINDS[type(inputs)]}; {_ACCEPTED}.")
    _check_count(len(inputs))
    first = type(inputs[0])
    for position, item in enumerate(inputs):
        if type(item) not in (str, dict, list):
            raise BadInput(f"inputs[{position}] is {_KINDS[type(item)]}; {_ACCEPTED}.")
        if type(item) is not first:
            raise BadInput(f"inputs[{position}] is {_KINDS[type(item)]} and inputs[0] is {_KINDS[first]}; {_ACCEPTED}.")
    return inputs


def read_files(request: Request) -> list[bytes]:
    """The files of a multipart form, in order."""
    files = [file for _, file in request.files.items(multi=True)]
    if not files:
        raise BadInput("The form has no file; accepted are 1 to 1,000 image files.")
    _check_count(len(files))
    contents = [file.read() for file in files]
    for file, content in zip(files, contents, strict=True):
        if not content:
            raise BadInput(f"File {(file.filename or '')[:80]!r} is empty; accepted are image files.")
    return contents


def _check_count(count: int) -> None:
    if not 1 <= count <= MAX_INPUTS:
        raise BadInput(f"The request has {count:,} inputs; accepted are 1 to {MAX_INPUTS:,}.")
