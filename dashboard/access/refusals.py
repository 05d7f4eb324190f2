"""How a request is turned away: one sentence that people and programs can read."""

import flask


def refusal(status: int, sentence: str, **headers: str) -> flask.Response:
    """An answer of this status; keyword names of further headers are written with underscores."""
    code = {401: "not_signed_in", 413: "too_large", 429: "too_many", 400: "bad_request"}.get(status, "not_allowed")
    answer = flask.jsonify({"error": {"code": code, "message": sentence}})
    answer.status_code = status
    answer.headers["Cache-Control"] = "no-store"
    for name, value in headers.items():
        answer.headers[name.replace("_", "-")] = value
    return answer
