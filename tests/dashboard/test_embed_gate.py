"""What a link may ask of every route, and with which callback payloads."""

import json
import re
from typing import Any

import flask
import pytest

import app
from dashboard.access.demands import DEMANDS
from dashboard.embed_gate import HEADER, Panel, check_callback
from dashboard.embedding import EmbedLink, EmbedLinks, make_link
from dashboard.errors import NotAllowed
from dashboard.server import create_app
from dashboard.services import build_services
from dashboard.settings import Settings

RUN, OTHER = "a" * 32, "b" * 32
PANEL = Panel(frozenset({"x.children"}), "p-query", {"p-view": ("run", "filter", "sort")})
LINK = EmbedLink("i", "/p", "x", "x", {"run": RUN, "filter": "age > 3"}, "view", 0.0)
QUERY = {"run": RUN, "filter": "age > 3"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[flask.Flask, EmbedLinks]:
    """The whole application behind a proxy that names nobody here, so that only links get in."""
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("served"), auth="proxy", auth_proxies=("10.0.0.0/8",),
        embed_keys=("key of this test",), frame_ancestors="https://wiki.example", embed_predictions_per_minute=3,
    )  # fmt: skip
    server = create_app(settings, build_services(settings), app.PAGES, app.SHELL).server
    return server, EmbedLinks(settings, "")


def _token(links: EmbedLinks, **changes: Any) -> str:
    wanted = {"path": "/performance", "panel": "per-class", "slot": "performance-body", "params": {"run": RUN}}
    return links.token(make_link(links.settings, wanted | changes))


def _routes(server: flask.Flask) -> list[tuple[str, str, str]]:
    found = []
    for rule in server.url_map.iter_rules():
        path = re.sub("<[^>]*>", "x", str(rule).replace("<run_id>", RUN))
        found += [(rule.endpoint, method, path) for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})]
    return found


def _statuses(served: tuple[flask.Flask, EmbedLinks], token: str, reach: set[str]) -> dict[str, int]:
    """The status of every route outside of `reach`, asked with the token as a frame does."""
    server, client = served[0], served[0].test_client()
    asked = {
        f"{method} {path}": client.open(f"{path}?token={token}", method=method, headers={HEADER: token}).status_code
        for endpoint, method, path in _routes(server)
        if endpoint not in reach
    }
    assert len(asked) > 30
    return {route: status for route, status in asked.items() if status != 403}


def test_a_link_reaches_its_own_routes_only(served: tuple[flask.Flask, EmbedLinks]) -> None:
    for scope in ("view", "predict"):
        scopes = ("view",) if scope == "view" else ("view", "predict")
        reach = {name for name, demand in DEMANDS.items() if demand.embedded in scopes}
        assert _statuses(served, _token(served[1], scope=scope), reach) == {}


def test_an_altered_or_foreign_token_reaches_nothing_at_all(served: tuple[flask.Flask, EmbedLinks]) -> None:
    token = _token(served[1])
    altered = token[:-20] + ("A" if token[-20] != "A" else "B") + token[-19:]  # not the last: it has unused bits
    assert _statuses(served, altered, set()) == {}
    assert _statuses(served, _token(EmbedLinks(Settings(embed_keys=("other",)), "")), set()) == {}


def test_no_route_of_a_frame_sets_a_cookie_or_is_framed_by_others(served: tuple[flask.Flask, EmbedLinks]) -> None:
    server, links = served
    client, token = server.test_client(), _token(links)
    page = client.get(f"/embed?token={token}")
    layout = client.get("/_dash-layout", headers={HEADER: token})
    assert [page.status_code, layout.status_code] == [200, 200]
    for answer in (page, layout):
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Content-Security-Policy"].endswith("frame-ancestors https://wiki.example")
    assert client.get("/health").headers["Content-Security-Policy"].endswith("frame-ancestors 'self'")


def test_a_frame_that_cannot_be_shown_says_why_and_leads_on(served: tuple[flask.Flask, EmbedLinks]) -> None:
    refused = served[0].test_client().get("/embed?token=nonsense")
    assert refused.status_code == 403
    assert "This embed link is not valid here." in refused.text
    assert 'href="/" target="_blank"' in refused.text


def test_the_layout_and_the_callbacks_are_the_panels(served: tuple[flask.Flask, EmbedLinks]) -> None:
    server, links = served
    client, headers = server.test_client(), {HEADER: _token(links)}
    layout = client.get("/_dash-layout", headers=headers).text
    assert RUN in layout
    assert "performance-body" in layout
    for absent in ("performance-curves", "performance-contrast", "shell-store", "performance-filter", "_pages_content"):
        assert f'"{absent}"' not in layout
    listed = {item["output"] for item in client.get("/_dash-dependencies", headers=headers).get_json()}
    assert "performance-body.children" in listed
    assert len(listed) < 6
    gone = client.get("/_dash-layout", headers={HEADER: _token(links, slot="no-such-place")})
    assert gone.status_code == 403
    assert "does not exist any more" in gone.headers["X-Vitrine-Refused"]


