"""Log an evaluation to MLflow, from Python (`log_evaluation`) or from a CSV or Parquet file on the command line."""

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import mlflow
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml  # type: ignore[import-untyped]
from mlflow import MlflowClient
from mlflow.entities import LoggedModelInput
from mlflow.exceptions import MlflowException

from mlflow_runs.class_sets import blank_is_empty, is_sets, sets_of
from mlflow_runs.errors import DashboardError, DataMissing, ModelUnavailable, StoreUnavailable
from mlflow_runs.records import Task
from mlflow_runs.roles import SLICE_PREFIX, checked_task, class_text, infer_task

Predicate = Callable[[Any], bool]
_STORE_VARIABLES = ("VITRINE_TRACKING_URI", "MLFLOW_TRACKING_URI")


class Row(dict[str, Any]):
    """One row for a slicing function: `row["age"]`, `row.age` and `row.get("age")` all work."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the row has no column {name!r}; it has: {', '.join(self)}") from None


def log_evaluation(
    table: pd.DataFrame,
    *,
    label: str,
    prediction: str,
    scores: Mapping[str, str] | str | None = None,
    id: str | None = None,
    time: str | None = None,
    text: str | None = None,
    image: str | None = None,
    task: str | None = None,
    classes: Sequence[str] | None = None,
    positive_class: str | None = None,
    slices: Mapping[str, Predicate | str] | None = None,
    model: object | None = None,
    run_id: str | None = None,
    artifact_path: str = "",
) -> str:
    """Log predictions.parquet, evaluation.json and the headline metrics; returns the run id.

    `table` has one row per example. `scores` maps class to probability column, or names one column that belongs to
    `positive_class`. `slices` maps a name to a predicate over a row (mapping with attribute access), which becomes a
    boolean column `slice_<name>`, or to a filter such as "age >= 70", which goes into slices.yaml. `model` is what
    `log_model` returned, a logged model or its id, or a scikit-learn estimator or torch module to log. `image` names a
    column of PNG or JPEG bytes, or of artifact paths in the run. Lists of classes as label and prediction make it a
    multi-label task; so do texts such as "a|b" with `task="multilabel"`.
    Writes to `run_id`, else to the active run, else to a new run. Raises DataMissing for columns the table lacks.
    """
    right, said = ("boxes", "predicted_boxes") if task == "detection" else ("label", "prediction")
    single = {right: label, said: prediction, "id": id, "time": time, "text": text, "image": image}
    columns: dict[str, Any] = {role: name for role, name in single.items() if name is not None}
    if scores is not None:
        columns |= {"score": scores} if isinstance(scores, str) else {"scores": {str(k): v for k, v in scores.items()}}
    _check_columns(table, columns)
    filters = {name: rule for name, rule in (slices or {}).items() if isinstance(rule, str)}
    full = _with_slices(table, {name: rule for name, rule in (slices or {}).items() if not isinstance(rule, str)})
    arrow = _arrow(full)
    kind = _task(task, arrow[label])
    described: dict[str, Any] = {"task": kind, "columns": columns}
    described |= {"classes": [class_text(c) for c in classes]} if classes is not None else {}
    described |= {"positive_class": class_text(positive_class)} if positive_class is not None else {}
    if kind == "multilabel":
        arrow = _with_sets(arrow, (label, prediction))
        metrics = multilabel_metrics(arrow[label], arrow[prediction])
    else:
        metrics = headline_metrics(full[label], full[prediction], kind)
    with _run(run_id) as (client, target):
        model_id = _model_id(model, full, columns)
        described |= {"model_id": model_id} if model_id else {}
        with tempfile.TemporaryDirectory() as folder:
            pq.write_table(arrow, Path(folder, "predictions.parquet"), compression="zstd")
            Path(folder, "evaluation.json").write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
            if filters:
                Path(folder, "slices.yaml").write_text(_yaml(filters), encoding="utf-8")
            client.log_artifacts(target, folder, artifact_path or None)
        _link(client, target, model_id)
        for name, value in metrics.items():
            client.log_metric(target, name, value, model_id=model_id)
    return target


def log_to(experiment: str, artifact_location: str = "") -> None:
    """Choose the experiment of the runs to come, as mlflow.set_experiment does. A new one in a SQLite store keeps its
    artifacts in mlartifacts/ beside the database; MLflow alone would leave them in the folder of whoever logs."""
    place = artifact_location or _beside(mlflow.get_tracking_uri(), experiment)
    if place and mlflow.get_experiment_by_name(experiment) is None:
        mlflow.create_experiment(experiment, artifact_location=place)
    mlflow.set_experiment(experiment)


def _beside(store: str, experiment: str) -> str:
    """The folder for an experiment's artifacts beside a SQLite database; empty for other stores."""
    scheme, _, path = store.partition(":///")
    if scheme.split("+")[0] != "sqlite" or not path:
        return ""
    folder = Path(path.partition("?")[0]).absolute().parent / "mlartifacts"
    return str(folder / (re.sub(r"[^\w.-]+", "-", experiment).strip(".-") or "experiment"))


