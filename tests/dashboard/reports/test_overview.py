"""The Overview report: headline, verdict, order, and what is not read yet."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dashboard.reports import overview
from dashboard.reports.overview import ModelCard, OverviewQuery, OverviewReport, overview_report
from layouts.overview import render as draw
from mlflow_runs.records import Evaluation, Figures, Problem, Roles
from tests.dashboard.reports.conftest import House


def version(skill: float, seed: int, n: int = 400, ids: bool = True) -> pd.DataFrame:
    """Predictions that are right with a chance of `skill`; the labels of all versions are the same."""
    label = np.random.default_rng(0).choice(["a", "b"], n)
    rng = np.random.default_rng(seed)
    flipped = np.where(label == "a", "b", "a")
    frame = pd.DataFrame({"label": label, "prediction": np.where(rng.random(n) < skill, label, flipped)})
    frame["slice_tail"] = np.arange(n) >= n - 50
    frame.loc[frame.slice_tail, "prediction"] = "a"
    return frame.assign(id=np.arange(n)) if ids else frame


def cards(report: OverviewReport) -> dict[str, ModelCard]:
    return {card.model: card for card in report.models}


def test_newest_against_the_version_before(house: House) -> None:
    house.add("r1", version(0.9, 1), version="1", start_time=1.0)
    house.add("r2", version(0.7, 2), version="2", start_time=2.0)
    report = overview_report(house, OverviewQuery())
    (card,) = report.models
    assert (card.model, card.registered, card.task) == ("texts", True, "classification")
    assert (card.metric, card.n_versions) == ("macro_f1", 2)
    assert card.run.run_id == "r2"
    assert card.previous is not None
    assert card.previous.run_id == "r1"
    assert card.verdict is not None
    assert (card.verdict.word, card.verdict.paired, card.verdict.n) == ("worse", True, 400)
    assert card.headline is not None
    assert card.verdict.difference == pytest.approx(card.headline.value - card.history[0].estimate.value)
    assert [point.run_id for point in card.history] == ["r1", "r2"]
    assert card.worst_slice is not None
    assert (card.worst_slice.name, card.worst_slice.n) == ("tail", 50)
    assert (report.pending, report.store.reachable) == (0, True)


def test_without_shared_ids_the_estimates_are_compared(house: House) -> None:
    house.add("r1", version(0.7, 1, ids=False), version="1", start_time=1.0)
    house.add("r2", version(0.9, 2, ids=False), version="2", start_time=2.0)
    verdict = overview_report(house, OverviewQuery()).models[0].verdict
    assert verdict is not None
    assert (verdict.word, verdict.paired) == ("better", False)


def test_regression_is_better_when_lower(house: House) -> None:
    y = np.random.default_rng(0).normal(size=300)
    for run, (noise, start) in {"r1": (1.0, 1.0), "r2": (0.5, 2.0)}.items():
        errors = np.random.default_rng(int(start)).normal(0, noise, 300)
        frame = pd.DataFrame({"id": np.arange(300), "label": y, "prediction": y + errors, "slice_up": y > 0})
        house.add(run, frame, "regression", start_time=start)
    (card,) = overview_report(house, OverviewQuery()).models
    assert card.verdict is not None
    assert (card.metric, card.verdict.word, card.verdict.paired) == ("rmse", "better", True)
    assert card.verdict.difference < 0


def test_too_few_rows_and_no_difference(house: House) -> None:
    house.add("r1", version(0.9, 1, n=60), model="small", start_time=1.0)
    house.add("r2", version(0.9, 2, n=60), model="small", start_time=2.0)
    house.add("r3", version(0.9, 1, n=6), model="tiny", start_time=1.0)
    house.add("r4", version(0.1, 2, n=6), model="tiny", start_time=2.0)
    found = cards(overview_report(house, OverviewQuery()))
    assert {name: card.verdict.word for name, card in found.items() if card.verdict} == {
        "small": "same",
        "tiny": "too few rows",
    }


def test_what_needs_attention_comes_first(house: House) -> None:
    house.add("a1", version(0.9, 1), model="fine, new", start_time=9.0)
    house.add("b1", version(0.9, 1), model="worse", start_time=1.0)
    house.add("b2", version(0.6, 1), model="worse", start_time=2.0)
    house.add("c1", version(0.9, 1), model="broken", start_time=3.0)
    house.add("c2", model="broken", start_time=4.0)
    house.writer.set_broken("c2", Problem("predictions.parquet", "is cut off"), "mark")
    house.add("d1", version(0.9, 1), model="fine, old", start_time=5.0)
    report = overview_report(house, OverviewQuery())
    assert [card.model for card in report.models] == ["worse", "broken", "fine, new", "fine, old"]
    broken = cards(report)["broken"]
    assert (broken.problem, broken.run.run_id) == ("predictions.parquet: is cut off", "c1")
    assert broken.headline is not None
    assert [point.estimate is None for point in broken.history] == [False, True]


def test_what_is_about_to_become_a_version_is_no_card_yet(house: House) -> None:
    house.add("r1", version(0.9, 1), model="known")
    house.add("r2", version(0.9, 1), model="exp / model", registered=False, version=None, end_time=None)
    house.add("r3", version(0.9, 1), model="other / model", registered=False, end_time=None, experiment_id="2")
    assert set(cards(overview_report(house, OverviewQuery()))) == {"known", "other / model"}
    house.add("r2", version(0.9, 1), model="exp / model", registered=False, version=None)
    assert set(cards(overview_report(house, OverviewQuery()))) == {"known", "exp / model", "other / model"}


def test_one_line_says_what_needs_attention(house: House) -> None:
    house.add("b1", version(0.9, 1), model="worse", start_time=1.0)
    house.add("b2", version(0.6, 1), model="worse", start_time=2.0, status="FAILED")
    house.add("c1", version(0.9, 1).assign(prediction=lambda rows: rows["prediction"].where(rows.index > 2)), model="c")
    house.add("d1", model="bare")
    house.read(Evaluation("d1", None, Roles()), "none")
    report = overview_report(house, OverviewQuery())
    assert {card.model: card.n_left_out for card in report.models} == {"worse": 0, "c": 3, "bare": 0}
    text = str(draw(report))
    assert "1 of 3 models got worse against the version before" in text and " 1 without an evaluation" in text
    assert "run failed" in text and "3 rows without label or prediction left out" in text


def test_what_is_not_read_yet_is_counted_not_waited_for(house: House) -> None:
    house.add("r1", version(0.9, 1), start_time=1.0)
    house.add("r2", start_time=2.0)
    report = overview_report(house, OverviewQuery())
    (card,) = report.models
    assert (report.pending, card.run.run_id, card.problem) == (1, "r1", "")


def test_runs_without_an_evaluation_are_no_trouble(house: House) -> None:
    house.add("r1", model="training only")
    house.read(Evaluation("r1", None, Roles()), "none")
    report = overview_report(house, OverviewQuery())
    assert (report.models[0].headline, report.models[0].history, report.pending) == (None, (), 0)


def test_figures_have_no_verdict(house: House) -> None:
    for run, f1 in (("r1", 0.5), ("r2", 0.6)):
        figures = Figures({"f1": f1, "num_samples": 100.0}, slices={"short": {"f1": 0.3, "num_samples": 20}})
        house.add(run, Evaluation(run, "classification", Roles(), figures=figures), start_time=float(run[1]))
    (card,) = overview_report(house, OverviewQuery()).models
    assert card.headline is not None
    assert card.worst_slice is not None
    assert (card.metric, card.headline.value, card.verdict, card.worst_slice.name) == ("f1", 0.6, None, "short")
    assert [point.estimate.value for point in card.history if point.estimate] == [0.5, 0.6]
    text = str(draw(overview_report(house, OverviewQuery())))
    assert "0.500 → 0.600" in text and "no verdict" in text and "Weakest slice by F1" in text


def test_figures_beside_a_broken_table_say_that_it_is_broken(house: House) -> None:
    figures, problem = Figures({"f1": 0.5}), Problem("predictions.csv", "the header is missing")
    house.add("r1", Evaluation("r1", "classification", Roles(), figures=figures, problems=(problem,)))
    (card,) = overview_report(house, OverviewQuery()).models
    assert card.headline is not None
    assert card.problem == "predictions.csv: the header is missing"


def test_unusable_predictions_are_a_problem_of_their_card_only(house: House) -> None:
    house.add("r1", {"prediction": ["a"]}, model="unlabelled")
    house.add("r2", version(0.9, 1), model="fine")
    found = cards(overview_report(house, OverviewQuery()))
    assert "no label column" in found["unlabelled"].problem
    assert found["fine"].headline is not None


def test_a_table_that_was_evicted(house: House) -> None:
    evaluation = house.add("r1", version(0.9, 1))
    assert evaluation is not None
    assert evaluation.table is not None
    evaluation.table.unlink()
    assert "left the local cache" in overview_report(house, OverviewQuery()).models[0].problem


def test_a_comparison_that_is_still_to_come_is_said_so(house: House) -> None:
    for place, run in enumerate(("r1", "r2")):
        house.add(run, version(0.9 - place / 10, place), start_time=float(place))
    report = overview_report(house, OverviewQuery())
    text = str(draw(replace(report, models=(replace(report.models[0], verdict=None),))))
    assert "not compared yet" in text and "no verdict" not in text


def test_the_second_look_computes_nothing(house: House) -> None:
    for k in range(3):
        house.add(f"r{k}", version(0.8, k), start_time=float(k))
    first = overview_report(house, OverviewQuery())
    computed = house.scans()
    assert overview_report(house, OverviewQuery()) == first
    assert house.scans() == computed


def test_no_time_left(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(2):
        house.add(f"r{k}", version(0.8, k), start_time=float(k))
    monkeypatch.setattr(overview, "BUDGET", -1.0)
    report = overview_report(house, OverviewQuery())
    assert (report.pending, report.models[0].headline, house.scans()) == (2, None, 0)


def test_at_most_twenty_versions(house: House) -> None:
    for k in range(23):
        house.add(f"r{k:02}", {"label": ["a"], "prediction": ["a" if k % 2 else "b"]}, start_time=float(k))
    (card,) = overview_report(house, OverviewQuery()).models
    assert (card.n_versions, len(card.history), card.history[-1].run_id) == (23, 20, "r22")


def test_search(house: House) -> None:
    for name in ("wine quality", "digits", "Wine colour"):
        house.add(name, version(0.9, 1), model=name)
    assert set(cards(overview_report(house, OverviewQuery(search="WINE")))) == {"wine quality", "Wine colour"}
    assert set(cards(overview_report(house, OverviewQuery(search="colour wine")))) == {"Wine colour"}


def test_an_empty_store(house: House) -> None:
    assert overview_report(house, OverviewQuery()).models == ()
