"""What can go wrong, drawn once; every message names the value and what would be accepted.

DashboardError
+-- StoreUnavailable     the tracking store does not answer
+-- RunNotFound          no such run, model or version
+-- DataMissing          a run lacks what the page needs
|   +-- ArtifactUnreadable   it is there but cannot be read
+-- ModelUnavailable     the model cannot be resolved, downloaded or loaded
+-- BadInput             (dashboard.errors) what the user gave cannot be used
|   +-- BadQuery         (dashboard.errors) a filter or URL parameter
+-- EngineBusy           (dashboard.errors) the inference queue is full
+-- EngineUnavailable    (dashboard.errors) the inference process does not answer
+-- BackOfficeUnavailable (dashboard.errors) the back office does not answer
+-- StateUnavailable     (dashboard.errors) the database of what people made does not answer
+-- NotAllowed           (dashboard.errors) only an editor may do this
+-- TooMany              (dashboard.errors) one client asked more often than it may
"""

from typing import ClassVar


class DashboardError(Exception):
    """An error whose text may be shown to the user."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500


class StoreUnavailable(DashboardError):
    """The tracking store does not answer."""

    code = "store_unavailable"
    status = 503


class RunNotFound(DashboardError):
    """No run, model or version of that name."""

    code = "run_not_found"
    status = 404


class DataMissing(DashboardError):
    """The run lacks what was asked for."""

    code = "data_missing"
    status = 422


class ArtifactUnreadable(DataMissing):
    """The artifact exists and cannot be read."""

    code = "artifact_unreadable"


class ModelUnavailable(DashboardError):
    """The model cannot be resolved, downloaded or loaded."""

    code = "model_unavailable"
    status = 422
