"""Discovered slices in the API: their shapes, and the job that looks for them."""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import with_config
from typing_extensions import TypedDict

from dashboard.api.shapes import CLOSED
from dashboard.jobs import JobState
from dashboard.reports.selection import measurable
from dashboard.reports.slice_finder import (
    JOB,
    WeakSlice,
    WeakSlices,
    find_weak_slices,
    known_weak_slices,
    search_key,
)
from dashboard.services import Services
from mlflow_runs.errors import DataMissing


@with_config(CLOSED)
class DiscoveredShape(TypedDict):
    """One slice that does significantly worse than the other rows."""

    filter: str
    """The slice as a filter, to be given to `filter=`."""
    n: int
    metric: Literal["accuracy", "subset_accuracy", "rmse"]
    value: float
    """The metric over the slice's rows, with its 95% interval."""
    low: float | None
    high: float | None
    complement: float
    """The metric over all other rows."""
    p_adjusted: float
    """Of the test that the slice's errors are larger, adjusted for all slices tested (Benjamini-Hochberg)."""
    also: list[str]
    """Filters that select nearly the same rows."""


@with_config(CLOSED)
class DiscoveredDocument(TypedDict):
    """What the search found, most striking first."""

    slices: list[DiscoveredShape]
    n: int
    """Rows searched."""
    tested: int
    """Combinations of column values that were compared with all other rows."""
    false_discovery: float
    smallest: int
    """Slices with fewer rows were not looked at."""


@with_config(CLOSED)
class JobShape(TypedDict):
    """A background job on its way."""

    id: str
    state: Literal["waiting", "running"]
    ahead: int
    """Jobs that are before it while it waits."""
    progress: float | None
    """Share done, 0 to 1; null before it has told."""
    doing: str


@with_config(CLOSED)
class JobDocument(TypedDict):
    """The search is under way: ask the same address again."""

    job: JobShape


@dataclass(frozen=True)
class Accepted:
    """A document that is answered with status 202."""

    document: Any


def discovered_document(found: WeakSlices) -> DiscoveredDocument:
    """A finished search."""
    return {
        "slices": [_slice(item, found) for item in found.slices],
        "n": int(found.n),
        "tested": int(found.tested),
        "false_discovery": float(found.false_discovery),
        "smallest": int(found.smallest),
    }


def _slice(item: WeakSlice, found: WeakSlices) -> DiscoveredShape:
    return {
        "filter": item.filter,
        "n": int(item.n),
        "metric": found.metric,
        "value": item.value.value,
        "low": item.value.low,
        "high": item.value.high,
        "complement": item.complement.value,
        "p_adjusted": float(item.p_adjusted),
        "also": list(item.also),
    }


def offer_search(services: Services) -> None:
    """Let the job server search for discovered slices."""

    def work(report: Any, run_id: str) -> None:
        find_weak_slices(services, run_id, report)

    services.jobs.offer(JOB, work)


def discovered_or_job(services: Services, run_id: str) -> DiscoveredDocument | Accepted:
    """The finished search of a run, else the job that is at it, which is started by the first who asks."""
    evaluation = services.predictions.evaluation(run_id)
    if not measurable(evaluation):
        raise DataMissing(f"Run {run_id} carries figures only; weak slices are searched in predictions with labels.")
    job_id = f"{JOB}-{hashlib.blake2b(search_key(services, evaluation).encode(), digest_size=12).hexdigest()}"
    found = known_weak_slices(services, evaluation)

    def done() -> bool:
        """Asked where the job is not at work: who starts it pays for it, who looks after it does not."""
        if known_weak_slices(services, evaluation) is not None:
            return True
        services.limits.spend("jobs")
        return False

    if found is None:
        job = services.jobs.join(JOB, job_id, [run_id], done)
        if job is not None:
            return Accepted({"job": _job(job)})
        found = known_weak_slices(services, evaluation)
    assert found is not None
    return discovered_document(found)


def _job(job: JobState) -> JobShape:
    return {
        "id": job.id,
        "state": "waiting" if job.state == "waiting" else "running",
        "ahead": int(job.ahead),
        "progress": job.progress,
        "doing": job.doing,
    }
