"""From performance and overview reports to the JSON documents of the API; nothing is computed here."""

from collections.abc import Iterable
from typing import Any, cast

from dashboard.api.documents import moment, problems, run_item
from dashboard.api.figure_shapes import (
    ClassShape,
    ConfusionShape,
    Metric,
    ModelOverview,
    ModelsDocument,
    NamedSlice,
    Overall,
    PerformanceDocument,
    ResidualsShape,
    SliceShape,
    VerdictShape,
)
from dashboard.metrics.estimate import Estimate, Verdict
from dashboard.reports.overview import ModelCard, OverviewReport
from dashboard.reports.performance import ClassRow, Confusion, PerformanceReport, Residuals, SliceRow

DENSE_LABELS = 200


def performance_document(report: PerformanceReport, filter_text: str = "", slice_name: str = "") -> PerformanceDocument:
    """What the Performance page shows; classes and slices keep the report's order."""
    sets = report.task == "multilabel"
    return {
        "run": run_item(report.run),
        "task": report.task,
        "source": report.source,
        "artifact": report.artifact,
        "filter": filter_text,
        "slice": slice_name,
        "headline": report.headline,
        "n_unlabelled": int(report.n_unlabelled),
        "n_filtered_out": int(report.n_filtered_out),
        "overall": cast(Overall, {"n": int(report.n)} | _metrics(report.overall)),
        "per_class": {row.name: _class(row, report.n if sets else None) for row in report.classes},
        "slices": _slices(report.slices),
        "confusion": None if report.confusion is None else _confusion(report.confusion),
        "residuals": None if report.residuals is None else _residuals(report.residuals),
        "logged": [
            {"name": item.name, "logged": item.logged, "ours": item.ours, "differs": bool(item.differs)}
            for item in report.logged
        ],
        "problems": problems(report.problems),
        "notes": list(report.notes),
        "age": float(report.age),
    }


def metric(estimate: Estimate) -> Metric:
    """A figure with its interval; the marks are there only when they are true."""
    shape: Metric = {"value": estimate.value, "low": estimate.low, "high": estimate.high, "n": int(estimate.n)}
    if estimate.too_few:
        shape["too_few"] = True
    if estimate.undefined:
        shape["undefined"] = True
    return shape


def _metrics(estimates: dict[str, Estimate]) -> dict[str, Any]:
    return {name: metric(estimate) for name, estimate in estimates.items()}


def _class(row: ClassRow, rows: int | None) -> ClassShape:
    """One class; of `rows` that may have several of them also the four counts against all others."""
    shape: ClassShape = {
        "n": int(row.n),
        "n_predicted": int(row.n_predicted),
        "precision": metric(row.precision),
        "recall": metric(row.recall),
        "f1": metric(row.f1),
    }
    if rows is not None and row.hits is not None:
        hits, union = int(row.hits), int(row.n + row.n_predicted - row.hits)
        shape |= {"tp": hits, "fp": int(row.n_predicted) - hits, "fn": int(row.n) - hits, "tn": int(rows) - union}
    if row.averages:
        shape["averages"] = {name: metric(estimate) for name, estimate in row.averages.items()}
    return shape


def _slices(rows: Iterable[SliceRow]) -> dict[str, SliceShape]:
    """By name; a name that a column and a file both use gets its kind added the second time."""
    found: dict[str, SliceShape] = {}
    for row in rows:
        found[f"{row.name} ({row.kind})" if row.name in found else row.name] = _slice(row)
    return found


def _slice(row: SliceRow) -> SliceShape:
    facts = {"n": int(row.n), "kind": row.kind, "description": row.description, "filter": row.filter}
    metrics = {name.removeprefix("macro_"): estimate for name, estimate in row.metrics.items()}
    return cast(SliceShape, facts | _metrics(metrics))


def _confusion(confusion: Confusion) -> ConfusionShape:
    labels = list(confusion.labels)
    if len(labels) > DENSE_LABELS:
        return {"labels": labels, "cells": [(int(i), int(j), int(n)) for i, j, n in confusion.cells]}
    counts = [[0] * len(labels) for _ in labels]
    for i, j, n in confusion.cells:
        counts[i][j] = int(n)
    return {"labels": labels, "counts": counts}


def _residuals(residuals: Residuals) -> ResidualsShape:
    return {"edges": list(residuals.edges), "counts": [int(n) for n in residuals.counts]}


def models_document(report: OverviewReport) -> ModelsDocument:
    """Every model, what needs attention first."""
    return {"models": [_model(card) for card in report.models], "pending": int(report.pending)}


def _model(card: ModelCard) -> ModelOverview:
    return {
        "model": card.model,
        "registered": card.registered,
        "task": card.task,
        "run": run_item(card.run),
        "n_versions": int(card.n_versions),
        "metric": card.metric,
        "headline": None if card.headline is None else metric(card.headline),
        "previous": None if card.previous is None else run_item(card.previous),
        "verdict": None if card.verdict is None else _verdict(card.verdict),
        "history": [
            {
                "run_id": point.run_id,
                "version": point.version,
                "start_time": moment(point.start_time),
                "headline": None if point.estimate is None else metric(point.estimate),
            }
            for point in card.history
        ],
        "worst_slice": None
        if card.worst_slice is None
        else {"name": card.worst_slice.name, **_slice(card.worst_slice)},
        "problem": card.problem,
    }


def _named(row: SliceRow) -> NamedSlice:
    return {"name": row.name, **_slice(row)}


def _verdict(verdict: Verdict) -> VerdictShape:
    return {
        "word": verdict.word,
        "difference": verdict.difference,
        "low": verdict.low,
        "high": verdict.high,
        "n": int(verdict.n),
        "paired": bool(verdict.paired),
        "detectable": verdict.detectable,
    }
