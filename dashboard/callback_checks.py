"""POST /_dash-update-component: whether a request is one that the browser could have sent, before anything runs."""

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

import flask
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from dashboard.access.refusals import refusal
from dashboard.access.users import require_editor
from dashboard.errors import BadInput, NotAllowed, TooMany
from dashboard.limits import Limits

PATH = "/_dash-update-component"
MOST_BYTES = 4 * 2**20
Callbacks = Callable[[], Mapping[str, Mapping[str, Any]]]


def register(server: flask.Flask, limits: Limits, callbacks: Callbacks, editor_jobs: Collection[str]) -> None:
    """Refuse what is malformed (400), too large (413), only for editors (403) or too often (429)."""

    @server.before_request
    def check() -> flask.Response | None:
        if flask.request.path != PATH or flask.request.method != "POST":
            return None
        flask.request.max_content_length = MOST_BYTES
        try:
            found = checked(flask.request.get_json(), callbacks())
            if found["background"] and "cacheKey" not in flask.request.args:
                if ids_of(found["output"]) & set(editor_jobs):
                    require_editor("start this job")
                limits.spend("jobs")
        except RequestEntityTooLarge:
            return refusal(413, f"A callback's request may have at most {MOST_BYTES // 2**20} MB.")
        except (HTTPException, RecursionError):
            return refusal(400, "The request is not JSON that a page sends.")
        except TooMany as error:
            return refusal(429, str(error), Retry_After=str(error.wait))
        except (BadInput, NotAllowed) as error:
            return refusal(error.status, str(error))
        return None


def checked(body: Any, callbacks: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The callback that a request names; BadInput when there is none such or its ids or properties are others."""
    if not isinstance(body, dict) or not isinstance(body.get("output"), str):
        raise BadInput("The request names no callback.")
    found = callbacks.get(body["output"])
    if found is None:
        raise BadInput(f"There is no callback {body['output'][:80]!r}.")
    for part, name in (("inputs", "inputs"), ("state", "state")):
        _same(body.get(part, []), found[name], name)
    _outputs(body.get("outputs"), found)
    changed = body.get("changedPropIds", [])
    if not isinstance(changed, list) or not all(isinstance(item, str) for item in changed):
        raise BadInput("changedPropIds is not a list of texts.")
    return found


def _same(given: Any, wanted: Any, name: str) -> None:
    """Each given id and property is the declared one; a pattern's are a list whose ids have the declared keys."""
    if not isinstance(given, list) or len(given) != len(wanted):
        raise BadInput(f"The callback takes {len(wanted)} {name}.")
    for item, spec in zip(given, wanted, strict=True):
        pattern = spec["id"].startswith("{")
        several = item if pattern and isinstance(item, list) else [item]
        if not all(_is(one, spec, pattern) for one in several):
            raise BadInput(f"The callback's {name} are not {spec['id'][:80]}.{spec['property']}.")


def _is(item: Any, spec: Mapping[str, str], pattern: bool) -> bool:
    # what several callbacks share (allow_duplicate) is written with a hash behind it
    if not isinstance(item, dict) or str(item.get("property")).split("@")[0] != spec["property"]:
        return False
    return _matches(item.get("id"), spec["id"]) if pattern else item.get("id") == spec["id"]


def _matches(given: Any, pattern: str) -> bool:
    """Whether an id has the pattern's keys, its fixed values, and plain values elsewhere."""
    wanted = json.loads(pattern)
    return (
        isinstance(given, dict)
        and given.keys() == wanted.keys()
        and all(
            isinstance(given[key], str | int | float) and (isinstance(value, list) or given[key] == value)
            for key, value in wanted.items()
        )
    )


def _outputs(given: Any, found: Mapping[str, Any]) -> None:
    """The outputs that an answer is arranged by are those of the callback."""
    if found.get("no_output"):
        return
    declared = found["output"] if isinstance(found["output"], list | tuple) else [found["output"]]
    wanted = [{"id": output.component_id_str(), "property": output.component_property} for output in declared]
    _same(
        given if isinstance(given, list) and isinstance(found["output"], list | tuple) else [given], wanted, "outputs"
    )


def ids_of(output: Any) -> set[str]:
    """The component ids of one output or several, as texts."""
    several = output if isinstance(output, list | tuple) else [output] if output is not None else []
    return {item.component_id_str() for item in several}
