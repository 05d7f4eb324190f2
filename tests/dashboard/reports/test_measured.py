"""What one cube tells of all rows and of each slice; and a multi-label evaluation on every page that reads one."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import multilabel_confusion_matrix, precision_recall_fscore_support, roc_auc_score

from dashboard.api.figure_documents import performance_document
from dashboard.api.figure_shapes import PerformanceDocument
from dashboard.errors import BadQuery
from dashboard.metrics.cube import cube_of
from dashboard.metrics.slices import declared_slices
from dashboard.reports.chosen import chosen_rows
from dashboard.reports.contrast import ContrastQuery, columns, contrast, contrast_report
from dashboard.reports.curves import CurvesQuery, curves_report
from dashboard.reports.data import DataQuery, data_report, row_page
from dashboard.reports.measured import confusion_of, measure_classes
from dashboard.reports.overview import OverviewQuery, overview_report
from dashboard.reports.performance import PerformanceQuery, error_rows, performance_report
from dashboard.reports.slice_finder import find_weak_slices, search_of
from layouts import performance
from mlflow_runs.errors import DataMissing
from tests.dashboard.api.samples import sent
from tests.dashboard.reports.conftest import House

LABELS, PREDICTIONS = ["a", "a", "b", "c", None], ["a", "b", "b", "a", "a"]
CUBE = cube_of(LABELS, PREDICTIONS, np.array([[50, 10, 40, 0, 3], [5, 10, 4, 0, 1]]))
NAMES = ["art", "it's", "sport"]
ROLES = {"scores": {name: f"score_{name}" for name in NAMES}, "features": ("length",), "id": "id"}


def test_all_rows_and_a_slice() -> None:
    slices = declared_slices(["slice_x"])
    whole, part = measure_classes(CUBE, slices, None, 10), measure_classes(CUBE, slices, 0, 10)
    assert (whole.n, whole.n_unlabelled, part.n, part.n_unlabelled) == (100, 3, 19, 1)
    assert whole.overall["accuracy"].value == pytest.approx(0.9)
    assert part.overall["accuracy"].value == pytest.approx(9 / 19)
    assert whole.slices == part.slices
    verdict = whole.slices[0].verdict
    assert verdict is not None
    assert verdict.word == "worse"


def test_classes_without_rows_are_left_out() -> None:
    confusion = confusion_of(CUBE.counts())
    assert (confusion.labels, confusion.cells) == (("a", "b"), ((0, 0, 50), (0, 1, 10), (1, 1, 40)))


def frame(n: int = 400, seed: int = 1) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = rng.random((n, 3)) < [0.5, 0.3, 0.1]
    scores = np.clip(label * 0.5 + rng.normal(0.25, 0.25, (n, 3)), 0, 1)
    guess = scores > 0.5
    sets = [[[name for name, on in zip(NAMES, row, strict=True) if on] for row in side] for side in (label, guess)]
    data = pd.DataFrame({"id": range(n), "label": sets[0], "prediction": sets[1], "length": rng.integers(1, 90, n)})
    data["slice_long"] = data.length > 60
    return data.assign(**{f"score_{name}": scores[:, k] for k, name in enumerate(NAMES)}), label, guess


def test_performance(house: House) -> None:
    data, label, guess = frame()
    house.add("r1", data, "multilabel", roles=ROLES)
    report = performance_report(house, PerformanceQuery(run="r1", filter="length <= 60"))
    used = (data.length <= 60).to_numpy()
    want = precision_recall_fscore_support(label[used], guess[used], zero_division=0)
    for place, row in enumerate(report.classes):
        got = (row.precision.value, row.recall.value, row.f1.value, row.n)
        assert got == pytest.approx([part[place] for part in want], abs=1e-12)
    assert [row.name for row in report.classes] == NAMES
    assert (report.headline, report.confusion, report.n) == ("macro_f1", None, used.sum())
    sliced = performance_report(house, PerformanceQuery(run="r1", slice="long"))
    row = performance_report(house, PerformanceQuery(run="r1")).slices[0]
    assert row.metrics["samples_f1"] == sliced.overall["samples_f1"]
    assert row.verdict is not None
    assert house.scans("sets") == 2
    document = sent(PerformanceDocument, performance_document(sliced))
    (tn, fp), (fn, tp) = multilabel_confusion_matrix(label[~used], guess[~used])[2]
    assert {name: document["per_class"]["sport"][name] for name in ("tp", "fp", "fn", "tn")} == {
        "tp": tp, "fp": fp, "fn": fn, "tn": tn
    }  # fmt: skip
    links = [part.href for part in performance.render(sliced, PerformanceQuery())._traverse() if hasattr(part, "href")]
    assert "/performance?label=it%27s&open=errors" in links


def test_rows_behind_a_class(house: House) -> None:
    data, label, guess = frame()
    house.add("r1", data, "multilabel", roles=ROLES)
    y, p = label[:, 1], guess[:, 1]
    for query, want in (
        ({"label": "it's"}, y), ({"predicted": "it's"}, p), ({"label": "it's", "predicted": "it's"}, y & p),
        ({"label": "it's", "open": "errors"}, y & ~p), ({"predicted": "it's", "open": "errors"}, p & ~y),
        ({"open": "errors"}, (label != guess).any(axis=1)), ({"open": "all"}, y | True),
    ):  # fmt: skip
        assert error_rows(house, PerformanceQuery(run="r1", **query)).total == want.sum(), query


def test_curves_one_class_against_the_rest(house: House) -> None:
    data, label, _ = frame()
    house.add("r1", data, "multilabel", roles=ROLES)
    report = curves_report(house, CurvesQuery(run="r1", curve="sport"))
    assert report.classes == tuple(NAMES)
    assert report.scored.n_positive == label[:, 2].sum()
    assert report.scored.auc.value == pytest.approx(roc_auc_score(label[:, 2], data.score_sport), abs=1e-4)
    house.add("r2", data.drop(columns=["score_art"]), "multilabel", roles={"id": "id"})
    with pytest.raises(DataMissing, match="no scores"):
        curves_report(house, CurvesQuery(run="r2"))


def test_data_and_filters_on_classes(house: House) -> None:
    data, label, _ = frame()
    data.at[0, "label"] = None
    house.add("r1", data, "multilabel", roles=ROLES)
    found = data_report(house, DataQuery(run="r1")).label
    assert found is not None
    assert (found.kind, found.distinct, found.missing) == ("classes", 3, 1)
    assert dict(found.top)["sport"] == label[1:, 2].sum()
    page = row_page(house, DataQuery(run="r1", filter="contains(label, 'sport')"))
    assert page.total == label[1:, 2].sum()
    assert page.rows[0][page.columns.index("label")][-1] == "sport"
    with pytest.raises(BadQuery):
        row_page(house, DataQuery(run="r1", filter="label > 3"))


def test_overview_compares_versions(house: House) -> None:
    for place, run in enumerate(("r1", "r2")):
        house.add(run, frame(seed=place)[0], "multilabel", roles=ROLES, ordinal=place + 1, start_time=1000.0 + place)
    (card,) = overview_report(house, OverviewQuery()).models
    assert (card.task, card.metric) == ("multilabel", "macro_f1")
    assert card.verdict is not None
    assert not card.verdict.paired
    assert card.worst_slice is not None


def test_weak_slices_go_by_sets_that_differ(house: House) -> None:
    data, _, _ = frame(n=3000)
    data["kind"] = np.where(np.arange(3000) < 600, "odd", "even")
    for place in range(500):
        data.at[place, "prediction"] = []
    house.add("r1", data, "multilabel", roles={**ROLES, "features": ("kind",)})
    before = contrast_report(house, ContrastQuery(run="r1"))
    assert search_of(house, "r1").possible
    found = find_weak_slices(house, "r1")
    (worst,) = found.slices
    at_odd = performance_report(house, PerformanceQuery(run="r1", filter="kind = 'odd'"))
    assert (found.metric, worst.filter, worst.n, worst.verdict.word) == (
        "subset_accuracy",
        "kind = 'odd'",
        600,
        "worse",
    )
    assert worst.value == at_odd.overall["subset_accuracy"]
    rows = chosen_rows(house, "r1", "", "")
    assert rows.codes is not None
    assert contrast(rows, columns(rows, house.cache), 10) == before
