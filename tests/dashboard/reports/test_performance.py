"""The Performance report: numbers, what is computed when, and every way of having no numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from dashboard.errors import BadQuery
from dashboard.reports.contrast import ContrastQuery, contrast_report
from dashboard.reports.curves import CurvesQuery, curves_report
from dashboard.reports.performance import PerformanceQuery, error_rows, performance_report
from dashboard.reports.wrong_selection import wrong_selection
from mlflow_runs.errors import ArtifactUnreadable, DataMissing, RunNotFound
from mlflow_runs.records import Evaluation, Figures, Problem, Roles
from tests.dashboard.reports.conftest import House

HOUSING = Path(__file__).resolve().parents[4] / "shared" / "data" / "california_housing"


def texts(n: int = 300, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    label = rng.choice(["a", "b", "<b>"], n, p=[0.6, 0.3, 0.1])
    prediction = np.where(rng.random(n) < 0.3, rng.choice(["a", "b", "z"], n), label)
    scores = rng.random(n)
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "label": label,
            "prediction": prediction,
            "score_a": scores,
            "score_b": 1 - scores,
            "length": rng.integers(1, 100, n),
            "slice_short": rng.random(n) < 0.2,
        }
    )


def scored(frame: pd.DataFrame) -> dict:
    return {"roles": {"scores": {"a": "score_a", "b": "score_b"}, "features": ("length",)}}


def test_every_number_equals_scikit_learn(house: House) -> None:
    frame = texts()
    house.add("r1", frame)
    report = performance_report(house, PerformanceQuery(run="r1"))
    names = [row.name for row in report.classes]
    expected = precision_recall_fscore_support(frame.label, frame.prediction, labels=names, zero_division=0)
    got = [[getattr(row, name).value for row in report.classes] for name in ("precision", "recall", "f1")]
    np.testing.assert_allclose(got, expected[:3], atol=1e-12)
    assert [row.n for row in report.classes] == expected[3].tolist()
    want = precision_recall_fscore_support(frame.label, frame.prediction, average="macro", zero_division=0)
    assert report.overall["macro_f1"].value == pytest.approx(want[2], abs=1e-12)
    assert (report.n, report.headline, report.source, report.task) == (300, "macro_f1", "predictions", "classification")
    assert list(report.overall) == [
        "accuracy",
        *(f"{average}_{name}" for average in ("macro", "weighted") for name in ("precision", "recall", "f1")),
    ]
    assert report.confusion is not None
    assert report.confusion.labels == ("<b>", "a", "b", "z")
    assert sum(n for *_, n in report.confusion.cells) == 300
    (row,) = report.slices
    part = frame[frame.slice_short]
    want = precision_recall_fscore_support(part.label, part.prediction, average="macro", zero_division=0)
    assert (row.name, row.kind, row.n) == ("short", "declared", len(part))
    assert row.metrics["macro_f1"].value == pytest.approx(want[2], abs=1e-12)
    assert row.verdict is not None
    assert not row.verdict.paired


def test_filter_and_slice_select_rows(house: House) -> None:
    frame = texts()
    house.add("r1", frame)
    report = performance_report(house, PerformanceQuery(run="r1", filter="length > 50", slice="short"))
    kept = frame[(frame.length > 50) & frame.slice_short]
    assert (report.n, report.n_filtered_out) == (len(kept), 300 - len(kept))
    assert report.overall["accuracy"].value == pytest.approx((kept.label == kept.prediction).mean())
    assert report.slices[0].n == len(kept)
    assert report.logged == ()


def test_missing_values_are_counted_and_left_out(house: House) -> None:
    house.add("r1", {"label": ["a", None, "b"], "prediction": ["a", "a", None]})
    report = performance_report(house, PerformanceQuery(run="r1"))
    assert (report.n, report.n_unlabelled, report.n_filtered_out) == (1, 2, 0)


def test_a_filter_that_selects_nothing_is_empty_not_an_error(house: House) -> None:
    house.add("r1", texts())
    report = performance_report(house, PerformanceQuery(run="r1", filter="length > 1000"))
    assert (report.n, report.n_filtered_out, report.classes) == (0, 300, ())
    assert all(estimate.undefined for estimate in report.overall.values())


@pytest.mark.parametrize("data", [{"label": [], "prediction": []}, {"label": ["a"], "prediction": ["a"]}])
def test_empty_and_one_row(house: House, data: dict[str, list[str]]) -> None:
    house.add("r1", pd.DataFrame(data, dtype="str"))
    report = performance_report(house, PerformanceQuery(run="r1"))
    assert report.n == len(data["label"])
    assert all(estimate.too_few for estimate in report.overall.values())
    assert error_rows(house, PerformanceQuery(run="r1")).total == 0


def test_only_what_the_figures_depend_on_is_computed_again(house: House) -> None:
    house.add("r1", texts())
    performance_report(house, PerformanceQuery(run="r1"))
    assert (house.scans("performance"), house.scans("cube")) == (1, 1)
    for query in (
        PerformanceQuery(run="r1"),
        PerformanceQuery(run="r1", label="a", predicted="b", sort="recall", order="desc", offset=25),
    ):
        performance_report(house, query)
    assert (house.scans("performance"), house.scans("cube")) == (1, 1)
    performance_report(house, PerformanceQuery(run="r1", slice="short"))
    assert (house.scans("performance"), house.scans("cube")) == (2, 1)
    performance_report(house, PerformanceQuery(run="r1", filter="length > 3"))
    assert (house.scans("performance"), house.scans("cube")) == (3, 2)


def test_equal_predictions_of_two_runs_are_computed_once(house: House) -> None:
    for name in ("r1", "r2"):
        house.add(name, texts())
        assert performance_report(house, PerformanceQuery(run=name)).run.run_id == name
    assert house.scans("performance") == 1


def test_slices_of_the_file_come_after_the_declared_ones(tmp_path: Path, build_house) -> None:
    path = tmp_path / "slices.yaml"
    path.write_text("- {name: long, description: over 90, filter: length > 90}\n- {name: bad, filter: nope = 1}")
    house = build_house(tmp_path, slices_file=path)
    frame = texts()
    house.add("r1", frame)
    report = performance_report(house, PerformanceQuery(run="r1"))
    assert [(row.name, row.kind, row.description) for row in report.slices] == [
        ("short", "declared", ""),
        ("long", "file", "over 90"),
    ]
    assert report.slices[1].n == (frame.length > 90).sum()
    assert [problem.artifact for problem in report.problems] == ["slices.yaml"]
    path.write_text("- {name: long, filter: length > 50}")
    assert performance_report(house, PerformanceQuery(run="r1")).slices[1].n == (frame.length > 50).sum()
    path.unlink()
    with pytest.raises(DataMissing, match=r"slices\.yaml.*cannot be read"):
        performance_report(house, PerformanceQuery(run="r1"))


def test_regression(house: House) -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    frame = pd.DataFrame({"label": y, "prediction": y + rng.normal(0, 0.1, 200), "slice_up": y > 0})
    house.add("r1", frame, "regression")
    report = performance_report(house, PerformanceQuery(run="r1"))
    assert (list(report.overall), report.headline) == (["mae", "rmse", "r2"], "rmse")
    assert report.residuals is not None
    assert (sum(report.residuals.counts), len(report.residuals.points)) == (200, 200)
    assert (list(report.slices[0].metrics), report.slices[0].n) == (["rmse", "mae"], (y > 0).sum())
    part = performance_report(house, PerformanceQuery(run="r1", slice="up"))
    assert part.overall["rmse"] == report.slices[0].metrics["rmse"]
    page = error_rows(house, PerformanceQuery(run="r1"))
    errors = [abs(row[1] - row[0]) for row in page.rows]
    assert (len(errors), page.total, errors) == (25, 200, sorted(errors, reverse=True))


def test_rows_behind_a_cell_come_most_confident_first(house: House) -> None:
    frame = texts()
    house.add("r1", frame, **scored(frame))
    query = PerformanceQuery(run="r1", label="a", predicted="b", filter="length > 10")
    page = error_rows(house, query)
    kept = frame[(frame.label == "a") & (frame.prediction == "b") & (frame.length > 10)]
    assert page.total == len(kept)
    assert page.row_numbers == tuple(kept.sort_values("score_b", ascending=False).index[:25])
    assert page.columns[:3] == ("id", "label", "prediction")
    column = error_rows(house, PerformanceQuery(run="r1", predicted="z", offset=5))
    assert (column.total, column.offset, column.limit) == ((frame.prediction == "z").sum(), 5, 25)
    wrong = error_rows(house, PerformanceQuery(run="r1", slice="short"))
    assert wrong.total == ((frame.label != frame.prediction) & frame.slice_short).sum()


def test_one_score_belongs_to_the_positive_class(house: House) -> None:
    data = {"label": [0, 0, 0, 1], "prediction": [1, 1, 1, 0], "p": [0.6, 0.9, 0.7, 0.2]}
    house.add("r1", data, roles={"score": "p", "positive_class": "1"})
    assert error_rows(house, PerformanceQuery(run="r1")).row_numbers == (1, 3, 2, 0)


def test_logged_metrics_stand_beside_ours(house: House) -> None:
    house.add(
        "r1",
        {"label": ["a", "b"], "prediction": ["a", "a"]},
        metrics={"test_accuracy": 0.5, "loss": 1.0, "f1_macro": 0.9},
    )
    report = performance_report(house, PerformanceQuery(run="r1"))
    assert [(m.name, m.ours is None, m.differs) for m in report.logged] == [
        ("f1_macro", False, True),
        ("loss", True, False),
        ("test_accuracy", False, False),
    ]


def test_figures_only(house: House) -> None:
    entry = {"precision": 0.5, "recall": 0.4, "f1": 0.44, "num_samples": 191.0}
    figures = Figures(entry, {"nlp": {**entry, "num_samples": 78}}, {"short": entry}, "performance.json")
    house.add("r1", Evaluation("r1", "classification", Roles(), artifact="performance.json", figures=figures))
    report = performance_report(house, PerformanceQuery(run="r1", filter="x > 1"))
    assert (report.source, report.artifact, report.n, report.headline) == ("figures", "performance.json", 191, "f1")
    assert (report.classes[0].name, report.classes[0].n) == ("nlp", 78)
    assert type(report.n) is int
    assert report.notes
    assert report.slices[0].metrics["recall"].low < 0.4 < report.slices[0].metrics["recall"].high
    with pytest.raises(DataMissing, match="no predictions table"):
        error_rows(house, PerformanceQuery(run="r1"))


def test_no_such_run(house: House) -> None:
    with pytest.raises(RunNotFound):
        performance_report(house, PerformanceQuery(run="nope"))


def test_unreadable_artifacts_pass_through(house: House) -> None:
    house.add("r1")
    house.writer.set_broken("r1", Problem("predictions.parquet", "is cut off"), "mark")
    with pytest.raises(ArtifactUnreadable, match=r"predictions\.parquet is cut off"):
        performance_report(house, PerformanceQuery(run="r1"))


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (PerformanceQuery(run="r1", filter="lenght > 1"), "did you mean 'length'"),
        (PerformanceQuery(run="r1", slice="tall"), "no slice 'tall'"),
        (PerformanceQuery(run="r1", filter="length = 'many'"), "does not fit"),
    ],
)
def test_bad_queries_say_what_would_be_accepted(house: House, query: PerformanceQuery, says: str) -> None:
    house.add("r1", texts())
    for report in (performance_report, error_rows):
        with pytest.raises(BadQuery, match=says):
            report(house, query)


def test_a_wrong_selection_is_named_with_the_slices_there_are(house: House) -> None:
    house.add("r1", texts())
    assert wrong_selection(house, "r1", "length > 1", "short") is None
    for filter_, slice_, parameter in (("nope > 1", "", "filter"), ("", "nope", "slice"), ("nope > 1", "x", "filter")):
        wrong = wrong_selection(house, "r1", filter_, slice_)
        assert wrong is not None
        assert (wrong.parameter, "short" in wrong.slices, "nope" in wrong.reason) == (parameter, True, True)
    assert "did you mean" not in wrong.reason


def test_no_label_column(house: House) -> None:
    house.add("r1", {"prediction": ["a"]})
    with pytest.raises(DataMissing, match="no label column"):
        performance_report(house, PerformanceQuery(run="r1"))


def test_tasks_without_figures(house: House) -> None:
    house.add("r1", {"label": ["a"], "prediction": ["a"]}, "image_to_image")
    with pytest.raises(DataMissing, match="image_to_image task without ready-made figures"):
        performance_report(house, PerformanceQuery(run="r1"))


def test_a_thousand_classes_with_their_names(house: House) -> None:
    rng = np.random.default_rng(0)
    names = np.array([f"класс {i}" for i in range(1000)])
    frame = pd.DataFrame({"label": rng.choice(names, 5000), "prediction": rng.choice(names, 5000)})
    house.add("r1", frame)
    report = performance_report(house, PerformanceQuery(run="r1"))
    want = precision_recall_fscore_support(frame.label, frame.prediction, average="macro", zero_division=0)
    assert report.overall["macro_f1"].value == pytest.approx(want[2], abs=1e-12)
    assert report.confusion is not None
    assert len(report.confusion.labels) == len(report.classes) > 990


def test_the_runs_own_slices_file_comes_before_the_settings_one(tmp_path: Path, build_house) -> None:
    path = tmp_path / "slices.yaml"
    path.write_text("- {name: everywhere, filter: length > 1}")
    house = build_house(tmp_path, slices_file=path)
    evaluation = house.add("r1", texts(), **scored(texts()))
    house.read(replace(evaluation, slices="- {name: own, filter: length > 50}"))
    report = performance_report(house, PerformanceQuery(run="r1", slice="own"))
    assert report.n == (texts().length > 50).sum()
    assert [row.name for row in report.slices if row.kind == "file"] == ["own"]
    house.add("r2", texts(), **scored(texts()))
    report = performance_report(house, PerformanceQuery(run="r2"))
    assert [row.name for row in report.slices if row.kind == "file"] == ["everywhere"]


@pytest.mark.skipif(not HOUSING.exists(), reason="the shared data sets are not here")
def test_a_real_models_answers_before_and_after_its_data_changed(house: House) -> None:
    before = pd.read_csv(HOUSING / "california_housing_reference.csv")
    after = pd.read_csv(HOUSING / "california_housing_analysis.csv")
    after = after.merge(pd.read_csv(HOUSING / "california_housing_analysis_gt.csv"), on="id")
    features = ("MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude")
    meant = {"label": "clf_target", "prediction": "y_pred", "score": "y_pred_proba", "time": "timestamp"}
    house.add(
        "before",
        before,
        roles={**meant, "features": features, "positive_class": "1", "classes": ("0", "1")},
        start_time=1.0,
    )
    house.add(
        "after",
        after,
        roles={**meant, "features": features, "positive_class": "1", "classes": ("0", "1")},
        start_time=1.0,
    )
    for name, frame in (("before", before), ("after", after)):
        report = performance_report(house, PerformanceQuery(run=name, filter="Latitude > 37"))
        kept = frame[frame.Latitude > 37]
        want = precision_recall_fscore_support(kept.clf_target, kept.y_pred, zero_division=0)
        got = [[getattr(row, part).value for row in report.classes] for part in ("precision", "recall", "f1")]
        np.testing.assert_allclose(got, want[:3], atol=1e-12)
        curves = curves_report(house, CurvesQuery(run=name))
        assert curves.scored.auc.value == pytest.approx(roc_auc_score(frame.clf_target, frame.y_pred_proba), abs=1e-4)
        found = contrast_report(house, ContrastQuery(run=name))
        assert found is not None
        assert (found.wrong, found.tested) == ((frame.clf_target != frame.y_pred).sum(), len(features))


def test_predictions_without_a_label_are_told_beside_the_figures(house: House) -> None:
    evaluation = house.add("r1", {"answer": ["a"], "prediction": ["a"]})
    house.read(replace(evaluation, figures=Figures(overall={"accuracy": 0.5}, artifact="run metrics")))
    report = performance_report(house, PerformanceQuery(run="r1"))
    assert report.source == "figures"
    assert "name it on the Data page" in report.notes[0]
