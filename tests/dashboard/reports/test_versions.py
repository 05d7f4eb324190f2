"""Several versions: a failure stays in its tile, differences are marked, the best is named where rows support it."""

import numpy as np
import pandas as pd
import pytest

from dashboard.errors import BadInput
from dashboard.inference.client import InferenceClient
from dashboard.reports import versions
from dashboard.reports.version_choice import VersionsQuery, chosen_versions
from dashboard.reports.versions import Tile, ask_versions, versions_found
from dashboard.services import Services
from mlflow_runs.records import ModelInfo
from tests.dashboard.reports.conftest import row_of

N = 300
SIGNATURE = {"inputs": [{"name": "size", "type": "double", "required": True}]}


@pytest.fixture
def services(house):
    """Three versions evaluated on the same rows; the second is clearly the best; no engine runs."""
    draw = np.random.default_rng(0)
    for number, wrong in enumerate((0.4, 0.05, 0.4), 1):
        run = f"v{number}"
        prediction = np.where(draw.random(N) < wrong, "b", "a")
        table = pd.DataFrame({"id": np.arange(N), "size": np.arange(N) * 1.0, "label": "a", "prediction": prediction})
        table = table.assign(slice_small=table["size"] < 5, slice_large=table["size"] >= 100)
        house.add(run, table, version=str(number), ordinal=number, roles={"features": ("size",)})
        house.writer.set_model_info(run, ModelInfo(f"m-{run}", "m", (), SIGNATURE))
    engine = InferenceClient(house.settings.data_dir, house.cache, house.runs, house.settings)
    return Services(house.settings, house.runs, house.predictions, engine, house.cache)


def test_what_goes_wrong_stays_in_its_tile_and_is_told_one_by_one(services):
    told = []
    query = VersionsQuery("v1", row="150")
    report = ask_versions(services, query, told.append)
    assert [tile.state for tile in report.tiles] == ["failed"] * 3
    assert all("inference process" in tile.problem for tile in report.tiles)
    assert [state.done for state in told] == sorted(state.done for state in told)
    assert told[0].tiles[0].state == "asking" and told[-1].done == 3
    assert versions_found(services, query) is None  # because only complete results are kept


def test_the_first_answer_that_is_not_in_the_cache_is_asked_for_alone(services, monkeypatch):
    told = []
    answer = lambda _services, row, _given: Tile(row, "done", label="a", cached=row.run_id == "v1")  # noqa: E731
    monkeypatch.setattr(versions, "_answer", answer)
    ask_versions(services, VersionsQuery("v1", row="150", versions="v1,v2,v3"), told.append)
    states = [tuple(tile.state for tile in report.tiles) for report in told]
    assert states.index(("done", "asking", "waiting")) < states.index(("done", "done", "waiting"))
    assert states.index(("done", "done", "waiting")) < states.index(("done", "done", "asking"))


def test_without_an_input_there_is_a_sentence(services):
    with pytest.raises(BadInput, match="no input"):
        ask_versions(services, VersionsQuery("v1"), lambda report: None)


def test_the_best_is_named_on_the_inputs_slices_where_the_rows_support_it(services):
    report = ask_versions(services, VersionsQuery("v1", row="150"), lambda report: None)
    found = {best.slice: (best.name, best.word, best.n) for best in report.bests}
    assert found[""] == ("texts v2", "best", N)
    assert found["large"] == ("texts v2", "best", N - 100)
    assert "small" not in found
    few = ask_versions(services, VersionsQuery("v1", row="3"), lambda report: None)
    assert {best.slice: best.word for best in few.bests}["small"] == "too few rows"


def test_versions_as_good_as_each_other_have_no_winner(services):
    report = ask_versions(services, VersionsQuery("v1", row="150", versions="v1,v3"), lambda report: None)
    assert [best.word for best in report.bests] == ["same", "same"]


@pytest.mark.parametrize(
    ("base", "other", "differs"),
    [
        ({"label": "a"}, {"label": "b"}, True),
        ({"label": "a"}, {"label": "a"}, False),
        ({"value": 5.0, "low": 4.0, "high": 6.0}, {"value": 6.5}, True),
        ({"value": 5.0, "low": 4.0, "high": 6.0}, {"value": 5.5}, False),
        ({"value": 5.0}, {"value": 9.0}, False),
        ({"label": "a", "state": "failed"}, {"label": "b"}, False),
    ],
)
def test_differences_are_against_the_reference(base, other, differs):
    tiles = tuple(Tile(row_of(name), **{"state": "done", **said}) for name, said in (("base", base), ("other", other)))
    report = versions._marked(tiles, "base")
    assert [tile.differs for tile in report.tiles] == [False, differs]


def test_a_row_is_given_without_the_columns_that_a_version_does_not_take(services):
    card = services.inference.card("v1")
    assert versions._adapted(card, {"size": 1.0, "town": "Rome"}) == {"size": 1.0}


def test_a_complete_result_is_found_again_for_the_same_input_only(services):
    query = VersionsQuery("v1", row="150")
    rows = chosen_versions(services, query)
    report = versions._marked(tuple(Tile(row, "done", label="a") for row in rows), "v1")
    services.cache.store(versions._key(services, query, rows), report)
    assert versions_found(services, query) == report
    assert versions_found(services, VersionsQuery("v1", row="151")) is None
