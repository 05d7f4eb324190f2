"""Flags in the API: their shapes, and reading, making and taking them back."""

import json
from typing import Any, Literal, NotRequired

import flask
import orjson
from pydantic import JsonValue, with_config
from typing_extensions import TypedDict

from dashboard.api import documents, inputs
from dashboard.api.queries import FlagsFilter, Query
from dashboard.api.shapes import CLOSED
from dashboard.errors import BadInput, BadQuery
from dashboard.flags import Flag
from dashboard.reports.flags import FlagsQuery, flag_answer, flag_given, flags_report
from dashboard.reports.flags import undo_flag as take_back
from dashboard.reports.inputs import Given, InferenceQuery
from dashboard.services import Services

_KEYS = ("input", "row", "verdict", "corrected", "reason")
_ACCEPTED = 'accepted is {"input": ..., "verdict": "right" | "wrong" | "unsure", "corrected": ..., "reason": "..."}'


@with_config(CLOSED)
class FlagShape(TypedDict):
    """One judgement of one answer."""

    id: str
    run_id: str
    model: str
    version: str
    model_id: str
    verdict: Literal["right", "wrong", "unsure"]
    corrected: JsonValue
    """The correct answer: a class, a number, boxes; null where nobody gave one."""
    reason: str
    author: str
    created: str | None
    """ISO 8601, UTC."""
    input: JsonValue
    """A text, a row or numbers; null for a picture."""
    picture: str | None
    """The digest of the picture's content; null for other inputs."""
    output: JsonValue
    """What the model answered then."""
    source: str
    row: int | None
    """The row of the run's evaluation that the input is; null for other inputs."""
    trace: str | None
    """The id of the MLflow trace that holds it; null until it is written there."""


@with_config(CLOSED)
class FlagsDocument(TypedDict):
    """One page of flags, newest first."""

    flags: list[FlagShape]
    total: int
    """How many flags match, on all pages."""
    offset: int
    limit: int


@with_config(CLOSED)
class FlagBody(TypedDict):
    """The input (or the number of a row of the evaluation) and what is said of the model's answer to it."""

    input: NotRequired[str | dict[str, JsonValue] | list[JsonValue]]
    row: NotRequired[int]
    verdict: Literal["right", "wrong", "unsure"]
    corrected: NotRequired[JsonValue]
    """The correct answer, if known: a class, a number, or JSON such as boxes."""
    reason: NotRequired[str]


def flag_document(flag: Flag) -> FlagShape:
    """A flag as the API tells it."""
    return {
        "id": flag.id,
        "run_id": flag.run_id,
        "model": flag.model,
        "version": flag.version,
        "model_id": flag.model_id,
        "verdict": flag.verdict,
        "corrected": json.loads(flag.corrected) if flag.corrected else None,
        "reason": flag.reason,
        "author": flag.author,
        "created": documents.moment(flag.created),
        "input": json.loads(flag.input) if flag.input else None,
        "picture": flag.picture or None,
        "output": json.loads(flag.output),
        "source": flag.source,
        "row": flag.row,
        "trace": f"tr-{flag.id}" if flag.stored == "written" else None,
    }


def flags(services: Services, query: FlagsFilter, run_id: str) -> FlagsDocument:
    """What people said of single answers of the run's model; `scope=model` adds the model's other versions."""
    asked = FlagsQuery(run_id, query.scope, query.verdict, query.search, query.offset)
    report = flags_report(services, asked, query.limit)
    listed = [flag_document(item.flag) for item in report.flags]
    return {"flags": listed, "total": report.total, "offset": query.offset, "limit": query.limit}


def make_flag(services: Services, query: Query, run_id: str) -> FlagShape:
    """Flag the model's answer to one input as right, wrong or unsure; durable once this answers."""
    services.runs.run(run_id)
    given, said = _picture(flask.request) if flask.request.mimetype == "multipart/form-data" else _json(flask.request)
    verdict, corrected = str(said.get("verdict") or ""), said.get("corrected")
    reason = str(said.get("reason") or "")
    if given is None:
        row = said.get("row")
        if isinstance(row, bool) or not isinstance(row, int):
            raise BadInput(f"The body has neither an 'input' nor a 'row' number; {_ACCEPTED}.")
        return flag_document(
            flag_answer(services, InferenceQuery(run=run_id, row=str(row)), verdict, corrected, reason)
        )
    return flag_document(flag_given(services, run_id, given, None, verdict, corrected, reason))


def undo_flag(services: Services, query: Query, run_id: str, flag_id: str) -> FlagShape:
    """Take a flag back; it leaves the lists at once and MLflow soon after. Answers with what it was."""
    if services.flags.flag(flag_id).run_id != run_id:
        raise BadQuery(f"Flag {flag_id[:40]} belongs to another run than {run_id[:40]}.")
    return flag_document(take_back(services, flag_id))


def _json(request: flask.Request) -> tuple[Given | None, dict[str, Any]]:
    try:
        said = orjson.loads(inputs.body_of(request))
    except orjson.JSONDecodeError as exc:
        raise BadInput(f"The body is not JSON ({exc}); {_ACCEPTED}.") from exc
    if not isinstance(said, dict):
        raise BadInput(f"The body is not an object; {_ACCEPTED}.")
    unknown = sorted(said.keys() - set(_KEYS))
    if unknown:
        raise BadInput(f"The body has an unknown key {unknown[0][:80]!r}; {_ACCEPTED}.")
    given = said.get("input")
    if given is not None and not isinstance(given, str | dict | list):
        raise BadInput(f"The input {str(given)[:60]!r} is neither a text, nor a row, nor a list; {_ACCEPTED}.")
    return (None if given is None else Given(given, "the API")), said


def _picture(request: flask.Request) -> tuple[Given, dict[str, Any]]:
    (picture, *_) = inputs.read_files(request)
    return Given(picture, "the API"), dict(request.form)
