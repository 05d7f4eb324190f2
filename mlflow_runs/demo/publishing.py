"""Publish a demo task version by version; a second start finishes what a first one left half done."""

import subprocess
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import mlflow.data.pandas_dataset
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Experiment, LifecycleStage, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from mlflow_runs.demo.task import DemoTask, Split, Trained, Version
from mlflow_runs.publish import log_evaluation

KEY, PUBLISHED, COMPLETE = "vitrine.demo", "vitrine.demo.published", "vitrine.demo.complete"
COLLECTED_DAYS = 60  # the evaluation rows carry times from this long before the first version
CHECKOUT = Path(__file__).resolve().parents[2]
Report = Callable[[str], None]


def publish_task(client: MlflowClient, task: DemoTask, location: str | None, report: Report) -> None:
    """Bring every version of the task into the store; finished runs stay, unfinished ones are deleted and made anew.

    `location` is the folder or URI below which the artifacts lie, None for the store's own choice. `report` gets one
    line per version. The client's store has to be the active one (`mlflow.set_tracking_uri`): flavours log there.
    """
    experiment = demo_experiment(client, task, location)
    finished = _finished(client, experiment)
    _register_model(client, task)
    split = None
    for number, version in enumerate(task.versions, 1):
        report(f"{task.name} {number}: {version.run_name}")
        run = finished.get(task.key(number))
        if run is None:
            split = split or task.load()
            run = _publish_version(client, experiment, task, number, split)
        _register_version(client, task, version, run)
    client.set_registered_model_alias(task.name, "champion", _version_of(client, task, task.champion))
    client.set_registered_model_alias(task.name, "challenger", _version_of(client, task, len(task.versions)))
    client.set_experiment_tag(experiment.experiment_id, COMPLETE, "true")


def demo_experiment(client: MlflowClient, task: DemoTask, location: str | None) -> Experiment:
    """The task's experiment, made or restored when needed; run times count back from its creation."""
    found = client.get_experiment_by_name(task.name)
    if found is None:
        place = f"{location.rstrip('/')}/{task.name}" if location else None
        tags = {KEY: task.name, "mlflow.note.content": f"{task.description}\n\nData: {task.source}"}
        return client.get_experiment(client.create_experiment(task.name, artifact_location=place, tags=tags))
    if found.lifecycle_stage == LifecycleStage.DELETED:
        client.restore_experiment(found.experiment_id)
    return found


def _finished(client: MlflowClient, experiment: Experiment) -> dict[str, Run]:
    """Published demo runs by key; what a killed publisher left of the others is deleted, models included."""
    runs = client.search_runs([experiment.experiment_id], f"tags.`{KEY}` LIKE '%'", max_results=1000)
    for run in (run for run in runs if PUBLISHED not in run.data.tags):
        query = f"source_run_id = '{run.info.run_id}'"
        for model in client.search_logged_models([experiment.experiment_id], query):
            client.delete_logged_model(model.model_id)
        client.delete_run(run.info.run_id)
    return {run.data.tags[KEY]: run for run in runs if PUBLISHED in run.data.tags}


