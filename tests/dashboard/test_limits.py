"""Counting by client and minute."""

import time
from pathlib import Path
from typing import Any

import flask
import pytest

from dashboard.access.users import User, set_user
from dashboard.cache import ResultCache
from dashboard.errors import TooMany
from dashboard.limits import Limits
from dashboard.settings import Settings


def _limits(folder: Path, **values: Any) -> Limits:
    return Limits(Settings(data_dir=folder, uploads_per_minute=2, **values), ResultCache(folder / "cache", 16))


def test_each_client_has_its_own_count_and_a_new_minute_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 120.0 * 10**7 + 50)
    with flask.Flask("x").test_request_context():
        several = _limits(tmp_path, auth="none"), _limits(tmp_path, auth="none")  # two workers, one folder
        for limits, name in zip(several, ("ada", "ada"), strict=True):
            set_user(User(name))
            limits.spend("uploads")
        with pytest.raises(TooMany, match=r"2 uploads in one minute.* in 10 s") as refused:
            several[0].spend("uploads")
        assert refused.value.wait == 10
        several[0].spend("predictions")
        set_user(User("bob"))
        several[1].spend("uploads")
        set_user(User("ada"))
        monkeypatch.setattr(time, "time", lambda: 120.0 * 10**7 + 60)
        several[1].spend("uploads")


def test_nothing_is_counted_while_only_this_machine_is_served(tmp_path: Path) -> None:
    limits = _limits(tmp_path)
    with flask.Flask("x").test_request_context():
        for _ in range(5):
            limits.spend("uploads")


def test_a_folder_that_cannot_be_written_lets_requests_pass(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with flask.Flask("x").test_request_context():
        for _ in range(5):
            _limits(tmp_path, auth="none").spend("uploads")


def test_a_drag_of_a_generators_slider_is_not_stopped_by_the_limit_of_predictions(tmp_path: Path) -> None:
    with flask.Flask("x").test_request_context():
        limits = _limits(tmp_path, auth="none", predictions_per_minute=2, embed_predictions_per_minute=1)
        for most, user in ((20, User("ada")), (10, User("", link="wiki"))):
            set_user(user)
            for _ in range(most):
                limits.spend("live pictures")
            limits.spend("predictions")
            with pytest.raises(TooMany, match=f"{most} .*live pictures in one minute"):
                limits.spend("live pictures")
