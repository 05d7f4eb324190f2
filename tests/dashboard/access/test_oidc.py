"""Signing in at a real, small OpenID Connect provider."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

import flask
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from dashboard.access.oidc import local_path
from dashboard.access.users import current_user
from tests.dashboard.access.provider import CLIENT, SECRET, Provider, running_provider

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """One provider for the module."""
    with running_provider() as found:
        yield found


@pytest.fixture
def client(served: Callable[..., flask.Flask], provider: Provider) -> FlaskClient:
    """A browser at a server that sends people to the provider."""
    provider.claims = {"preferred_username": "ada", "groups": ["leads"]}
    settings = {"oidc_url": provider.url, "oidc_client": CLIENT, "oidc_secret": SECRET}
    server = served(auth="oidc", editors=("group:leads",), **settings)
    server.add_url_rule("/who", "/_dash-layout2", lambda: f"{current_user().name} {current_user().role}")
    return server.test_client()


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _at_provider(location: str) -> str:
    """Where the provider sends the browser back to."""
    with pytest.raises(HTTPError) as answer:  # because urllib raises what it does not follow
        build_opener(_Stay).open(location, timeout=20)
    with answer.value as found:
        return str(found.headers["Location"])


def _signed_in(client: FlaskClient, path: str = "/") -> TestResponse:
    """What our server says to the browser that comes back."""
    start = client.get(path, headers=HTML)
    assert start.status_code == 302
    asked = client.get(urlsplit(start.location)._replace(scheme="", netloc="").geturl())
    assert asked.status_code == 302
    back = urlsplit(_at_provider(asked.location))
    return client.get(f"{back.path}?{back.query}")


def test_people_sign_in_and_come_back_to_where_they_were(client: FlaskClient) -> None:
    assert client.get("/").status_code == 401  # because only pages are sent to the provider
    landed = _signed_in(client, "/who?run=1&slice=a%20b")
    assert landed.location.endswith("/who?run=1&slice=a%20b")
    flags = set(landed.headers["Set-Cookie"].split("; "))
    assert {"HttpOnly", "SameSite=Lax"} <= flags
    assert client.get("/who").text == "ada editor"
    client.get("/logout")
    assert client.get("/who").status_code == 401


@pytest.mark.parametrize(
    "claims",
    [{"aud": "another client"}, {"iss": "https://evil.example"}, {"exp": 1}, {"nonce": "another"}, {"sub": ""}],
)
def test_a_token_that_is_not_for_us_signs_nobody_in(
    client: FlaskClient, provider: Provider, claims: dict[str, Any]
) -> None:
    provider.claims = claims
    assert _signed_in(client).status_code == 403
    assert client.get("/who").status_code == 401


def test_an_answer_that_was_not_asked_for_is_refused(client: FlaskClient) -> None:
    assert client.get("/login/back?code=stolen&state=forged").status_code == 403
    assert client.get("/login/back?error=access_denied").status_code == 403


def test_a_provider_that_does_not_answer_is_a_sentence(served: Callable[..., flask.Flask]) -> None:
    server = served(auth="oidc", oidc_url="http://127.0.0.1:1", oidc_client="a", oidc_secret="b")
    refused = server.test_client().get("/login")
    assert (refused.status_code, refused.get_json()["error"]["message"][:27]) == (403, "Signing in did not work; op")


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\nb", ""])
def test_the_way_back_never_leads_elsewhere(path: str) -> None:
    assert local_path(path) == "/"
    assert local_path("/performance?run=1") == "/performance?run=1"
