"""From records and reports to the JSON documents of the API; nothing is computed here."""

from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from dashboard import pictures
from dashboard.api.shapes import (
    BoxShape,
    ColumnsDocument,
    ColumnShape,
    DataDocument,
    ImageShape,
    ModelInfoShape,
    ModelShape,
    PredictDocument,
    PredictionShape,
    ProblemShape,
    RunDocument,
    RunsDocument,
    RunShape,
)
from dashboard.inference.cards import ModelCard
from dashboard.inference.client import Answer
from dashboard.inference.detections import Box, shown
from dashboard.inference.outputs import Prediction
from dashboard.pictures import Kept
from dashboard.reports.data import ColumnSummary, DataReport, RowPage
from dashboard.reports.residual_interval import LEVEL, Residuals
from mlflow_runs.records import ModelInfo, Problem, RunRow, StoreState
from mlflow_runs.suppression import CONFIDENCE, OVERLAP


def runs_document(rows: Iterable[RunRow], total: int, offset: int, limit: int, store: StoreState) -> RunsDocument:
    """One page of the run list, with the state of the store behind it."""
    return {
        "runs": [run_item(row) for row in rows],
        "total": total,
        "offset": offset,
        "limit": limit,
        "store": {"reachable": store.reachable, "message": store.message, "synced_at": moment(store.synced_at)},
    }


def run_item(row: RunRow) -> RunShape:
    """A run as the list shows it."""
    return {
        "run_id": row.run_id,
        "run_name": row.run_name,
        "experiment": row.experiment,
        "experiment_id": row.experiment_id,
        "status": row.status,
        "start_time": moment(row.start_time),
        "end_time": moment(row.end_time),
        "model": row.model,
        "registered": row.registered,
        "version": row.version,
        "ordinal": row.ordinal,
        "aliases": list(row.aliases),
        "task": row.task,
        "state": row.state,
        "problems": problems(row.problems),
        "metrics": dict(row.metrics),
        "synced_at": moment(row.synced_at),
    }


def run_document(row: RunRow) -> RunDocument:
    """A run with its parameters, tags, lineage and model."""
    return {
        **run_item(row),
        "params": dict(row.params),
        "tags": dict(row.tags),
        "git_commit": row.git_commit,
        "user": row.user,
        "datasets": [
            {"name": data.name, "digest": data.digest, "context": data.context, "source": data.source}
            for data in row.datasets
        ],
        "model_info": None if row.model_info is None else _model_info(row.model_info),
    }


def data_document(page: RowPage) -> DataDocument:
    """One page of rows as objects by column name."""
    return {
        "columns": list(page.columns),
        "rows": [dict(zip(page.columns, row, strict=True)) for row in page.rows],
        "row_numbers": [int(number) for number in page.row_numbers],
        "offset": page.offset,
        "limit": page.limit,
        "total": int(page.total),
    }


def columns_document(report: DataReport, filter_text: str) -> ColumnsDocument:
    """The table at a glance."""
    return {
        "artifact": report.artifact,
        "filter": filter_text,
        "n": int(report.n),
        "total": int(report.total),
        "duplicates": int(report.duplicates),
        "columns": [_column(column) for column in report.columns],
        "preprocessing": report.preprocessing,
        "problems": problems(report.problems),
        "age": float(report.age),
    }


Keep = Callable[[bytes], Kept]


def predict_document(
    answer: Answer,
    keep: Keep | None = None,
    confidence: float = CONFIDENCE,
    overlap: float = OVERLAP,
    residuals: Residuals | None = None,
) -> PredictDocument:
    """One prediction for each input, in their order; pictures as links made by `keep`, without it as bytes.

    Of boxes those that are left at a confidence and an overlap; numbers get an interval from the run's `residuals`.
    """
    return {
        "predictions": [
            _prediction(_thinned(item, confidence, overlap), keep, residuals) for item in answer.predictions
        ],
        "model": _model(answer.model),
        "cached": bool(answer.cached),
        "age": answer.age,
        "latency_ms": float(answer.latency_ms),
    }


def problems(found: Iterable[Problem]) -> list[ProblemShape]:
    """What could not be used, in the order it was found."""
    return [{"artifact": problem.artifact, "reason": problem.reason} for problem in found]


def _model_info(info: ModelInfo) -> ModelInfoShape:
    return {
        "model_id": info.model_id,
        "name": info.name,
        "flavors": list(info.flavors),
        "signature": info.signature,
        "input_example": info.input_example,
        "metadata": info.metadata,
        "requirements": list(info.requirements),
    }


def _column(column: ColumnSummary) -> ColumnShape:
    return {
        "name": column.name,
        "kind": column.kind,
        "role": column.role,
        "n": int(column.n),
        "missing": int(column.missing),
        "distinct": int(column.distinct),
        "minimum": column.minimum,
        "mean": column.mean,
        "maximum": column.maximum,
        "std": column.std,
        "edges": list(column.edges),
        "counts": [int(n) for n in column.counts],
        "top": [{"value": value, "n": int(n)} for value, n in column.top],
    }


def _image(png: bytes, keep: Keep | None) -> ImageShape:
    if keep is None:
        width, height = pictures.size(png)
        return {"media_type": "image/png", "width": width, "height": height, "base64": b64encode(png).decode()}
    kept = keep(png)
    return {"media_type": "image/png", "width": kept.width, "height": kept.height, "link": kept.link}


def _thinned(item: Prediction, confidence: float, overlap: float) -> Prediction:
    return item if item.boxes is None else replace(item, boxes=shown(item.boxes, confidence, overlap))


def _box(box: Box) -> BoxShape:
    return {"label": box.label, "x": box.x, "y": box.y, "w": box.w, "h": box.h, "score": box.score}


def _prediction(item: Prediction, keep: Keep | None, residuals: Residuals | None = None) -> PredictionShape:
    if item.boxes is not None:
        return {"boxes": [_box(box) for box in item.boxes]}
    if item.image is not None:
        return {"image": _image(item.image, keep)}
    if item.labels is not None:
        return {"labels": list(item.labels), "probabilities": dict(item.probabilities)}
    if item.label is not None:
        return {"label": item.label, "probabilities": dict(item.probabilities or {})}
    if item.value is not None and residuals is not None:
        low, high = item.value + residuals.low, item.value + residuals.high
        return {"value": item.value, "interval": {"low": low, "high": high, "level": LEVEL, "n": residuals.n}}
    return {"raw": item.raw} if item.value is None else {"value": item.value}


def _model(card: ModelCard) -> ModelShape:
    return {
        "model_id": card.model_id,
        "name": card.name,
        "version": card.version,
        "run_id": card.run_id,
        "run_name": card.run_name,
        "task": card.task,
        "kind": card.kind,
        "inputs": [{"name": item.name, "type": item.type, "required": item.required} for item in card.inputs],
        "classes": list(card.classes),
    }


def moment(seconds: float | None) -> str | None:
    """ISO 8601 in UTC; None for what is no moment (a store may hold anything)."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return None
