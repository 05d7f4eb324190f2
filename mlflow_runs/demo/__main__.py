"""`python -m mlflow_runs.demo`: publish the demo runs into a tracking store, with a progress bar."""

import argparse
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from mlflow_runs.demo.publishing import COMPLETE, KEY, publish_task
from mlflow_runs.demo.task import DemoTask
from mlflow_runs.errors import DashboardError

MODELS = (
    "tumour-diagnosis",
    "diabetes-progression",
    "docstring-library",
    "digit-reader",
    "digit-generator",
    "photo-styles",
    "digit-spotter",
)
WIDTH = 24


def demo_tasks(effort: float = 1.0) -> tuple[DemoTask, ...]:
    """All demo tasks, the quickest first so that pages have something to show early.

    `effort` is the share of training steps that the slowest models take: less of it makes weaker models sooner.
    """
    # inside, because torch and scikit-learn take seconds that a second start, with nothing to do, need not wait
    from mlflow_runs.demo import (
        diabetes_progression,
        digit_generator,
        digit_reader,
        digit_spotter,
        docstring_library,
        photo_styles,
        tumour_diagnosis,
    )

    first = (tumour_diagnosis, diabetes_progression, docstring_library, digit_reader)
    drawn = (digit_generator.task(), photo_styles.task())
    spotter = digit_spotter.task(max(1, round(digit_spotter.STEPS * effort)))
    return (*(room.task() for room in first), *drawn, spotter)


def reason_not_to(client: MlflowClient, force: bool) -> str:
    """Why there is nothing to publish into this store, as a sentence; empty when there is something."""
    experiments = {experiment.name: experiment for experiment in _experiments(client)}
    demo = [experiments[name] for name in MODELS if name in experiments and KEY in experiments[name].tags]
    if len(demo) == len(MODELS) and all(COMPLETE in experiment.tags for experiment in demo):
        return "The demo runs are already there: nothing to do."
    others = [experiment.experiment_id for experiment in experiments.values() if experiment not in demo]
    if not force and not demo and others and client.search_runs(others, max_results=1):
        return "The store already holds runs: no demo runs published. --force publishes them beside the others."
    return ""


def _experiments(client: MlflowClient) -> list[mlflow.entities.Experiment]:
    found: list[mlflow.entities.Experiment] = []
    token = None
    while True:
        page = client.search_experiments(page_token=token, max_results=1000)
        found += page
        token = page.token
        if not token:
            return found


def publish_demo(
    tasks: Sequence[DemoTask], tracking_uri: str, location: str | None, report: Callable[[str], None]
) -> None:
    """Publish the tasks into the store, which becomes MLflow's active one; `report` gets a line per version."""
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    client = MlflowClient(tracking_uri)
    # one thread each, because small models gain nothing from more and lose much on a busy machine
    with threadpool_limits(1):
        for task in tasks:
            publish_task(client, task, location, report)


def progress(total: int) -> Callable[[str], None]:
    """A reporter that draws one bar, in place on a terminal and line by line elsewhere."""
    start, steps, last = time.monotonic(), count(), "\r\033[K" if sys.stdout.isatty() else ""

    def report(text: str) -> None:
        done = next(steps)
        bar = "#" * (WIDTH * done // total)
        line = f"demo runs [{bar:.<{WIDTH}}] {done}/{total} {time.monotonic() - start:3.0f} s  {text}"
        print(f"{last}{line}", end="" if last and done < total else "\n", flush=True)

    return report


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser("python -m mlflow_runs.demo", description=__doc__)
    made.add_argument("--tracking-uri", default=os.environ.get("MLFLOW_TRACKING_URI"), help="MLflow tracking store")
    made.add_argument("--artifact-location", help="folder or URI for artifacts; default: the store's own choice")
    made.add_argument(
        "--effort",
        type=float,
        default=os.environ.get("DEMO_EFFORT", "1"),
        help="share of training steps of the slowest models, 0 to 1; less makes weaker models sooner (DEMO_EFFORT)",
    )
    made.add_argument("--force", action="store_true", help="publish beside the runs that the store already holds")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Publish, or say why not; 0 when the store holds what it should."""
    options = parser().parse_args(arguments)
    if not options.tracking_uri:
        print("error: give --tracking-uri or set MLFLOW_TRACKING_URI, e.g. sqlite:///mlflow.db", file=sys.stderr)
        return 2
    _quieten()
    if options.tracking_uri.startswith("sqlite:///"):
        Path(options.tracking_uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    try:
        _publish(options)
    except (DashboardError, mlflow.MlflowException) as exc:
        print(f"error: the demo runs could not be published into {options.tracking_uri}: {exc}", file=sys.stderr)
        return 1
    return 0


def _publish(options: argparse.Namespace) -> None:
    reason = reason_not_to(MlflowClient(options.tracking_uri), options.force)
    if reason:
        print(reason)
        return
    print("demo runs: loading scikit-learn and torch", flush=True)
    tasks = demo_tasks(options.effort)
    report = progress(sum(len(task.versions) for task in tasks))
    publish_demo(tasks, options.tracking_uri, options.artifact_location, report)
    report("published")


def _quieten() -> None:
    """Because one bar says more than MLflow's remarks on every model."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")


if __name__ == "__main__":
    sys.exit(main())
