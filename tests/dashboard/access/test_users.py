"""Who asks, inside and outside of requests."""

import flask
import pytest

from dashboard.access.users import LOCAL, User, current_user, require_editor, set_user
from dashboard.errors import NotAllowed


def test_outside_requests_and_without_access_the_user_is_a_local_editor() -> None:
    assert current_user() == require_editor() == LOCAL
    with flask.Flask("x").test_request_context():
        assert require_editor() == LOCAL


def test_a_viewer_is_told_what_only_editors_may_do() -> None:
    with flask.Flask("x").test_request_context():
        set_user(User("ada"))
        assert current_user() == User("ada", "viewer")
        with pytest.raises(NotAllowed, match=r"ada is a viewer here; only editors may save slices"):
            require_editor("save slices")
        set_user(User("ada", "editor"))
        assert require_editor().name == "ada"
