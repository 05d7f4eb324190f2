"""Uploads and results: named by content, bounded, and only reached by a key."""

import io
import os

import flask
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.errors import BadInput
from dashboard.settings import Settings
from dashboard.uploads import FileShelf, content_key, is_key, register, results, store_bytes, uploaded, uploads

HEADER = {"X-Vitrine-Upload": "1"}


@pytest.fixture
def settings(tmp_path):
    """Settings with a limit of one megabyte."""
    return Settings(data_dir=tmp_path, max_upload_mb=1)


@pytest.fixture
def client(settings):
    """A client of the two routes."""
    server = flask.Flask("uploads")
    register(server, settings)
    return server.test_client()


def post(client, content, name="a.csv", headers=HEADER):
    """Send one file."""
    return client.post("/uploads", data={"file": (io.BytesIO(content), name)}, headers=headers)


def test_an_upload_is_stored_once_under_its_content(client, settings):
    first, second = post(client, b"abc").get_json(), post(client, b"abc", "../../b.csv").get_json()
    assert first["key"] == second["key"]
    assert (first["name"], first["bytes"]) == ("a.csv", 3)
    assert uploaded(settings, first["key"]).read_bytes() == b"abc"
    assert [path.name for path in uploads(settings).folder.iterdir()] == [first["key"]]


@pytest.mark.parametrize(
    ("content", "headers", "status", "said"),
    [
        (b"", HEADER, 400, "is empty"),
        (b"abc", {}, 403, "header"),
    ],
)
def test_what_is_not_accepted_is_said_and_leaves_nothing(client, settings, content, headers, status, said):
    reply = post(client, content, headers=headers)
    assert reply.status_code == status
    assert said in reply.get_json()["error"]
    assert list(settings.data_dir.glob("uploads/*")) == []


def test_a_stream_is_cut_off_at_the_limit(settings):
    with pytest.raises(BadInput, match="'big' is larger than 1 MB"):
        store_bytes(settings, b"x" * (2**20 + 1), "big")
    assert list(settings.data_dir.glob("uploads/*")) == []


def test_a_declared_length_above_the_limit_is_refused_before_it_is_read(client):
    reply = client.post("/uploads", headers=HEADER, environ_overrides={"CONTENT_LENGTH": str(3 * 2**20)})
    assert reply.status_code == 413
    assert "larger than 1 MB" in reply.get_json()["error"]


def test_the_limit_can_be_asked_for(client):
    assert client.get("/uploads").get_json()["most_bytes"] == 2**20


def test_results_are_attachments_and_nothing_else_is_served(client, settings):
    shelf, key = results(settings), content_key("x")
    draft = shelf.draft()
    draft.write_text("a,b\n")
    shelf.keep(draft, key, ".csv")
    reply = client.get(f"/results/{key}.csv")
    assert reply.data == b"a,b\n"
    assert reply.headers["Content-Disposition"].startswith("attachment")
    reply.close()
    for wrong in (content_key("y"), "..%2f..%2fsecret", key.upper(), key[:-1]):
        assert client.get(f"/results/{wrong}.csv").status_code == 404


@given(st.text())
def test_only_hexadecimal_keys_are_keys(text):
    assert is_key(text) == (len(text) == 32 and set(text) <= set("0123456789abcdef"))


def test_a_key_that_is_none_and_an_upload_that_is_gone_are_told(settings):
    with pytest.raises(BadInput, match="names no file"):
        uploaded(settings, "../../etc/passwd")
    with pytest.raises(BadInput, match="upload it again"):
        uploaded(settings, content_key("gone"))


def test_the_oldest_go_first_and_the_newest_stays(tmp_path):
    shelf, keys = FileShelf(tmp_path, 3, 100), [content_key(str(i)) for i in range(6)]
    for age, key in enumerate(keys):
        draft = shelf.draft()
        draft.write_bytes(b"x" * (10 if age < 5 else 500))
        os.utime(draft, (age, age))
        shelf.keep(draft, key)
        assert shelf.path(key).exists()
        assert len(list(tmp_path.iterdir())) <= 3
    assert [path.name for path in tmp_path.iterdir()] == [keys[-1]]


def test_parts_of_a_key_do_not_run_together():
    assert content_key("ab", "c") != content_key("a", "bc")


def test_stored_bytes_are_uploads(settings):
    assert uploaded(settings, store_bytes(settings, b"zz", "z")["key"]).read_bytes() == b"zz"
