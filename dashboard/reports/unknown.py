"""Under which score an answer counts as unknown: declared by the run, or set by the user."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboard.errors import BadQuery
from mlflow_runs.records import RunRow

METADATA, TAG = "unknown_below", "vitrine.unknown_below"


@dataclass(frozen=True)
class Unknown:
    """An answer whose best score is below `threshold` reads "unknown"; `declared` is the run's own threshold.

    0 means never.
    """

    threshold: float = 0.0
    declared: float = 0.0


def unknown_of(run: RunRow, asked: str) -> Unknown:
    """The asked threshold, else what the run declares: its tag, else its model's metadata. BadQuery for no share."""
    metadata: Mapping[str, Any] = run.model_info.metadata if run.model_info else {}
    declared = _share(run.tags.get(TAG, metadata.get(METADATA))) or 0.0
    if not asked:
        return Unknown(declared, declared)
    threshold = _share(asked)
    if threshold is None:
        raise BadQuery(f"unknown={asked[:40]!r} is not a score; accepted is a number from 0 to 1, such as 0.6.")
    return Unknown(threshold, declared)


def _share(value: Any) -> float | None:
    """The value as a number between 0 and 1; None for anything else, because a run's tag is anybody's text."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if 0 <= found <= 1 else None
