"""Saved and found slices behave as declared ones do, on both pages."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard.errors import BadInput, BadQuery
from dashboard.reports import named_slices
from dashboard.reports.data import DataQuery, data_report, row_page
from dashboard.reports.filter_words import filter_words, save_slice
from dashboard.reports.performance import PerformanceQuery, error_rows, performance_report
from dashboard.state import SavedSlice
from tests.dashboard.reports.conftest import House


def flowers(n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    score = rng.random(n).round(3)
    frame = pd.DataFrame(
        {
            "petal": rng.integers(0, 40, n),
            "kind": rng.choice(["it's", "<b>", "rose"], n),
            "wild": rng.random(n) < 0.5,
            "label": rng.choice(["p", "q"], n),
            "prediction": np.where(score > 0.5, "p", "q"),
            "score_p": score,
            "score_q": 1 - score,
            "slice_big": rng.random(n) < 0.3,
        }
    )
    return pd.concat([frame, frame.head(7)], ignore_index=True)


ROLES = {"roles": {"features": ("petal", "kind", "wild"), "scores": {"p": "score_p", "q": "score_q"}}}


def saved(name: str, filter_: str, model: str = "texts") -> SavedSlice:
    return SavedSlice(model, name, "a note", filter_, "ann", time.time())


def test_a_saved_slice_is_one_of_every_run_of_its_model(house: House) -> None:
    frame = flowers()
    for name, model in (("r1", "texts"), ("r2", "texts"), ("r3", "others")):
        house.add(name, frame, model=model, **ROLES)
    save_slice(house, "r1", saved("long <petals>", "petal > 30"))
    for run in ("r1", "r2"):
        report = performance_report(house, PerformanceQuery(run=run))
        row = next(item for item in report.slices if item.name == "long <petals>")
        assert (row.kind, row.description, row.filter) == ("saved", "a note", "petal > 30")
        assert row.n == (frame.petal > 30).sum() and row.verdict is not None
        chosen = PerformanceQuery(run=run, slice="long <petals>", filter="wild")
        assert performance_report(house, chosen).n == ((frame.petal > 30) & frame.wild).sum()
        assert error_rows(house, chosen).total <= performance_report(house, chosen).n
        assert row_page(house, DataQuery(run=run, slice="long <petals>")).total == row.n
    assert "saved" not in {item.kind for item in performance_report(house, PerformanceQuery(run="r3")).slices}
    house.state.delete_slice("texts", "long <petals>")
    with pytest.raises(BadQuery, match="no slice 'long <petals>'"):
        performance_report(house, PerformanceQuery(run="r1", slice="long <petals>"))


@pytest.mark.parametrize(
    ("name", "filter_", "error", "sentence"),
    [
        ("big", "petal > 1", BadInput, "already has a slice 'big'"),
        ("x", "  ", BadInput, "no filter to save"),
        ("x", "nope > 1", BadQuery, "nope"),
        ("", "petal > 1", BadInput, "needs a name"),
    ],
)
def test_what_cannot_be_saved_is_said(
    house: House, name: str, filter_: str, error: type[Exception], sentence: str
) -> None:
    house.add("r1", flowers(), **ROLES)
    with pytest.raises(error, match=sentence):
        save_slice(house, "r1", saved(name, filter_))
    assert house.state.slices("texts") == ()


def test_a_slice_that_does_not_fit_another_run_is_a_problem_there(house: House) -> None:
    house.add("r1", flowers(), **ROLES)
    house.add("r2", flowers().drop(columns="petal"), roles={"features": ("kind",)})
    save_slice(house, "r1", saved("long", "petal > 30"))
    report = performance_report(house, PerformanceQuery(run="r2"))
    assert [item.artifact for item in report.problems] == ["saved slices"]
    assert "'long' does not fit this run" in report.problems[0].reason
    assert data_report(house, DataQuery(run="r2")).problems == report.problems


def test_a_broken_state_database_takes_no_page_down(house: House) -> None:
    house.add("r1", flowers(), **ROLES)
    Path(house.settings.data_dir / "state.db").write_bytes(b"broken " * 1000)
    report = performance_report(house, PerformanceQuery(run="r1"))
    assert report.n == 307
    assert "cannot be used" in report.problems[0].reason


def test_duplicates_and_suspects_are_slices_of_both_pages(house: House) -> None:
    frame = flowers()
    house.add("r1", frame, **ROLES)
    repeated = frame.duplicated(["petal", "kind", "wild"]).sum()
    report = data_report(house, DataQuery(run="r1"))
    counts = {item.name: item.n for item in report.slices}
    assert counts["exact_duplicates"] == report.duplicates == repeated
    assert counts["suspected_label_errors"] > 0 and counts["big"] == frame.slice_big.sum()
    rows = {item.name: item for item in performance_report(house, PerformanceQuery(run="r1")).slices}
    assert rows["exact_duplicates"].n == repeated
    assert rows["suspected_label_errors"].metrics["accuracy"].value == 0
    assert rows["suspected_label_errors"].verdict is None  # being wrong is how they are found
    page = row_page(house, DataQuery(run="r1", slice="exact_duplicates", filter="petal > 10"))
    assert page.total == (frame.duplicated(["petal", "kind", "wild"]) & (frame.petal > 10)).sum()
    assert data_report(house, DataQuery(run="r1", slice="exact_duplicates")).n == repeated


def test_a_large_table_is_left_to_the_job(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named_slices, "LOOKED_AT_ONCE", 10)
    house.add("r1", flowers(), **ROLES)
    assert {item.kind for item in performance_report(house, PerformanceQuery(run="r1")).slices} == {"declared"}


def test_the_words_of_a_filter(house: House) -> None:
    house.add("r1", flowers().rename(columns={"wild": "select"}), **ROLES)
    words = {word.name: word for word in filter_words(house, "r1")}
    assert words["petal"].kind == "number" and words["petal"].values == (0.0, 39.0)
    assert set(words["kind"].values) == {"it's", "<b>", "rose"}
    assert words['"select"'].kind == "boolean"
    assert set(words["label"].values) == {"p", "q"}
    filter_words(house, "r1")
    assert house.scans("filter_words") == 1
