"""The report of curves and thresholds, against scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, confusion_matrix, roc_auc_score, roc_curve

from dashboard.errors import BadQuery
from dashboard.reports.curves import CurvesQuery, curves_or_reason, curves_report
from mlflow_runs.errors import DataMissing
from tests.dashboard.reports.conftest import House


def rows(n: int = 1200) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    scores = rng.dirichlet([1, 1, 1], n)
    label = np.array(["a", "b", "c"])[(rng.random(n)[:, None] > scores.cumsum(axis=1)).sum(axis=1)]
    frame = pd.DataFrame(scores, columns=["score_a", "score_b", "score_c"])
    frame["label"], frame["prediction"] = label, np.array(["a", "b", "c"])[scores.argmax(axis=1)]
    frame["old"] = rng.random(n) < 0.5
    frame.loc[:9, "score_a"] = np.nan
    return frame


ROLES = {"roles": {"scores": {name: f"score_{name}" for name in "abc"}, "features": ("old",)}}


def test_curves_of_a_class_under_a_filter(house: House) -> None:
    frame = rows()
    house.add("r1", frame, **ROLES)
    report = curves_report(house, CurvesQuery(run="r1", curve="a", filter="old", threshold="0.4", fp="2", fn="3"))
    kept = frame[frame.old & frame.score_a.notna()]
    hit, scores, found = kept.label == "a", kept.score_a, report.scored
    assert (found.n, found.n_positive, found.left_out) == (len(kept), hit.sum(), frame.old[:10].sum())
    assert abs(found.auc.value - roc_auc_score(hit, scores)) <= found.auc_error + 1e-12
    assert abs(found.average_precision.value - average_precision_score(hit, scores)) <= found.average_precision_error
    want_x, want_y, _ = roc_curve(hit, scores)
    x, y = np.array(found.roc.x), np.array(found.roc.y)
    # by the way walked along the curve, because a step has many heights at one place
    assert np.abs(np.interp(want_x + want_y, x + y, y) - want_y).max() < 0.005
    assert report.chosen is not None
    tn, fp, fn, tp = confusion_matrix(hit, scores >= 0.4).ravel()
    assert (report.chosen.tp, report.chosen.fp, report.chosen.fn, report.chosen.tn) == (tp, fp, fn, tn)
    assert report.chosen.cost.value == pytest.approx((2 * fp + 3 * fn) / len(kept))
    assert report.optimum is not None
    assert report.optimum.cost.value <= report.chosen.cost.value
    assert report.optimum.cost.value == pytest.approx(min(report.costs.y))


def test_calibration_groups_agree_with_the_brier_score(house: House) -> None:
    """Brier's calibration part from the groups is small where scores are the true probabilities."""
    frame = rows(6000)
    house.add("r1", frame, **ROLES)
    found = curves_report(house, CurvesQuery(run="r1", curve="b")).scored
    part = sum(g.n * (g.share - g.score) ** 2 for g in found.groups) / found.n
    assert part < 0.002 < brier_score_loss(frame.label == "b", frame.score_b)
    assert found.ece == pytest.approx(sum(g.n * abs(g.share - g.score) for g in found.groups) / found.n)
    assert sum(g.n for g in found.groups) == found.n
    assert all(g.low <= g.share <= g.high for g in found.groups)


def test_the_slider_scans_nothing(house: House) -> None:
    house.add("r1", rows(), **ROLES)
    for threshold in ("", "0.2", "0.9"):
        curves_report(house, CurvesQuery(run="r1", curve="a", threshold=threshold, fn="7"))
    assert house.scans("curves") == 1


def test_the_class_shown_first(house: House) -> None:
    frame = rows()
    house.add("r1", frame, **ROLES)
    by_f1 = {name: _f1(frame, name) for name in "abc"}
    assert curves_report(house, CurvesQuery(run="r1")).scored.class_name == min(by_f1, key=lambda name: by_f1[name])
    two = frame[frame.label != "c"].assign(prediction="a")
    house.add("r2", two, roles={"score": "score_b", "positive_class": "b", "classes": ("a", "b")})
    report = curves_report(house, CurvesQuery(run="r2"))
    assert (report.scored.class_name, report.classes) == ("b", ("a", "b"))


def _f1(frame: pd.DataFrame, name: str) -> float:
    hits = ((frame.label == name) & (frame.prediction == name)).sum()
    return float(2 * hits / ((frame.label == name).sum() + (frame.prediction == name).sum()))


def test_a_class_without_scores_is_told_and_another_shown(house: House) -> None:
    house.add("r1", rows(), **ROLES)
    report = curves_report(house, CurvesQuery(run="r1", curve="zebra"))
    assert "'zebra'" in report.note
    assert report.scored.class_name in "abc"


def test_nothing_selected_is_empty(house: House) -> None:
    house.add("r1", rows(), **ROLES)
    report = curves_report(house, CurvesQuery(run="r1", filter="1 = 2"))
    assert (report.scored.n, report.chosen, report.optimum) == (0, None, None)


@pytest.mark.parametrize("query", [{"threshold": "nan"}, {"fp": "-1"}, {"fn": "x"}, {"fn": "1e12"}])
def test_bad_numbers_are_named(house: House, query: dict[str, str]) -> None:
    house.add("r1", rows(), **ROLES)
    with pytest.raises(BadQuery, match=next(iter(query.values()))):
        curves_report(house, CurvesQuery(run="r1", **query))


def test_without_scores_there_is_a_reason(house: House) -> None:
    house.add("r1", rows()[["label", "prediction"]])
    house.add("r2", {"label": [1.5, 2.5], "prediction": [1.0, 2.0]}, "regression")
    with pytest.raises(DataMissing, match="score_<class>"):
        curves_report(house, CurvesQuery(run="r1"))
    assert "score_<class>" in str(curves_or_reason(house, CurvesQuery(run="r1")))
    assert curves_or_reason(house, CurvesQuery(run="r2")) == ""
