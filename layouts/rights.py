"""What viewers are not offered: the control is off, and the reason stands beside it."""

from dash import html

from dashboard.access.users import current_user


def off() -> bool:
    """Whether what is for editors is off for whoever asks."""
    return not current_user().edits


def why(deed: str) -> html.P | None:
    """The reason, where it is off; embedded panels are for looking anyway and give none."""
    user = current_user()
    return None if user.edits or user.link else html.P(user.refused(deed), className="only-editors")
