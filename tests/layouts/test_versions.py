"""Tiles of several versions: states in words, differences marked, the best named or not."""

import json

from dashboard.pictures import Kept
from dashboard.reports.versions import Best, Tile, VersionsReport
from layouts import versions
from tests.dashboard.reports.conftest import row_of


def text(tree):
    return json.dumps(tree.to_plotly_json(), default=lambda part: part.to_plotly_json())


def report(*tiles, **more):
    return VersionsReport(
        tuple(Tile(row_of(f"r{i}", version=str(i)), **tile) for i, tile in enumerate(tiles)), "r0", **more
    )


def test_every_state_has_words():
    shown = text(
        versions.render(
            report(
                {"state": "done", "label": "<b>cat", "score": 0.5, "ms": 12.5, "differs": True},
                {"state": "asking"},
                {"state": "waiting"},
                {"state": "failed", "problem": "The model is gone."},
                {"state": "done", "value": 3.25, "low": 1.0, "high": 5.0},
            )
        )
    )
    for words in (
        "<b>cat",
        "12.5 ms",
        "differs",
        "Asking the model",
        "Waiting",
        "The model is gone.",
        "of its residuals",
    ):
        assert words in shown


def test_pictures_are_links_and_no_reference_is_named():
    shown = text(versions.render(report({"state": "done", "picture": Kept("/pictures/a.png", 6, 4)})))
    assert "/pictures/a.png" in shown and "reference" not in shown


def test_the_best_is_named_only_when_it_is():
    bests = (Best("", 900, "m v2", "best"), Best("dark", 40, "m v1", "same"), Best("rare", 3, "m v1", "too few rows"))
    shown = text(versions.render(report({"state": "done", "label": "a"}, bests=bests)))
    assert "m v2" in shown and "m v1" not in shown
    assert "measurably best" in shown and "too few rows to tell" in shown


def test_progress_counts_answers_and_failures():
    assert versions.progress(report({"state": "done"}, {"state": "failed"}, {"state": "asking"}))[:3] == (
        "2",
        "3",
        "2 of 3",
    )
