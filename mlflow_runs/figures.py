"""Ready-made performance figures: performance.json, MLflow's per_class_metrics.csv, plain run metrics."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from mlflow_runs.errors import ArtifactUnreadable
from mlflow_runs.records import Figures, Task

ALIASES = {
    "f1-score": "f1",
    "f1_score": "f1",
    "precision_score": "precision",
    "recall_score": "recall",
    "accuracy_score": "accuracy",
    "support": "num_samples",
    "example_count": "num_samples",
    "root_mean_squared_error": "rmse",
    "mean_absolute_error": "mae",
    "mean_squared_error": "mse",
    "r2_score": "r2",
}
CLASSIFICATION = ("accuracy", "precision", "recall", "f1", "macro_f1", "macro_precision", "macro_recall", "weighted_f1")
REGRESSION = ("rmse", "mae", "mse", "r2")
_PREFIXES = ("test_", "eval_", "val_", "validation_", "")
_NAME_KEYS = ("name", "class", "slice", "label")


def read_json(path: Path) -> Any:
    """The JSON of a file; raises ArtifactUnreadable with where and why it is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as exc:
        raise ArtifactUnreadable(f"is not UTF-8 text: {exc.reason} at byte {exc.start}") from exc
    except json.JSONDecodeError as exc:
        end = " (the file ends early)" if exc.pos >= len(exc.doc.rstrip()) - 1 else ""
        raise ArtifactUnreadable(f"is not valid JSON: {exc.msg} at line {exc.lineno}{end}") from exc
    except RecursionError as exc:
        raise ArtifactUnreadable("is nested too deeply to be figures") from exc


def performance_figures(path: Path, artifact: str) -> Figures:
    """performance.json: `overall`, `per_class` (or `class`), `slices`, dicts by name or lists of named entries."""
    data = read_json(path)
    if not isinstance(data, dict):
        raise ArtifactUnreadable(
            f"holds a JSON {type(data).__name__}; expected an object with overall, per_class, slices"
        )
    per_class: Any = next((data[key] for key in ("per_class", "class", "classes") if data.get(key)), {})
    overall = _numbers(data["overall"]) if isinstance(data.get("overall"), dict) else _numbers(data)
    figures = Figures(overall, dict(_entries(per_class)), dict(_entries(data.get("slices") or {})), artifact)
    if not (figures.overall or figures.per_class or figures.slices):
        raise ArtifactUnreadable("has no figures under overall, per_class, class or slices")
    return figures


def _entries(value: Any, prefix: str = "") -> Iterable[tuple[str, dict[str, float]]]:
    """Named entries of numbers, from a dict, a nested dict or a list of dicts."""
    if isinstance(value, list):
        for item in value:
            name = next((item[key] for key in _NAME_KEYS if key in item), None) if isinstance(item, dict) else None
            if name is not None:
                yield prefix + str(name), _numbers(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, dict) and _numbers(item):
                yield prefix + str(key), _numbers(item)
            elif isinstance(item, (dict, list)) and prefix.count("/") < 3:
                yield from _entries(item, f"{prefix}{key}/")


def _numbers(entry: Mapping[str, Any]) -> dict[str, float]:
    return {ALIASES.get(key, key): float(value) for key, value in entry.items() if _is_finite(value)}


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def per_class_figures(path: Path, artifact: str) -> Figures:
    """MLflow's per_class_metrics.csv; `num_samples` of a class is true positives + false negatives."""
    try:
        table = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types={"positive_class": pa.string()}))
    except (pa.ArrowException, OSError) as exc:
        raise ArtifactUnreadable(f"is not the CSV that mlflow.evaluate writes: {exc}") from exc
    if "positive_class" not in table.column_names:
        raise ArtifactUnreadable(f"has no column positive_class; it has: {', '.join(table.column_names[:20])}")
    per_class: dict[str, dict[str, float]] = {}
    for row in table.to_pylist():
        counted = row.get("true_positives"), row.get("false_negatives")
        entry = _numbers({key: value for key, value in row.items() if key != "example_count"})
        if all(_is_finite(value) for value in counted):
            entry["num_samples"] = float(sum(counted))
        per_class[str(row["positive_class"])] = entry
    return Figures(per_class=per_class, artifact=artifact)


def metric_figures(metrics: Mapping[str, float]) -> Figures | None:
    """Run metrics under names that mean performance (test_ before eval_ before val_ before bare), None without any."""
    overall: dict[str, float] = {}
    for prefix in _PREFIXES:
        for key, value in metrics.items():
            name = ALIASES.get(key.removeprefix(prefix), key.removeprefix(prefix))
            known = name in (*CLASSIFICATION, *REGRESSION, "roc_auc", "log_loss", "num_samples")
            if key.startswith(prefix) and known and math.isfinite(value):
                overall.setdefault(name, float(value))
    return Figures(overall=overall, artifact="run metrics") if set(overall) - {"num_samples"} else None


def task_of(figures: Figures) -> Task | None:
    """The task that figures speak of: classes or rates mean classification, errors regression."""
    if figures.per_class or any(name in figures.overall for name in CLASSIFICATION):
        return "classification"
    return "regression" if any(name in figures.overall for name in REGRESSION) else None
