"""Errors of the dashboard itself; the whole tree is drawn in mlflow_runs.errors."""

from mlflow_runs.errors import DashboardError


class BadInput(DashboardError):
    """What the user gave cannot be used."""

    code = "bad_input"
    status = 400


class BadQuery(BadInput):
    """A filter or a URL parameter is malformed."""

    code = "bad_query"


class EngineBusy(DashboardError):
    """The inference queue is full or the time is over; `ahead` requests were before it, for about `wait` seconds."""

    code = "engine_busy"
    status = 503

    def __init__(self, message: str, ahead: int | None = None, wait: float | None = None) -> None:
        super().__init__(message)
        self.ahead, self.wait = ahead, wait


class EngineUnavailable(DashboardError):
    """The inference process does not answer."""

    code = "engine_unavailable"
    status = 503


class StateUnavailable(DashboardError):
    """The database of what people made does not answer."""

    code = "state_unavailable"
    status = 503


class BackOfficeUnavailable(DashboardError):
    """The back office does not answer."""

    code = "back_office_unavailable"
    status = 503


class NotAllowed(DashboardError):
    """Only an editor may do this."""

    code = "not_allowed"
    status = 403


class TooMany(DashboardError):
    """One client asked more often than it may; `wait` is the number of seconds until it may ask again."""

    code = "too_many"
    status = 429

    def __init__(self, message: str, wait: int) -> None:
        super().__init__(message)
        self.wait = wait