def headline_metrics(label: "pd.Series[Any]", prediction: "pd.Series[Any]", task: Task) -> dict[str, float]:
    """Accuracy and macro F1, or RMSE, MAE and R2, over rows that have both values (scikit-learn's definitions).

    Empty for other tasks and when no row has both.
    """
    both = label.notna() & prediction.notna()
    if task not in ("classification", "regression") or not both.any():
        return {}
    from sklearn import metrics  # because importing it costs more than the rest of a short publishing script

    if task == "classification":
        texts, guesses = label[both].map(class_text), prediction[both].map(class_text)
        macro = metrics.f1_score(texts, guesses, average="macro", zero_division=0)
        return {"accuracy": float(metrics.accuracy_score(texts, guesses)), "macro_f1": float(macro)}
    true, guess = label[both].astype(float), prediction[both].astype(float)
    found = {
        "rmse": float(metrics.root_mean_squared_error(true, guess)),
        "mae": float(metrics.mean_absolute_error(true, guess)),
    }
    return found | ({"r2": float(metrics.r2_score(true, guess))} if len(true) > 1 else {})


def multilabel_metrics(label: pa.ChunkedArray, prediction: pa.ChunkedArray) -> dict[str, float]:
    """Macro, micro and samples F1 and subset accuracy of sets of classes, over rows that have both (scikit-learn's)."""
    pairs = zip(label.to_pylist(), prediction.to_pylist(), strict=True)
    both = [(y, p) for y, p in pairs if y is not None and p is not None]
    classes = sorted({name for pair in both for names in pair for name in names})
    if not classes:
        return {}
    from sklearn import metrics, preprocessing  # as above

    binarizer = preprocessing.MultiLabelBinarizer(classes=classes).fit(None)
    true, guess = (binarizer.transform(list(side)) for side in zip(*both, strict=True))
    found = {
        f"{how}_f1": float(metrics.f1_score(true, guess, average=how, zero_division=0))
        for how in ("macro", "micro", "samples")
    }
    return found | {"subset_accuracy": float(metrics.accuracy_score(true, guess))}


def _with_sets(table: pa.Table, names: Sequence[str]) -> pa.Table:
    for name in names:
        at = table.column_names.index(name)
        table = table.set_column(at, name, sets_of(table[name].combine_chunks()))
    return table


def _check_columns(table: pd.DataFrame, columns: Mapping[str, Any]) -> None:
    twice = sorted({str(name) for name in table.columns[table.columns.duplicated()]})
    if twice:
        raise DataMissing(f"column names must be unique; these occur more than once: {', '.join(twice)}")
    wanted = [name for role, name in columns.items() if role != "scores"] + list(columns.get("scores", {}).values())
    missing = [repr(name) for name in dict.fromkeys(wanted) if name not in table.columns]
    if missing:
        have = ", ".join(map(str, table.columns[:50]))
        raise DataMissing(f"the table has no column {', '.join(missing)}; its columns are: {have}")


def _with_slices(table: pd.DataFrame, slices: Mapping[str, Predicate]) -> pd.DataFrame:
    added: dict[str, list[bool]] = {}
    rows = [Row(record) for record in table.to_dict("records")] if slices else []
    for name, predicate in slices.items():
        column = name if name.startswith(SLICE_PREFIX) else SLICE_PREFIX + name
        if column in table.columns:
            raise DataMissing(f"slice {name!r} would overwrite the column {column!r}; rename one of them")
        added[column] = [_applied(predicate, row, name, at) for at, row in enumerate(rows)]
    return table.assign(**added)


