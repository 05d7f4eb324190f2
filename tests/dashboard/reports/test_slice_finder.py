"""The search for weak slices: a planted one is found with the page's own figures, once for all who ask."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard.metrics.filters import parse_filter
from dashboard.reports.performance import PerformanceQuery, performance_report
from dashboard.reports.row_pages import tables_of
from dashboard.reports.slice_finder import discover_difference, find_weak_slices, search_of
from mlflow_runs.errors import DataMissing
from mlflow_runs.records import Evaluation, Figures, Roles
from tests.dashboard.reports.conftest import House

FEATURES = {"roles": {"features": ("region", "product", "age")}}


def claims(n: int = 4000, seed: int = 0, extra: float = 0.4) -> pd.DataFrame:
    """Labels with 8% errors, and `extra` more in the north for travel."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "id": np.arange(n),
            "label": rng.choice(["yes", "no"], n),
            "region": rng.choice(["north", "south", "east"], n),
            "product": rng.choice(["home", "travel"], n, p=[0.7, 0.3]),
            "age": rng.integers(18, 90, n),
        }
    )
    wrong = rng.random(n) < 0.08 + extra * ((frame.region == "north") & (frame["product"] == "travel"))
    frame["prediction"] = np.where(wrong, np.where(frame.label == "yes", "no", "yes"), frame.label)
    return frame


def test_the_planted_slice_is_found_with_the_pages_own_figures(house: House) -> None:
    frame = claims()
    house.add("r1", frame, **FEATURES)
    told: list[tuple[float, str]] = []
    found = find_weak_slices(house, "r1", lambda share, words: told.append((share, words)))
    best = found.slices[0]
    assert set(best.filter.split(" AND ")) == {"region = 'north'", "product = 'travel'"}
    page = performance_report(house, PerformanceQuery(run="r1", filter=best.filter))
    assert best.n == page.n == ((frame.region == "north") & (frame["product"] == "travel")).sum()
    assert best.value.value == pytest.approx(page.overall["accuracy"].value)
    rest = frame[(frame.region != "north") | (frame["product"] != "travel")]
    assert best.complement.value == pytest.approx((rest.label == rest.prediction).mean())
    assert best.value.low < best.value.value < best.value.high < best.complement.value
    assert best.p_adjusted < 1e-6 and best.verdict.word == "worse"
    assert (found.metric, found.n, found.columns) == ("accuracy", 4000, 3)
    assert found.tested > 10 and len(found.slices) <= 15
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert {words for _, words in told} >= {"preparing the columns", "searching"}


def test_it_is_searched_once_for_equal_rows_and_settings(tmp_path: Path, build_house: Callable[..., House]) -> None:
    house = build_house(tmp_path)
    for name in ("r1", "r2"):
        house.add(name, claims(), **FEATURES)
    assert search_of(house, "r1").found is None and search_of(house, "r1").possible
    first = find_weak_slices(house, "r1")
    assert find_weak_slices(house, "r2") == first == search_of(house, "r2").found
    told: list[float] = []
    assert find_weak_slices(house, "r1", lambda share, words: told.append(share), again=True) == first
    assert told and told[-1] == 1.0
    assert house.scans("weak_slices") == 1
    other = build_house(tmp_path, min_rows=500)
    assert search_of(other, "r1").found is None
    assert all(item.n >= 500 for item in find_weak_slices(other, "r1").slices)


def test_what_another_slice_explains_is_left_out(house: House) -> None:
    """Errors come from the north's travellers and the old: neither the north nor the southern old is listed."""
    frame = claims(20_000, seed=2)
    old = (frame.age >= 81) & (np.random.default_rng(9).random(len(frame)) < 0.25)
    frame["prediction"] = np.where(old, np.where(frame.label == "yes", "no", "yes"), frame.prediction)
    house.add("r1", frame, **FEATURES)
    filters = [set(item.filter.split(" AND ")) for item in find_weak_slices(house, "r1").slices]
    assert {"region = 'north'", "product = 'travel'"} in filters
    assert {"region = 'north'"} not in filters and {"product = 'travel'"} not in filters
    # where the two causes meet it is worse than among the other old; where they do not, it is not
    assert {"age >= 82"} in filters
    assert not any("age >= 82" in one and one & {"region = 'south'", "product = 'home'"} for one in filters)


def test_chance_alone_is_nothing(house: House) -> None:
    house.add("r1", claims(seed=5, extra=0.0), **FEATURES)
    assert find_weak_slices(house, "r1").slices == ()


def test_regression_is_searched_by_squared_error(house: House) -> None:
    rng = np.random.default_rng(0)
    frame = claims().assign(label=rng.normal(size=4000))
    frame["prediction"] = frame.label + rng.normal(size=4000) * np.where(frame.region == "north", 3, 1)
    house.add("r1", frame, "regression", **FEATURES)
    found = find_weak_slices(house, "r1")
    best = next(item for item in found.slices if item.filter == "region = 'north'")
    inside = frame[frame.region == "north"]
    assert found.metric == "rmse"
    assert best.value.value == pytest.approx(float(np.sqrt(((inside.prediction - inside.label) ** 2).mean())))
    page = performance_report(house, PerformanceQuery(run="r1", filter=best.filter))
    assert (best.value.low, best.value.high) == pytest.approx((page.overall["rmse"].low, page.overall["rmse"].high))
    assert best.complement.value < best.value.low


def test_cancelling_leaves_nothing_half_done(house: House) -> None:
    house.add("r1", claims(), **FEATURES)

    def stop(share: float, words: str) -> None:
        if words == "searching":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_weak_slices(house, "r1", stop)
    assert search_of(house, "r1").found is None
    assert find_weak_slices(house, "r1").slices


def test_the_difference_of_two_runs(house: House) -> None:
    """Where the candidate got worse, though the baseline is bad elsewhere; rows are paired by id, not by place."""
    baseline, rng = claims(extra=0.3), np.random.default_rng(3)
    south = (baseline.region == "south") & (rng.random(4000) < 0.3)
    flipped = np.where(baseline.label == "yes", "no", "yes")
    candidate = baseline.assign(prediction=np.where(south, flipped, baseline.prediction)).sample(frac=1, random_state=1)
    house.add("old", baseline, **FEATURES)
    house.add("new", candidate, **FEATURES)
    found, tested = discover_difference(house, "new", "old")
    assert found[0].filter == "region = 'south'" and tested > 5
    inside = candidate[candidate.region == "south"]
    before = baseline.loc[inside.index]
    want = (inside.label != inside.prediction).mean() - (before.label != before.prediction).mean()
    assert found[0].value == pytest.approx(want)
    assert discover_difference(house, "old", "old") == ([], 0)


def test_runs_without_rows_cannot_be_searched(house: House) -> None:
    figures = Figures({"f1": 0.5}, artifact="performance.json")
    house.add("r1", Evaluation("r1", "classification", Roles(), figures=figures))
    assert not search_of(house, "r1").possible
    with pytest.raises(DataMissing, match="figures only"):
        find_weak_slices(house, "r1")


def test_every_filter_that_is_found_can_be_used(house: House) -> None:
    frame = claims().rename(columns={"region": "select", "product": "the 'pro\"duct"})
    found: Any = house.add("r1", frame, roles={"features": ("select", "the 'pro\"duct", "age")})
    slices = find_weak_slices(house, "r1").slices
    assert slices
    for item in slices:
        parse_filter(item.filter, tables_of(house).columns(found.table))
