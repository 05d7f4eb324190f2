"""What a request for a callback must look like, on a bare server."""

import json
from pathlib import Path
from typing import Any

import flask
import pytest
from dash import ALL, Input, Output, State

from dashboard import callback_checks
from dashboard.access.users import User, set_user
from dashboard.cache import ResultCache
from dashboard.callback_checks import PATH
from dashboard.limits import Limits
from dashboard.settings import Settings


def _spec(*parts: Any) -> list[dict[str, str]]:
    return [part.to_dict() for part in parts]


CALLBACKS: dict[str, dict[str, Any]] = {
    "a.children": {
        "output": Output("a", "children"),
        "inputs": _spec(Input("b", "value"), Input({"type": "t", "name": ALL}, "value")),
        "state": _spec(State("c", "data")),
        "background": None,
    },
    "job.children": {"output": Output("job", "children"), "inputs": [], "state": [], "background": {"interval": 1}},
}
GOOD = {
    "output": "a.children",
    "outputs": {"id": "a", "property": "children"},
    "inputs": [
        {"id": "b", "property": "value", "value": 1},
        [{"id": {"type": "t", "name": "x"}, "property": "value", "value": 1}],
    ],
    "state": [{"id": "c", "property": "data"}],
    "changedPropIds": ["b.value"],
}


@pytest.fixture
def server(tmp_path: Path) -> flask.Flask:
    """A server that only checks: what passes is not found."""
    made = flask.Flask("x")
    limits = Limits(Settings(data_dir=tmp_path, auth="none", jobs_per_minute=3), ResultCache(tmp_path / "cache", 16))
    made.before_request(lambda: set_user(User("eve" if "eve" in flask.request.args else "ada", "editor")))
    made.before_request(lambda: set_user(User("eve")) if "eve" in flask.request.args else None)
    callback_checks.register(made, limits, lambda: CALLBACKS, {"job"})
    return made


def _without(*path: Any, **changes: Any) -> dict[str, Any]:
    body = json.loads(json.dumps(GOOD))
    place = body
    for key in path:
        place = place[key]
    place.update(changes)
    return body


def test_what_a_page_sends_passes(server: flask.Flask) -> None:
    assert server.test_client().post(PATH, json=GOOD).status_code == 404
    assert server.test_client().post(PATH, json=_without(inputs=[GOOD["inputs"][0], []])).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        {},
        _without(output="z.children"),
        _without(output=["a.children"]),
        _without(output="a.figure"),
        _without(outputs={"id": "shell-store", "property": "children"}),
        _without(outputs=[[GOOD["outputs"]]]),
        _without(outputs=None),
        _without(inputs=[]),
        _without(inputs={"b": 1}),
        _without(inputs=[None, None]),
        _without("inputs", 0, id="c"),
        _without("inputs", 0, property="children"),
        _without("inputs", 0, id={"b": 1}),
        _without("inputs", 1, 0, id={"type": "other", "name": "x"}),
        _without("inputs", 1, 0, id={"type": "t", "name": {"x": []}}),
        _without("inputs", 1, 0, id={"type": "t"}),
        _without("state", 0, id="b"),
        _without(changedPropIds={"b": 1}),
        _without(changedPropIds=[1]),
    ],
)
def test_what_no_page_sends_is_refused(server: flask.Flask, body: Any) -> None:
    answer = server.test_client().post(PATH, json=body)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "bad_request")


def test_what_is_not_json_too_deep_or_too_large_is_refused(server: flask.Flask) -> None:
    client = server.test_client()
    assert client.post(PATH, data="{", content_type="application/json").status_code == 400
    assert client.post(PATH, data="{}", content_type="text/plain").status_code == 400
    assert client.post(PATH, data="[" * 200_000, content_type="application/json").status_code == 400
    large = client.post(PATH, data=json.dumps({"output": "x" * 10 * 2**20}), content_type="application/json")
    assert large.status_code == 413


def test_jobs_are_for_editors_and_counted(server: flask.Flask) -> None:
    client, body = server.test_client(), {"output": "job.children", "outputs": {"id": "job", "property": "children"}}
    assert client.post(f"{PATH}?eve=1", json=body).status_code == 403
    assert client.post(f"{PATH}?cacheKey=signed", json=body).status_code == 404
    answers = [client.post(PATH, json=body) for _ in range(12)]
    late = next(answer for answer in answers if answer.status_code != 404)
    assert (late.status_code, late.get_json()["error"]["code"]) == (429, "too_many")
    assert 0 < int(late.headers["Retry-After"]) <= 60