def _yaml(filters: Mapping[str, str]) -> str:
    entries = [{"name": name, "filter": text} for name, text in filters.items()]
    return str(yaml.safe_dump(entries, allow_unicode=True, sort_keys=False))


def _applied(predicate: Predicate, row: Row, name: str, at: int) -> bool:
    try:
        return bool(predicate(row))
    except (LookupError, AttributeError, TypeError, ValueError, ArithmeticError) as exc:
        raise DataMissing(f"slicing function {name!r} failed on row {at}: {type(exc).__name__}: {exc}") from exc


def _arrow(table: pd.DataFrame) -> pa.Table:
    """The table without its index; a column of mixed types becomes text because Parquet has one type per column."""
    columns = {}
    for name in table.columns:
        try:
            columns[str(name)] = pa.array(_lists(table[name]), from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            texts = [class_text(value) if isinstance(value, list) or pd.notna(value) else None for value in table[name]]
            columns[str(name)] = pa.array(texts, pa.string())
    return pa.table(columns)


def _lists(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Python sets as lists, which is how Arrow knows them."""
    if values.dtype != object or not any(isinstance(value, (set, frozenset)) for value in values):
        return values
    return values.map(lambda value: list(value) if isinstance(value, (set, frozenset)) else value)


def _task(task: str | None, label: pa.ChunkedArray) -> Task:
    if task is None:
        return "multilabel" if is_sets(label.type) else infer_task(label)
    known = checked_task(task)
    if known is None:
        raise DataMissing(f"unknown task {task!r}; known are {', '.join(get_args(Task))}")
    return known


@contextmanager
def _run(run_id: str | None) -> Iterator[tuple[MlflowClient, str]]:
    """The given run, else the active one, else a new one that ends with the block."""
    client = MlflowClient()
    active = mlflow.active_run()
    try:
        if run_id:
            yield client, run_id
        elif active:
            yield client, active.info.run_id
        else:
            with mlflow.start_run() as started:
                yield client, started.info.run_id
    except MlflowException as exc:
        raise StoreUnavailable(f"MLflow at {mlflow.get_tracking_uri()} refused the evaluation: {exc}") from exc


def _model_id(model: object | None, table: pd.DataFrame, columns: Mapping[str, Any]) -> str | None:
    """The id of a logged model, or of the model logged here."""
    if model is None:
        return None
    if isinstance(model, str):
        return model.removeprefix("models:/")
    known = getattr(model, "model_id", None)
    return str(known) if known else _log_model(model, table, columns)


def _link(client: MlflowClient, run_id: str, model_id: str | None) -> None:
    """Record the evaluated model as the run's input, unless the run made it itself."""
    run = client.get_run(run_id)
    made = run.outputs.model_outputs if run.outputs else ()
    if model_id and model_id not in {link.model_id for link in made or ()}:
        client.log_inputs(run_id, models=[LoggedModelInput(model_id)])


def _log_model(model: Any, table: pd.DataFrame, columns: Mapping[str, Any]) -> str:
    room = next((cls.__module__.split(".")[0] for cls in type(model).__mro__ if _is_flavour(cls)), None)
    if room == "sklearn":
        roles = {name for role, name in columns.items() if role != "scores"} | set(columns.get("scores", {}).values())
        used = list(getattr(model, "feature_names_in_", [name for name in table.columns if name not in roles]))
        example = table[[name for name in used if not str(name).startswith(SLICE_PREFIX)]].head(5)
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            input_example=example,
            serialization_format="cloudpickle",
            pip_requirements=[_pin(room)],
        )
    elif room == "torch":
        logged = mlflow.pytorch.log_model(
            model, name="model", serialization_format="pickle", pip_requirements=[_pin(room)]
        )
    else:
        accepted = "what log_model returned, a model id, a scikit-learn estimator or a torch module"
        raise ModelUnavailable(f"cannot log a model of type {type(model).__name__}; accepted are {accepted}")
    return str(logged.model_id)


def _is_flavour(cls: type) -> bool:
    return cls.__module__.split(".")[0] in ("sklearn", "torch")


def _pin(package: str) -> str:
    from importlib.metadata import version

    name = {"sklearn": "scikit-learn"}.get(package, package)
    return f"{name}=={version(name).split('+')[0]}"


def read_table(path: Path) -> pd.DataFrame:
    """A CSV or Parquet file as a frame; raises DataMissing with the reason when it is neither."""
    try:
        return pd.read_parquet(path) if path.suffix.lower() in (".parquet", ".pq") else pd.read_csv(path)
    except (OSError, ValueError, pa.ArrowException) as exc:
        raise DataMissing(f"cannot read {path} as CSV or Parquet: {exc}") from exc


def _with_blanks(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """A CSV's columns of sets with empty cells as the empty set, where that is how they write it."""
    return table.assign(**{name: table[name].fillna("") for name in names if blank_is_empty(table[name].unique())})


def parser() -> argparse.ArgumentParser:
    """The command line: one option per role."""
    made = argparse.ArgumentParser("python -m mlflow_runs.publish", description=__doc__)
    made.add_argument("table", type=Path, help="CSV or Parquet file with one row per example")
    made.add_argument("--experiment", required=True, help="experiment to log to; made when it does not exist")
    made.add_argument("--label", required=True, help="column with the true value")
    made.add_argument("--prediction", required=True, help="column with the predicted value")
    made.add_argument("--score", help="one column with the score of the positive class")
    made.add_argument("--scores", nargs="+", metavar="CLASS=COLUMN", help="one score column per class")
    for role in ("id", "time", "text", "image"):
        made.add_argument(f"--{role}", help=f"column with the {role}")
    made.add_argument("--task", choices=get_args(Task))
    made.add_argument("--positive-class", help="class that --score belongs to")
    made.add_argument("--run-name", help="name of the new run")
    made.add_argument("--model-name", help="register the run as the next version of this model")
    stores = " or ".join(_STORE_VARIABLES)
    beside = "default: the store's own choice, or mlartifacts/ beside a SQLite store"
    made.add_argument("--artifact-location", default="", help=f"where a new experiment keeps artifacts; {beside}")
    made.add_argument("--tracking-uri", help=f"MLflow store to log to; default: the environment's {stores}")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Log one file as one new run; prints the run id."""
    options = parser().parse_args(arguments)
    try:
        run_id = _publish(options)
        print(f"logged to {mlflow.get_tracking_uri()}, experiment {options.experiment}", file=sys.stderr)
        print(run_id)
    except DashboardError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    return 0


def _publish(options: argparse.Namespace) -> str:
    table = read_table(options.table)
    pairs = [pair.partition("=") for pair in options.scores or []]
    scores = {name: column or f"score_{name}" for name, _, column in pairs} or options.score
    asked = {role: getattr(options, role) for role in ("label", "prediction", "id", "time", "text", "image")}
    columns = {role: name for role, name in asked.items() if name is not None}
    _check_columns(table, columns | ({"scores": scores} if isinstance(scores, dict) else {}))
    mlflow.set_tracking_uri(_store(options))
    log_to(options.experiment, options.artifact_location)
    roles = {role: getattr(options, role) for role in ("id", "time", "text", "image", "task", "positive_class")}
    if options.task == "multilabel" and options.table.suffix.lower() == ".csv":
        table = _with_blanks(table, (options.label, options.prediction))
    with mlflow.start_run(run_name=options.run_name) as run:
        log_evaluation(table, label=options.label, prediction=options.prediction, scores=scores, **roles)
    if options.model_name:
        _register(options.model_name, run.info)
    return str(run.info.run_id)


def _store(options: argparse.Namespace) -> str:
    """The named store; nothing is guessed, because MLflow would make a new one in the current folder."""
    named = (options.tracking_uri, *(os.environ.get(name) for name in _STORE_VARIABLES))
    uri = next(filter(None, named), None)
    if uri is None:
        accepted = (
            f"--tracking-uri, {' or '.join(_STORE_VARIABLES)} (Vitrine's own is sqlite:///<data folder>/mlflow.db)"
        )
        raise StoreUnavailable(f"no store is named; say where to log with {accepted}")
    return str(uri)


def _register(name: str, run: Any) -> None:
    """A version that carries the evaluation only: no model file is needed."""
    client = MlflowClient()
    if not client.search_registered_models(filter_string=f"name = '{name}'"):
        client.create_registered_model(name)
    client.create_model_version(name, source=run.artifact_uri, run_id=run.run_id)


if __name__ == "__main__":
    sys.exit(main())
