"""Signed links: what they hold, and what alters, ends or revokes them."""

import time
from pathlib import Path
from typing import Any

import pytest

from dashboard.embedding import EmbedLink, EmbedLinks, make_link
from dashboard.errors import BadInput, NotAllowed
from dashboard.settings import Settings

WANTED = {
    "path": "/performance",
    "panel": "per-class",
    "slot": "performance-body",
    "params": {"run": "r", "filter": ""},
}


def _links(folder: Path, **values: Any) -> EmbedLinks:
    return EmbedLinks(Settings(data_dir=folder, **values), "secret of this installation")


def _link(links: EmbedLinks, **changes: Any) -> EmbedLink:
    return make_link(links.settings, WANTED | changes)


def test_a_token_holds_its_link_and_nothing_can_be_changed(tmp_path: Path) -> None:
    links = _links(tmp_path)
    link = _link(links, scope="predict", days=1)
    token = links.token(link)
    assert links.read(token) == link
    assert link.params == {"run": "r"}
    assert 86_300 < link.expires - time.time() <= 86_400
    half = len(token) // 2
    altered = [token[:half] + ("A" if token[half] != "A" else "B") + token[half + 1 :], token[:-2], "", "x" * 9000]
    for text in [*altered, token.rpartition(".")[0]]:
        with pytest.raises(NotAllowed, match="not valid"):
            links.read(text)
    with pytest.raises(NotAllowed, match="not valid"):
        EmbedLinks(links.settings, "another installation").read(token)


def test_keys_are_rotated_by_naming_the_new_one_first(tmp_path: Path) -> None:
    old = _links(tmp_path, embed_keys=("old",))
    both = _links(tmp_path, embed_keys=("new", "old"))
    new = _links(tmp_path, embed_keys=("new",))
    made_before, made_after = old.token(_link(old)), both.token(_link(both))
    assert both.read(made_before)
    assert new.read(made_after)
    with pytest.raises(NotAllowed):
        new.read(made_before)


def test_an_expired_link_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = _links(tmp_path)
    token, now = links.token(_link(links, days=1)), time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_401)
    with pytest.raises(NotAllowed, match="expired"):
        links.read(token)


def test_a_revoked_link_is_refused_by_every_worker_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links, other_worker = _links(tmp_path), _links(tmp_path)
    link = _link(links)
    links.remember(link, "run=r", "ada")
    token = links.token(link)
    assert other_worker.read(token)
    assert links.revoke(link.id)
    assert [record.revoked is not None for record in links.records()] == [True]
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 4)
    with pytest.raises(NotAllowed, match="revoked"):
        other_worker.read(token)
    assert not links.revoke("no such link")


@pytest.mark.parametrize(
    "changes",
    [
        {"params": None},
        {"params": {"run": 1}},
        {"path": ""},
        {"panel": "x" * 201},
        {"slot": 3},
        {"scope": "admin"},
        {"days": 0},
        {"days": 91},
        {"days": "7"},
        {"days": float("nan")},
    ],
)
def test_a_link_that_makes_no_sense_is_not_made(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        _link(_links(tmp_path), **changes)
