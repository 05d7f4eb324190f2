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
    """The inference queue is full; the text says how long to wait."""

    code = "engine_busy"
    status = 503


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
