"""The curves and the threshold card as trees."""

import json

import numpy as np

from dashboard.metrics.curves import count_scores
from dashboard.reports.curves import CurvesReport, report_of, scored_of
from dashboard.reports.performance import PerformanceQuery
from layouts import curves
from mlflow_runs.records import Evaluation, Roles
from tests.test_trees import run_row, text

QUERY = PerformanceQuery(run="r1")


def report(n: int = 500, **changes) -> CurvesReport:
    """Scores of a class with a hostile name."""
    rng = np.random.default_rng(0)
    scores = rng.random(n)
    scored = scored_of(count_scores(scores, rng.random(n) < scores), "<b>", 10)
    asked = {"asked": ("0.3", 1.0, 4.0)} | changes
    return report_of(
        run_row(), Evaluation("r1", "classification", Roles()), ("<b>", "other"), scored, min_rows=10, **asked
    )


def parts_with(tree, name):
    """Components that have a property."""
    return [part for part in tree._traverse() if getattr(part, name, None) is not None]


def test_five_figures_within_five_hundred_points_and_no_callbacks():
    tree = curves.render(report(20_000), "/performance", QUERY)
    figures = [part.figure for part in parts_with(tree, "figure")]
    assert len(figures) == 5
    assert max(len(trace["x"]) for figure in figures[:4] for trace in figure["data"]) <= 500
    assert "Drawn with" in text(tree)
    assert parts_with(tree, "id") == []


def test_the_slider_gets_the_histogram_and_the_chosen_threshold():
    found = report()
    card = next(
        p
        for p in parts_with(curves.render(found, "/performance", QUERY), "className")
        if p.className == "threshold-card"
    )
    steps = json.loads(getattr(card, "data-steps"))
    assert (sum(steps["p"]), sum(steps["q"])) == (found.scored.n_positive, found.scored.n - found.scored.n_positive)
    assert (getattr(card, "data-threshold"), getattr(card, "data-first")) == ("0.3", "0.5")
    assert min(steps["p"][i] + steps["q"][i] for i in range(len(steps["p"]))) > 0


def test_chips_choose_the_class_and_hostile_names_stay_text():
    tree = curves.render(report(), "/performance", QUERY)
    links = parts_with(tree, "href")
    assert [(link.children, link.href) for link in links] == [
        ("<b>", "/performance?run=r1&curve=%3Cb%3E"),
        ("other", "/performance?run=r1&curve=other"),
    ]
    assert "dangerously" not in text(tree)


def test_an_empty_selection_and_missing_scores_have_words():
    empty = curves.render(report(0), "/performance", QUERY)
    assert "no row with a label and a score" in text(empty)
    assert "log a column" in text(curves.render("log a column", "/performance", QUERY))
    assert curves.render("", "/performance", QUERY) is None


def test_one_class_only_still_draws():
    scored = scored_of(count_scores(np.linspace(0, 1, 30), np.ones(30, dtype=bool)), "a", 10)
    run = Evaluation("r1", "classification", Roles())
    tree = curves.render(report_of(run_row(), run, ("a",), scored, ("", 1.0, 1.0), 10), "/performance", QUERY)
    assert len(parts_with(tree, "figure")) == 5