@pytest.mark.parametrize("page", app.PAGES, ids=lambda page: page.name)
def test_every_panel_of_an_empty_page_can_be_cut_out(page: Any, served: tuple[flask.Flask, EmbedLinks]) -> None:
    server, links = served
    tree = json.dumps(page.build(), default=lambda part: part.to_plotly_json())
    for name in set(re.findall(r'"data-panel": "([^"]+)"', tree)):
        token = _token(links, path=page.path, panel=name, slot="")
        layout = server.test_client().get("/_dash-layout", headers={HEADER: token})
        assert layout.status_code == 200
        assert f'"data-panel":"{name}"' in layout.text
        listed = server.test_client().get("/_dash-dependencies", headers={HEADER: token}).get_json()
        deeds = [item for item in listed if not item["clientside_function"] and item["prevent_initial_call"]]
        assert deeds == [item for item in listed if item["background"]] == []


def test_a_link_fetches_the_table_of_its_panel_and_view_and_no_other(served: tuple[flask.Flask, EmbedLinks]) -> None:
    server, links = served
    client, token = server.test_client(), _token(links)

    def fetched(table: str, **query: str) -> int:
        return client.get(f"/export/{table}.csv", query_string=query).status_code

    assert fetched("classes", run=RUN, sort="n", token=token) == 404  # let in: there is no such run
    assert fetched("slices", run=RUN, token=token) == fetched("rows", run=RUN, token=token) == 403
    assert fetched("classes", run=OTHER, token=token) == fetched("classes", run=RUN, filter="n > 1", token=token) == 403
    assert fetched("classes", run=RUN) == fetched("classes", token=token) == 403


def test_a_frame_learns_when_to_draw_anew_and_nothing_else(served: tuple[flask.Flask, EmbedLinks]) -> None:
    answer = served[0].test_client().get("/embed/revision", headers={HEADER: _token(served[1])})
    assert list(answer.get_json()) == ["revision"]


def test_the_live_panel_has_the_sliders_of_a_generator_once(served: tuple[flask.Flask, EmbedLinks]) -> None:
    server, links = served
    headers = {HEADER: _token(links, path="/inference", panel="live", slot="", scope="predict")}
    client = server.test_client()
    assert client.get("/_dash-layout", headers=headers).text.count('"id":"generator-card"') == 1
    listed = client.get("/_dash-dependencies", headers=headers).get_json()
    assert "generator-card.data-latent" in {item["output"] for item in listed}


def test_predictions_of_a_link_are_counted_by_link(served: tuple[flask.Flask, EmbedLinks]) -> None:
    server, links = served
    client, path = server.test_client(), f"/api/v1/runs/{RUN}/predict"
    headers = {HEADER: _token(links, scope="predict")}
    answers = (client.post(path, json={"inputs": ["a"]}, headers=headers) for _ in range(9))
    late = next(answer for answer in answers if answer.status_code == 429)
    assert 0 < int(late.headers["Retry-After"]) <= 60
    elsewhere = client.post(f"/api/v1/runs/{OTHER}/predict", json={"inputs": ["a"]}, headers=headers)
    assert elsewhere.get_json()["error"]["message"] == "This embed link is for another run."


def _body(query: Any = QUERY, view: Any = None, other: Any = None, output: str = "x.children") -> dict[str, Any]:
    given = [
        {"id": "p-view", "property": "data", "value": {"fields": [*PANEL.views["p-view"]], **QUERY} | (view or {})}
    ]
    given.append({"id": "shell-revision", "property": "data", "value": other})
    return {"output": output, "inputs": given, "state": [{"id": "p-query", "property": "data", "value": query}]}


def test_the_links_own_view_passes_however_it_is_arranged() -> None:
    check_callback(LINK, PANEL, _body())
    check_callback(LINK, PANEL, _body({**QUERY, "sort": "n", "slice": ""}, {"sort": "n"}, 7))
    predicting = EmbedLink("i", "/p", "x", "", {"run": RUN, "row": "3"}, "predict", 0.0)
    check_callback(predicting, Panel(PANEL.callbacks, "p-query", {}), _predict({"run": RUN, "text": "hello"}))
    with pytest.raises(NotAllowed):
        check_callback(predicting, Panel(PANEL.callbacks, "p-query", {}), _predict({"run": RUN, "flag": "1"}))


def _predict(query: dict[str, str]) -> dict[str, Any]:
    return {"output": "x.children", "inputs": [{"id": "p-query", "property": "data", "value": query}], "state": []}


@pytest.mark.parametrize(
    "body",
    [
        _body(output="y.children"),
        _body({**QUERY, "run": OTHER}),
        _body({"run": RUN}),
        _body({**QUERY, "filter": "1 = 1"}),
        _body({**QUERY, "slice": "small"}),
        _body({**QUERY, "row": "3"}),
        _body(None),
        _body([]),
        _body(view={"run": OTHER}),
        _body(view={"filter": ""}),
        _body(view={"fields": []}),
        _body(view={"slice": "small"}),
        _body(other=OTHER),
        _body(other={"run": OTHER}),
        _body(other=[{"deep": {"filter": "1 = 1"}}]),
    ],
)
def test_a_forged_payload_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(NotAllowed):
        check_callback(LINK, PANEL, body)
