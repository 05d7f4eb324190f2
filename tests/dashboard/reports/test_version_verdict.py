"""The verdict between a run and the version before it: the Overview's own, for any run."""

from dashboard.reports.overview import OverviewQuery, overview_report
from dashboard.reports.version_verdict import against_before
from layouts.performance import render_against
from tests.dashboard.reports.conftest import House
from tests.dashboard.reports.test_overview import version


def test_it_is_the_overviews_and_leads_to_the_version_before(house: House) -> None:
    for place, skill in enumerate((0.6, 0.9, 0.7)):
        house.add(f"r{place}", version(skill, place), version=str(place + 1), start_time=float(place))
    (card,) = overview_report(house, OverviewQuery()).models
    newest, middle = against_before(house, "r2"), against_before(house, "r1")
    assert newest is not None and middle is not None
    assert (newest.previous.run_id, newest.metric, newest.verdict) == ("r1", card.metric, card.verdict)
    assert (middle.previous.run_id, middle.verdict.word) == ("r0", "better")
    drawn = str(render_against(newest))
    assert "/performance?run=r1" in drawn and "worse" in drawn


def test_the_first_version_has_none(house: House) -> None:
    house.add("r1", version(0.9, 1), version="1", start_time=1.0)
    house.add("r2", version(0.7, 2), version="1", start_time=2.0, model="another")
    assert against_before(house, "r1") is None
    assert against_before(house, "r2") is None
    assert render_against(None) is None
