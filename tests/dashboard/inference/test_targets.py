"""Where a model is asked, by address and name; and settings that cannot be understood."""

import pytest

from dashboard.inference.cards import ModelCard
from dashboard.inference.targets import directory, parse_target


def card(name="churn", version="3", model_id="m-1"):
    return ModelCard(model_id, name, version, "r", "run", None, "table", ())


@pytest.mark.parametrize(
    ("text", "origin", "path"),
    [
        ("http://triton:8000", "http://triton:8000", "/v2/models/churn/versions/3"),
        ("https://kserve.example/v2", "https://kserve.example:443", "/v2/models/churn/versions/3"),
        ("http://gate:81/team/a", "http://gate:81/team/a", "/v2/models/churn/versions/3"),
        ("http://triton:8000/v2/models/champion", "http://triton:8000", "/v2/models/champion"),
        ("http://triton:8000/x/v2/models/c/versions/7", "http://triton:8000/x", "/v2/models/c/versions/7"),
    ],
)
def test_an_address_gives_server_and_path(text, origin, path):
    target = parse_target(text)
    assert (target.origin, target.path(card())) == (origin, path)


def test_without_a_version_the_model_id_is_the_name():
    assert parse_target("http://t:1").path(card(version=None, model_id="abc/model")) == "/v2/models/abc%2Fmodel"


def test_the_most_exact_entry_wins_and_local_stays_here():
    entries = (
        "churn=champion",
        "churn/4=champion/2",
        "m-9=http://b:2/v2/models/x",
        "other=local",
        "one=mlflow+http://c:3",
    )
    known = directory("http://a:1", entries)
    assert known.target(card()).path(card()) == "/v2/models/champion"
    assert known.target(card(version="4")).path(card()) == "/v2/models/champion/versions/2"
    assert known.target(card(version="4", model_id="m-9")).origin == "http://b:2"
    assert known.target(card("other")) is None
    assert known.target(card("one")).scheme == "mlflow"
    assert known.target(card("third")).origin == "http://a:1"
    assert [target.origin for target in known.all()] == ["http://a:1", "http://b:2", "http://c:3"]
    assert directory("", ()).target(card()) is None


@pytest.mark.parametrize(
    ("url", "entries", "words"),
    [
        ("triton:8000", (), "is no address"),
        ("http://triton:99999", (), "is no address"),
        ("http://user:secret@triton:80", (), "is no address"),
        ("mlflow+http://one:5000", (), "holds one model"),
        ("", ("churn",), "is not model=place"),
        ("", ("churn=champion",), "names a model on no server"),
        ("vitrine+http://a:1", ("churn=champion",), "names a model on no server"),
        ("vitrine+https://a:1", (), "speaks http"),
    ],
)
def test_what_cannot_be_understood_is_named(url, entries, words):
    with pytest.raises(ValueError, match=words):
        directory(url, entries)
