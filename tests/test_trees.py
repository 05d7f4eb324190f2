"""Component trees: built without data, every id known, hostile names stay text."""

import dataclasses
import json
import math

import pytest

import app
from dashboard.metrics.estimate import Estimate, Verdict
from dashboard.reports.data import RowPage
from dashboard.reports.performance import ClassRow, Confusion, PerformanceQuery, PerformanceReport, Residuals, SliceRow
from layouts import data, inference, overview, parts, performance, rows, serving, shell, sparkline
from mlflow_runs.records import RunRow

HOSTILE = "<script>alert('1')</script>"
PAGES = [overview, data, performance, inference, serving]


def run_row(**changes):
    """A run with plain values."""
    plain = {field.name: "" for field in dataclasses.fields(RunRow)}
    plain |= {
        "run_id": "r1",
        "run_name": "run one",
        "model": "m",
        "version": "3",
        "ordinal": 3,
        "aliases": (),
        "start_time": 0.0,
    }
    plain |= {"metrics": {}, "datasets": (), "synced_at": 0.0, "registered": True, "problems": (), "git_commit": None}
    return RunRow(**(plain | changes))


def estimate(value, n=100, **marks):
    """An estimate with a plausible interval."""
    return Estimate(value, value - 0.05, value + 0.05, n, **marks)


def text(tree):
    """The tree as JSON, as the browser receives it."""
    return json.dumps(tree.to_plotly_json(), default=lambda part: part.to_plotly_json())


def ids(tree):
    """Every string id in the tree."""
    return {part.id for part in tree._traverse() if isinstance(getattr(part, "id", None), str)}


def report(**changes):
    """A classification report of two classes."""
    rows_ = tuple(ClassRow(name, 50, 48, estimate(0.8), estimate(0.7), estimate(0.75)) for name in ("cat", HOSTILE))
    overall = {"macro_f1": estimate(0.75), "accuracy": estimate(0.8)}
    plain = PerformanceReport(
        run=run_row(), task="classification", source="predictions", artifact="predictions.parquet", n=100,
        n_unlabelled=2,
        n_filtered_out=0, headline="macro_f1", overall=overall, classes=rows_,
        confusion=Confusion(("cat", HOSTILE), ((0, 0, 40), (0, 1, 10), (1, 1, 50))),
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_build_needs_no_arguments_and_wears_every_id(page):
    tree = page.build()
    used_by_callbacks = {str(i) for i in page.Ids} - {"performance-heatmap", "inference-field"}
    assert used_by_callbacks <= ids(tree)
    assert all(str(i).startswith(page.Ids.__module__.split(".")[-1]) for i in page.Ids)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_no_id_is_worn_twice(page):
    worn = [part.id for part in page.build()._traverse() if isinstance(getattr(part, "id", None), str)]
    assert sorted(worn) == sorted(set(worn))


@pytest.mark.parametrize("page", PAGES)
def test_build_keeps_the_query_it_was_given(page):
    stores = [part for part in page.build(run="abc")._traverse() if getattr(part, "id", "") == page.Ids.QUERY]
    assert stores[0].data == {"run": "abc"}


def test_the_shell_has_a_link_per_page():
    assert {shell.link_id(i) for i in range(len(app.PAGES))} <= ids(shell_tree())


def shell_tree():
    """The frame without the page container, which needs an application."""
    return shell._top_bar("Vitrine", [parts.html.A(p.name, id=shell.link_id(i)) for i, p in enumerate(app.PAGES)])


def test_classes_are_sorted_by_the_query():
    classes = tuple(
        ClassRow(name, n, n, estimate(0.5), estimate(0.5), estimate(f1))
        for name, n, f1 in (("a", 9, 0.9), ("b", 1, 0.1))
    )
    weakest_first = text(performance.render(report(classes=classes), PerformanceQuery(run="r1")))
    assert weakest_first.index('"children": "b"') < weakest_first.index('"children": "a"')


def test_hostile_names_stay_text():
    tree = performance.render(report(), PerformanceQuery(run="r1"))
    children = [part.children for part in tree._traverse() if getattr(part, "children", None) == HOSTILE]
    assert children
    assert "dangerously" not in text(tree)


def test_an_empty_selection_has_words_not_figures():
    shown = text(performance.render(report(n=0, classes=(), confusion=None, overall={}), PerformanceQuery(run="r1")))
    assert "No rows to measure" in shown


def test_too_few_rows_are_said_and_never_shown_as_a_figure():
    shown = text(parts.estimate_cell(estimate(0.5, n=3, too_few=True)))
    assert "too few rows" in shown
    assert "width" not in shown


def test_regression_shows_residuals_and_says_when_it_samples():
    found = Residuals((0.0, 1.0, 2.0), (3, 4), ((1.0, 1.5),), 7)
    shown = text(performance.render(report(classes=(), confusion=None, residuals=found), PerformanceQuery(run="r1")))
    assert "An even sample of 1 of 7 rows" in shown


def test_slices_carry_their_verdict_in_words():
    verdict = Verdict("worse", -0.1, -0.15, -0.05, 20, False, 0.05)
    slices = (
        SliceRow(
            "short_text", "declared", "under 80 characters", "slice_short_text", 20, {"f1": estimate(0.6)}, verdict
        ),
    )
    shown = text(performance.render(report(slices=slices), PerformanceQuery(run="r1")))
    assert "short text" in shown
    assert "worse" in shown


def test_rows_keep_types_and_mark_what_is_missing():
    found = RowPage(("a", "b"), ((1.23456, None), (True, "x" * 500)), (0, 7), 0, 25, 2)
    shown = text(rows.render(found, "/data", data.DataQuery(run="r1"), lambda number: str(number)))
    assert "1.235" in shown
    assert '"children": "\\u2013"' in shown
    assert "yes" in shown
    assert "1 to 2 of 2 rows" in shown


def test_a_sparkline_tells_its_figures_to_a_screen_reader():
    image = sparkline.build([estimate(0.5), None, Estimate(0.7, math.nan, math.nan, 9)], "Macro F1")
    assert image.alt == "Macro F1 over versions: 0.500, 0.700"
