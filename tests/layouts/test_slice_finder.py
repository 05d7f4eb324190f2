"""The card of discovered slices: what it promises, what it found, and that filters become links."""

import json

import pytest

from dashboard.metrics.estimate import Estimate, Verdict
from dashboard.reports.performance import PerformanceQuery
from dashboard.reports.slice_finder import Search, WeakSlice, WeakSlices
from layouts import slice_finder
from layouts.slice_finder import Ids

QUERY = PerformanceQuery(run="r1", slice="big", label="a", sort="n")
HOSTILE = 'kind = \'<script>alert(1)</script>\' AND "the ""name" > 3'


def found(*filters, metric="accuracy", also=()):
    verdict = Verdict("worse", -0.3, -0.4, -0.2, 50, False, 0.1)
    inside, outside = Estimate(0.6, 0.5, 0.7, 50), Estimate(0.9, 0.88, 0.92, 950)
    slices = tuple(WeakSlice(text, 50, inside, outside, verdict, 0.00001, also) for text in filters)
    return WeakSlices(metric, 1000, 4, 321, 0.05, 32, slices)


def text(tree):
    return json.dumps(tree.to_plotly_json(), default=lambda part: part.to_plotly_json())


def links(tree):
    return [part for part in tree._traverse() if getattr(part, "href", None)]


def test_every_id_is_in_the_empty_card():
    section = slice_finder.section()
    assert set(Ids) == {section.id, *(getattr(part, "id", section.id) for part in section._traverse())}


def test_a_slice_is_a_link_that_filters_the_whole_page_and_a_second_click_frees_it():
    (link,) = links(slice_finder.render(found(HOSTILE), QUERY))
    assert link.children == HOSTILE
    assert link.href.startswith("/performance?run=r1&filter=kind+%3D+%27%3Cscript%3E")
    assert "slice=" not in link.href and "sort=n" in link.href
    (link,) = links(slice_finder.render(found(HOSTILE), PerformanceQuery(run="r1", filter=HOSTILE)))
    assert (link.href, getattr(link, "aria-current")) == ("/performance?run=r1", "true")


def test_what_was_tested_is_said():
    search = Search(True, 1000, 4, found("a = 1"))
    assert "321 combinations" in slice_finder.about(search) and "false discovery 5%" in slice_finder.about(search)
    assert slice_finder.button(search) == "Search again"
    assert slice_finder.button(Search(True, 1000, 4, found("a = 1"), looked=False)) == slice_finder.FIND


def test_nothing_found_is_an_answer():
    assert "No slice is significantly worse" in text(slice_finder.render(found(), QUERY))
    assert slice_finder.render(None, QUERY) is None


def test_nearly_equal_slices_are_named_beside():
    shown = text(slice_finder.render(found("a = 1", also=("b = 2", "c = 3")), QUERY))
    assert "nearly the same rows: b = 2 and 1 more" in shown


@pytest.mark.parametrize(
    ("rows", "columns", "words"),
    [(1000, 5, "a few seconds"), (4_000_000, 20, "about 20 seconds"), (10**8, 20, "8 minutes")],
)
def test_how_long_it_may_take_is_said(rows, columns, words):
    assert words in slice_finder.about(Search(True, rows, columns))


def test_small_p_values_are_not_rounded_to_nothing():
    assert [slice_finder.p_value(p) for p in (1e-30, 0.00123, 0.04)] == ["< 0.0001", "0.0012", "0.040"]


def test_declared_slices_stand_by_their_names():
    found = "\"slice_older west\" = true AND slice_large = false AND region = 'west'"
    assert slice_finder.named(found) == "older west AND not large AND region = 'west'"
