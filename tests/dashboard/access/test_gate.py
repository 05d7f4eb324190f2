"""The gate on every route of the real application, for every way in."""

import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash

from dashboard.access.demands import DEMANDS, demand_of
from tests.dashboard.access.conftest import PASSWORD, PROXY

Served = Callable[..., flask.Flask]


def _basic(name: str, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


def _asked(client: FlaskClient, address: str = "10.1.2.3", **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.get("/_dash-layout", headers=named, environ_overrides={"REMOTE_ADDR": address}).status_code


def _paths(server: flask.Flask, role: str) -> list[tuple[str, str]]:
    """Every method and path that demands this role, with placeholders filled in."""
    found = []
    for rule in server.url_map.iter_rules():
        path = re.sub("<[^>]*>", "x", str(rule))
        methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        found += [(method, path) for method in methods if demand_of(rule.endpoint).role == role]
    return found


def test_what_every_route_demands_is_written_down(whole: flask.Flask) -> None:
    endpoints = {rule.endpoint for rule in whole.url_map.iter_rules()}
    assert sorted(endpoints - set(DEMANDS)) == []
    assert sorted(set(DEMANDS) - endpoints - {"login", "back", "logout"}) == []


def test_no_route_answers_a_stranger_and_viewers_do_not_edit(whole: flask.Flask) -> None:
    client = whole.test_client()
    pages = _paths(whole, "viewer") + _paths(whole, "editor")
    assert len(pages) > 25
    assert {client.open(path, method=method).status_code for method, path in pages} == {403}
    viewer = {"headers": {"X-Forwarded-User": "eve"}, "environ_overrides": {"REMOTE_ADDR": "10.1.2.3"}}
    edits = _paths(whole, "editor")
    assert {client.open(path, method=method, **viewer).status_code for method, path in edits} == {403}
    assert client.get("/health").status_code == 200
    assert set(client.get("/ready").get_json()["store"]) == {"ok"}  # because reasons name addresses


def test_a_proxy_is_believed_only_in_its_network(served: Served) -> None:
    client = served(**PROXY).test_client()
    assert _asked(client, X_Forwarded_User="eve") == 200
    assert _asked(client, "10.2.0.1", X_Forwarded_User="eve") == 403
    assert _asked(client, "::ffff:10.1.9.9", X_Forwarded_User="eve") == 200
    assert _asked(client) == 401
    assert _asked(client, X_Forwarded_User="x" * 500) == 401


def test_the_header_of_a_forged_forwarding_does_not_move_the_peer(served: Served) -> None:
    client = served(**PROXY, proxy_hops=1).test_client()
    assert _asked(client, "203.0.113.9", X_Forwarded_User="eve", X_Forwarded_For="10.1.0.1") == 403


def test_basic_asks_once_and_then_knows_the_session(served: Served, passwords: Path) -> None:
    client = served(auth="basic", auth_passwords=passwords, editors=("ada",)).test_client()
    refused = client.get("/")
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Basic realm="Vitrine"')
    assert client.get("/", headers=_basic("ada", "wrong one")).status_code == 401
    assert client.get("/", headers=_basic("eve")).status_code == 401
    entered = client.get("/", headers=_basic("ada"))
    assert entered.status_code == 200
    assert {"HttpOnly", "SameSite=Lax"} <= set(entered.headers["Set-Cookie"].split("; "))
    assert client.get("/").status_code == 200
    secure = client.get("/", headers=_basic("bob"), base_url="https://other.example")
    assert "Secure" in secure.headers["Set-Cookie"].split("; ")


def test_prometheus_reads_the_metrics_with_its_token_and_nothing_else(served: Served, passwords: Path) -> None:
    client = served(auth="basic", auth_passwords=passwords, metrics_token="s3cret").test_client()

    def asked(path: str, token: str) -> int:
        return client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code

    assert asked("/metrics", "s3cret") == 200
    assert [asked("/metrics", "wrong"), asked("/metrics", ""), client.get("/metrics").status_code] == [401] * 3
    assert [asked("/", "s3cret"), asked("/_dash-layout", "s3cret")] == [401] * 2
    without = served(auth="basic", auth_passwords=passwords).test_client()
    assert without.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 401


def test_a_new_password_ends_sessions(served: Served, passwords: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text(passwords.read_text())
    client = served(auth="basic", auth_passwords=own).test_client()
    assert client.get("/", headers=_basic("bob")).status_code == 200
    own.write_text("".join(line for line in passwords.read_text().splitlines(True) if not line.startswith("bob")))
    assert client.get("/").status_code == 401


def test_guessing_passwords_is_slowed_down(served: Served, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text(f"bob:{generate_password_hash(PASSWORD, 'pbkdf2:sha256:1')}")
    client = served(auth="basic", auth_passwords=own).test_client()
    answers = (client.get("/", headers=_basic("bob", "guess")) for _ in range(100))
    last = next(answer for answer in answers if answer.status_code != 401)
    assert last.status_code == 429
    assert 0 < int(last.headers["Retry-After"]) <= 60


def test_another_sites_page_changes_nothing_and_programs_pass(served: Served) -> None:
    client = served(auth="none", public_url="https://dash.example.com/vitrine").test_client()

    def posted(origin: str | None) -> int:
        headers = {"Origin": origin} if origin else {}
        return client.post("/", headers=headers).status_code

    assert [posted(None), posted("http://localhost"), posted("https://dash.example.com")] == [200, 200, 200]
    foreign = ["https://evil.example", "null", "http://localhost.evil.example", "http://localhost:1"]
    assert [posted(origin) for origin in foreign] == [403] * 4
    assert client.get("/", headers={"Origin": "https://evil.example"}).status_code == 200


def test_without_access_only_this_machine_is_served(served: Served) -> None:
    client = served().test_client()
    assert [_asked(client, "127.0.0.1"), _asked(client, "::1"), _asked(client, "192.0.2.1")] == [200, 200, 403]


def test_only_trusted_hosts_are_answered(served: Served) -> None:
    client = served(trusted_hosts=("dash.example.com",)).test_client()
    assert client.get("/health", base_url="http://dash.example.com").status_code == 200
    assert client.get("/", base_url="http://rebound.example").status_code == 400


def test_only_editors_start_a_batch(whole: flask.Flask) -> None:
    client = whole.test_client()

    def options(name: str) -> dict[str, Any]:
        return {"headers": {"X-Forwarded-User": name}, "environ_overrides": {"REMOTE_ADDR": "10.1.2.3"}}

    listed = client.get("/_dash-dependencies", **options("eve")).get_json()
    batch = next(item for item in listed if item["background"] and item["output"].startswith("batch-result.children"))
    output = {"id": "batch-result", "property": batch["output"].split(".")[1]}
    body = {"output": batch["output"], "outputs": output, "inputs": batch["inputs"], "state": batch["state"]}
    refused = client.post("/_dash-update-component", json=body, **options("eve"))
    assert refused.status_code == 403
    assert "eve is a viewer here" in refused.get_json()["error"]["message"]
