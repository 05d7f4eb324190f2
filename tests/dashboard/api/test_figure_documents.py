"""From hand-built performance and overview reports to documents, safe whatever the names and numbers."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.api import figure_documents
from dashboard.api.encoding import encode
from dashboard.api.figure_shapes import ModelsDocument, PerformanceDocument
from dashboard.metrics.estimate import Estimate, Verdict
from dashboard.reports.overview import ModelCard, OverviewReport, VersionPoint
from dashboard.reports.performance import (
    ClassRow,
    Confusion,
    LoggedMetric,
    PerformanceReport,
    Residuals,
    SliceRow,
)
from mlflow_runs.records import StoreState
from tests.dashboard.api.samples import RUN, sent


def _estimate(value=0.5, **marks) -> Estimate:
    return Estimate(value, value / 2, 1.0, 40, **marks)


def _report(**changes) -> PerformanceReport:
    base = PerformanceReport(
        run=RUN,
        task="classification",
        source="predictions",
        artifact="predictions.parquet",
        n=40,
        n_unlabelled=1,
        n_filtered_out=0,
        headline="macro_f1",
        overall={"accuracy": _estimate(), "macro_f1": _estimate(math.nan)},
        classes=(ClassRow("cat", 30, 20, _estimate(), _estimate(0.0, undefined=True), _estimate(too_few=True)),),
        slices=(SliceRow("short", "declared", "", "", 12, {"macro_precision": _estimate(), "macro_f1": _estimate()}),),
        confusion=Confusion(("cat", "dog"), ((0, 0, 20), (1, 0, 20))),
    )
    return replace(base, **changes)


def _performance(report: PerformanceReport):
    return sent(PerformanceDocument, figure_documents.performance_document(report))


def test_performance_of_a_classification():
    document = _performance(_report())
    assert document["overall"]["n"] == 40 and document["overall"]["macro_f1"]["value"] is None
    assert document["overall"]["accuracy"] == {"value": 0.5, "low": 0.25, "high": 1.0, "n": 40}
    cat = document["per_class"]["cat"]
    assert (cat["n"], cat["n_predicted"]) == (30, 20)
    assert cat["recall"]["undefined"] is True and "too_few" not in cat["recall"]
    assert cat["f1"]["too_few"] is True and "undefined" not in cat["f1"]
    assert set(document["slices"]["short"]) == {"n", "kind", "description", "filter", "precision", "f1"}
    assert document["confusion"] == {"labels": ["cat", "dog"], "counts": [[20, 0], [20, 0]]}


def test_performance_of_a_regression():
    residuals = Residuals((0.0, math.inf), (3,), ((1.0, 2.0),), 1)
    overall = {name: _estimate(-2.0) for name in ("mae", "rmse", "r2")}
    report = _report(task="regression", overall=overall, classes=(), confusion=None, residuals=residuals)
    document = _performance(report)
    assert document["per_class"] == {} and document["confusion"] is None
    assert document["residuals"] == {"edges": [0.0, None], "counts": [3]}
    assert set(document["overall"]) == {"n", "mae", "rmse", "r2"}


def test_counts_are_whole_numbers_even_when_the_report_holds_floats():
    row = ClassRow("cat", 30.0, np.float64(20), *[Estimate(0.5, 0.1, 0.9, np.float64(7.0))] * 3)
    body = encode(figure_documents.performance_document(_report(n=40.0, classes=(row,)))).decode()
    found = json.loads(body, parse_float=lambda text: f"float {text}")
    assert found["overall"]["n"] == 40
    assert found["per_class"]["cat"]["n"] == 30 and found["per_class"]["cat"]["f1"]["n"] == 7


@pytest.mark.parametrize("many", [1, figure_documents.DENSE_LABELS, figure_documents.DENSE_LABELS + 1, 1000])
def test_confusion_is_dense_up_to_its_limit(many):
    labels = tuple(f"c{i}" for i in range(many))
    confusion = _performance(_report(confusion=Confusion(labels, ((many - 1, 0, 5),))))["confusion"]
    if many <= figure_documents.DENSE_LABELS:
        assert confusion["counts"][many - 1][0] == 5 and sum(map(sum, confusion["counts"])) == 5
    else:
        assert confusion == {"labels": list(labels), "cells": [[many - 1, 0, 5]]}


def test_a_slice_in_both_kinds_stays_twice():
    rows = [SliceRow("a", kind, "", "", n, {}) for kind, n in (("declared", 1), ("file", 2))]
    slices = _performance(_report(slices=tuple(rows)))["slices"]
    assert {name: item["n"] for name, item in slices.items()} == {"a": 1, "a (file)": 2}


_NAMES = st.text(max_size=12) | st.sampled_from(["</script>", "constructor", "\x00", "n", "\ud800", "1", ""])
_ESTIMATES = st.builds(
    Estimate, st.floats(), st.floats(), st.floats(), st.integers(0, 10**9), st.booleans(), st.booleans()
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(_NAMES, max_size=4, unique=True),
    st.lists(_ESTIMATES, min_size=3, max_size=3),
    st.floats(),
    _NAMES,
)
def test_whatever_the_names_and_numbers_the_document_is_strict_json_of_its_shape(names, estimates, logged, text):
    report = _report(
        run=replace(RUN, run_name=text, model=text, metrics={text: logged}, start_time=logged),
        overall=dict(zip(("accuracy", "mae", "macro_f1"), estimates, strict=True)),
        classes=tuple(ClassRow(name, 1, 2, *estimates) for name in names),
        slices=tuple(SliceRow(name, "declared", text, text, 3, {"macro_f1": estimates[0]}) for name in names),
        confusion=Confusion(tuple(names), tuple((i, i, 1) for i in range(len(names)))),
        logged=(LoggedMetric(text, logged, None, True),),
    )
    document = _performance(report)
    assert len(document["per_class"]) == len(names) == len(document["confusion"]["labels"])
    for marked, estimate in zip(("accuracy", "mae", "macro_f1"), estimates, strict=True):
        assert document["overall"][marked].get("too_few", False) == estimate.too_few
        assert (document["overall"][marked]["value"] is None) == (not math.isfinite(estimate.value))


def test_an_overview_with_and_without_a_verdict():
    worse = Verdict("worse", -0.1, -0.2, -0.05, 40, True, 0.07)
    points = (VersionPoint("r0", "1", math.nan, None), VersionPoint("r1", "2", 1.0, _estimate()))
    worst = SliceRow("short", "declared", "", "", 12, {"macro_f1": _estimate()})
    full = ModelCard("m", True, "classification", RUN, 2, "macro_f1", _estimate(), RUN, worse, points, worst)
    empty = ModelCard("n", False, None, RUN, 1, "", None, None, None, (), None, "it is cut off")
    store = StoreState("sqlite:///x", True, "", 1.0, 3, 1)
    document = sent(ModelsDocument, figure_documents.models_document(OverviewReport(store, (full, empty), 1)))
    first, second = document["models"]
    assert document["pending"] == 1
    assert first["verdict"]["word"] == "worse" and first["verdict"]["difference"] == -0.1
    assert first["worst_slice"]["name"] == "short" and first["worst_slice"]["f1"]["value"] == 0.5
    assert [point["headline"] and point["headline"]["value"] for point in first["history"]] == [None, 0.5]
    assert first["history"][0]["start_time"] is None
    assert second["verdict"] is second["headline"] is None and second["problem"] == "it is cut off"
