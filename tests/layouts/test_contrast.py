"""Paired histograms as a tree."""

from dashboard.reports.contrast import ContrastReport, Paired
from dashboard.reports.performance import PerformanceQuery
from layouts import contrast
from tests.test_trees import text

QUERY = PerformanceQuery(run="r1", filter="x > 1", label="a")


def paired(**changes) -> Paired:
    """Two bins, the second worse."""
    plain = {
        "name": "<b>age", "kind": "number", "values": ("below 5", "5 and above"), "filters": ("age < 5", "age >= 5"),
        "right": (80, 10), "wrong": (2, 8), "worst": 1, "v": 0.4, "p": 0.2, "missing": 3, "others": 0,
    }  # fmt: skip
    return Paired(**(plain | changes))


def test_a_panel_links_to_the_errors_of_its_worst_bin():
    tree = contrast.render(ContrastReport(90, 10, 4, (paired(),)), "/performance", QUERY)
    (link,) = [part for part in tree._traverse() if getattr(part, "href", None)]
    assert link.href == "/performance?run=r1&filter=%28x+%3E+1%29+AND+age+%3E%3D+5&open=errors"
    assert link.children == "5 and above: 44.4% of 18 rows wrong"
    shown = text(tree)
    assert "may be chance" in shown
    assert "3 rows without a value" in shown
    assert "10 wrong rows against 90 right ones" in shown


def test_bars_are_shares_of_their_own_group():
    tree = contrast.render(ContrastReport(90, 10, 4, (paired(),)), "/performance", QUERY)
    heights = [part.style["height"] for part in tree._traverse() if getattr(part, "style", None)]
    assert heights == ["22.5%", "100.0%", "90.0%", "12.5%"]


def test_no_link_without_a_filter_and_no_card_without_features():
    tree = contrast.render(ContrastReport(90, 10, 4, (paired(filters=("", "")),)), "/performance", QUERY)
    assert not [part for part in tree._traverse() if getattr(part, "href", None)]
    assert contrast.render(None, "/performance", QUERY) is None
    assert contrast.render(ContrastReport(90, 10, 0, ()), "/performance", QUERY) is None
    assert "No feature differs" in text(contrast.render(ContrastReport(90, 10, 4, ()), "/performance", QUERY))


def test_a_regression_tells_from_which_error_on_rows_are_far_off():
    shown = text(contrast.render(ContrastReport(90, 10, 4, (paired(),), 1.25), "/performance", QUERY))
    assert "The worst tenth (10 rows with an error of at least 1.250) against 90 others" in shown
    assert "5 and above: 44.4% of 18 rows far off" in shown
    assert "of the rows far off" in shown
