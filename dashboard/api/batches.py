"""Batches in the API: a file through a run's model as a background job, its state, and the address of its result."""

from typing import Any, Literal

import flask
from pydantic import with_config
from typing_extensions import TypedDict

from dashboard import uploads
from dashboard.api.discovered import Accepted
from dashboard.api.queries import Query
from dashboard.api.shapes import CLOSED
from dashboard.errors import BadInput
from dashboard.inference.batch import BatchSummary, result_key
from dashboard.inference.cards import model_card
from dashboard.reports.batches import batch_finished, batch_found, run_batch
from dashboard.services import Services

JOB = "batch"
_State = Literal["waiting", "running", "done"]
_ACCEPTED = "accepted is a multipart form with one file: CSV, JSON lines, Parquet, or a zip of pictures"


@with_config(CLOSED)
class BatchSummaryShape(TypedDict):
    """What came out."""

    n: int
    """Rows of the file."""
    failed: int
    """Rows without an answer; the reasons stand in the result's column `error`."""
    problem: str
    """The first of those reasons."""
    seconds: float
    labels: dict[str, int]
    """How often each class was predicted."""
    mean: float | None
    """The mean of predicted numbers."""


@with_config(CLOSED)
class BatchDocument(TypedDict):
    """A batch: on its way (status 202: ask `/batch/{job_id}` again), or done (status 200)."""

    id: str
    """The digest of the file's content; the same file through the same model is one batch."""
    state: _State
    progress: float | None
    """Share done, 0 to 1; null before it has told."""
    doing: str
    summary: BatchSummaryShape | None
    result: str | None
    """Where the CSV of predictions is to be had once it is done."""


def offer_batches(services: Services) -> None:
    """Let the job server run batches."""

    def work(report: Any, run_id: str, key: str) -> None:
        def told(done: int, total: int) -> None:
            report(done / max(total, 1), f"{done:,} of {total:,} rows")

        run_batch(services, run_id, {"key": key, "name": "file"}, told)

    services.jobs.offer(JOB, work)


def start_batch(services: Services, query: Query, run_id: str) -> BatchDocument | Accepted:
    """Run a file through the model in the background: CSV, JSON lines, Parquet, or a zip of pictures."""
    model_card(services.runs.run(run_id))
    files = list(flask.request.files.values())
    if len(files) != 1:
        raise BadInput(f"The form has {len(files)} files; {_ACCEPTED}.")
    token = uploads.store(services.settings, files[0].stream, files[0].filename or "file")
    batch_found(services, run_id, token)
    return _state(services, run_id, token)


def batch(services: Services, query: Query, run_id: str, job_id: str) -> BatchDocument | Accepted:
    """The state of a batch and, once it is done, its summary and the address of its result."""
    return _state(services, run_id, {"key": job_id, "name": "file"})


def _state(services: Services, run_id: str, token: dict[str, Any]) -> BatchDocument | Accepted:
    key = str(token["key"])
    info = model_card(services.runs.run(run_id))
    done = batch_finished(services, run_id, token)
    if done is None:
        uploads.uploaded(services.settings, key)  # because without the file there is nothing to run
        job = services.jobs.join(
            JOB,
            f"{JOB}-{result_key(info.model_id, key)}",
            [run_id, key],
            lambda: batch_finished(services, run_id, token) is not None,
        )
        if job is not None:
            state: _State = "waiting" if job.state == "waiting" else "running"
            return Accepted(_document(key, state, job.progress, job.doing, None))
        done = batch_finished(services, run_id, token)
    return _document(key, "done", 1.0, "", done)


def _document(
    key: str,
    state: Literal["waiting", "running", "done"],
    progress: float | None,
    doing: str,
    done: BatchSummary | None,
) -> BatchDocument:
    return {
        "id": key,
        "state": state,
        "progress": progress,
        "doing": doing,
        "summary": None if done is None else _summary(done),
        "result": None if done is None else f"/results/{done.key}.csv",
    }


def _summary(done: BatchSummary) -> BatchSummaryShape:
    return {
        "n": int(done.n),
        "failed": int(done.failed),
        "problem": done.problem,
        "seconds": float(done.seconds),
        "labels": dict(done.labels),
        "mean": done.mean,
    }
