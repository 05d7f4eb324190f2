"""Who asks: the one door by which other rooms learn the user of a request and demand an editor."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import flask

from dashboard.errors import NotAllowed
from dashboard.settings import Settings

Role = Literal["viewer", "editor"]
_PLACE = "vitrine_user"


@dataclass(frozen=True)
class User:
    """A person, or a visitor of an embedded view by the id of its link; `name` is empty where access is off. Viewers
    look, editors also change things."""

    name: str = ""
    role: Role = "viewer"
    link: str = ""

    @property
    def edits(self) -> bool:
        """Whether the user may flag, run jobs, load models and save."""
        return self.role == "editor"

    def refused(self, deed: str) -> str:
        """Why a viewer may not do this, in one sentence."""
        return f"{self.name or 'This visitor'} is a viewer here; only editors may {deed}."


LOCAL = User("", "editor")


def current_user() -> User:
    """The user of the request that is being answered; the local editor outside requests and where access is off."""
    return flask.g.get(_PLACE, LOCAL) if flask.has_request_context() else LOCAL


def set_user(user: User) -> None:
    """Name the user of this request; only the gate does so."""
    setattr(flask.g, _PLACE, user)


def require_editor(deed: str = "do this") -> User:
    """The current user if they are an editor; NotAllowed, which names the deed, if not."""
    user = current_user()
    if not user.edits:
        raise NotAllowed(user.refused(deed))
    return user


def user_of(settings: Settings, name: str, groups: Iterable[str] = ()) -> User:
    """A person who signed in, with the role that VITRINE_EDITORS gives them."""
    named = {"*", name, *(f"group:{group}" for group in groups)}
    return User(name, "editor" if named & set(settings.editors) else "viewer")
