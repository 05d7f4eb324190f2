"""Who asks: the one door by which other rooms learn the user of a request and demand an editor."""

from dataclasses import dataclass
from typing import Literal

import flask

from dashboard.errors import NotAllowed

Role = Literal["viewer", "editor"]
_PLACE = "vitrine_user"


@dataclass(frozen=True)
class User:
    """A person, or an embedded view; `name` is empty where access is off. Viewers look, editors also change things."""

    name: str = ""
    role: Role = "viewer"

    @property
    def edits(self) -> bool:
        """Whether the user may flag, run jobs, load models and save."""
        return self.role == "editor"


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
        raise NotAllowed(f"{user.name or 'This visitor'} is a viewer here; only editors may {deed}.")
    return user