def _publish_version(client: MlflowClient, experiment: Experiment, task: DemoTask, number: int, split: Split) -> Run:
    version = task.versions[number - 1]
    anchor = datetime.fromtimestamp((experiment.creation_time or 0) // 1000, UTC)
    started = anchor - timedelta(days=version.age_days)
    tags = {KEY: task.key(number), "mlflow.note.content": version.change, "task": task.kind} | _commit()
    run = client.create_run(experiment.experiment_id, _ms(started), dict(tags), version.run_name)
    before = datetime.now(UTC)
    with mlflow.start_run(run_id=run.info.run_id):
        rows = version.training_rows(split.train)
        trained = version.fit(rows)
        _log_facts(client, run.info.run_id, version, rows, started)
        _log_data(task, rows, split.evaluation)
        logged = trained.log()
        if task.label:
            _log_tables(client, task, number, anchor, split, trained, run.info.run_id, logged)
        else:
            mlflow.log_metrics(trained.answer(split.evaluation).mean().to_dict())
    ended = started + (datetime.now(UTC) - before)
    client.set_terminated(run.info.run_id, "FINISHED", _ms(ended))
    client.set_tag(run.info.run_id, PUBLISHED, "true")
    return client.get_run(run.info.run_id)


def _log_facts(client: MlflowClient, run_id: str, version: Version, rows: pd.DataFrame, started: datetime) -> None:
    facts = {**version.params, "training_rows": len(rows), "left_out_of_training": version.left_out}
    params = [Param(name, str(value)) for name, value in facts.items()]
    client.log_batch(run_id, params=params, tags=[RunTag("trained_at", started.isoformat(timespec="seconds"))])


def _log_data(task: DemoTask, train: pd.DataFrame, evaluation: pd.DataFrame) -> None:
    for rows, context in ((train, "training"), (evaluation, "evaluation")):
        name = f"{task.name}-{context}"
        dataset = mlflow.data.pandas_dataset.from_pandas(rows, name=name, targets=task.label or None)
        mlflow.log_input(dataset, context=context)


def _log_tables(
    client: MlflowClient,
    task: DemoTask,
    number: int,
    anchor: datetime,
    split: Split,
    trained: Trained,
    run_id: str,
    logged: Any,
) -> None:
    """The evaluation as `log_evaluation` writes it, and production.parquet: later rows and answers, without labels."""
    ages = [timedelta(days=version.age_days) for version in task.versions]
    first, begin = anchor - ages[0], anchor - ages[number - 1]
    until = anchor - ages[number] if number < len(ages) else anchor
    evaluation = stamped(split.evaluation, first - timedelta(days=COLLECTED_DAYS), first - timedelta(days=1))
    log_evaluation(
        evaluation.join(trained.answer(evaluation)),
        label=task.label,
        prediction=task.prediction,
        scores=task.scores,
        id="id",
        time="timestamp",
        text=task.text,
        image=task.image,
        task=task.kind,
        classes=task.classes,
        positive_class=task.positive_class,
        slices=task.slices,
        model=logged,
        run_id=run_id,
    )
    seen = stamped(split.production.drop(columns=task.label), begin + (until - begin) / 50, until)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "production.parquet")
        seen.join(trained.answer(seen)).to_parquet(file, index=False)
        client.log_artifact(run_id, str(file))
    client.set_tag(run_id, "production_batch", task.shift)


def stamped(rows: pd.DataFrame, begin: datetime, end: datetime) -> pd.DataFrame:
    """The rows in their order with a `timestamp` column (UTC, whole seconds) spread evenly from begin to end."""
    times = pd.date_range(begin, end, periods=len(rows)).floor("s")
    return rows.reset_index(drop=True).assign(timestamp=times)


def _register_model(client: MlflowClient, task: DemoTask) -> None:
    try:
        client.get_registered_model(task.name)
    except MlflowException as exc:
        if exc.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        description = f"{task.description} Demo model on real data: {task.source}"
        client.create_registered_model(task.name, tags=dict(task.tags) | {KEY: "true"}, description=description)


def _register_version(client: MlflowClient, task: DemoTask, version: Version, run: Run) -> None:
    if not client.search_model_versions(f"run_id = '{run.info.run_id}'"):
        models = run.outputs.model_outputs if run.outputs else []
        source = f"models:/{models[0].model_id}"
        client.create_model_version(task.name, source, run.info.run_id, description=version.change)


def _version_of(client: MlflowClient, task: DemoTask, number: int) -> str:
    """The registered version that holds demo version `number`; equal to it unless versions were there before."""
    found = client.search_model_versions(f"name = '{task.name}'", max_results=1000)
    keys = {client.get_run(item.run_id).data.tags.get(KEY): item.version for item in found if item.run_id}
    return str(keys[task.key(number)])


def _commit() -> dict[str, str]:
    """The checkout's commit as MLflow's own tag; nothing where this is no git checkout."""
    try:
        command = ["git", "-C", str(CHECKOUT), "rev-parse", "--show-toplevel", "HEAD"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.split("\n")
    except (OSError, subprocess.SubprocessError):
        return {}
    # because a checkout unpacked inside somebody else's repository must not claim that repository's commit
    return {"mlflow.source.git.commit": answer[1]} if Path(answer[0]) == CHECKOUT else {}


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)
