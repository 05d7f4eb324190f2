"""Pages from the code sidecar are those of the table: same rows, same order, same values."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dashboard.metrics.coded_rows import page_places
from dashboard.metrics.codes import build_codes, open_codes
from dashboard.metrics.tables import Tables
from dashboard.reports.data import DataQuery, page_of
from dashboard.reports.performance import PerformanceQuery, errors_of
from dashboard.reports.selection import Selection
from mlflow_runs.records import Evaluation
from tests.dashboard.metrics.evaluations import evaluation_of

N = 4000
SORTS = ("", "age", "big", "region", "flag", "when", "day", "text", "many", "score_a")


def table() -> pa.Table:
    """Every kind of column, with gaps, ties and values at the ends of their types."""
    rng = np.random.default_rng(4)
    gaps = rng.random(N) < 0.05

    def gapped(values: object) -> pa.Array:
        return pa.array(values, mask=gaps)

    return pa.table(
        {
            "id": np.arange(N) + 2**60,
            "label": gapped(rng.choice(["a", "b", "c"], N)),
            "prediction": rng.choice(["a", "b", "d"], N),
            "age": gapped(rng.normal(40, 9, N).round(1)),
            "big": gapped(rng.choice([-(2**63), 0, 2**63 - 1, *range(40)], N)),
            "region": gapped(rng.choice(["north", "it's", "<b>", "", "ü"], N)),
            "flag": gapped(rng.random(N) < 0.4),
            "many": [f"v{k}" for k in rng.zipf(1.2, N) % 2000],
            "text": ["long " * 30 + str(k) for k in range(N)],
            "when": gapped([dt.datetime(2026, 1, 1) + dt.timedelta(seconds=int(k)) for k in rng.integers(0, 999, N)]),
            "zoned": pa.array(np.arange(N), pa.timestamp("ms", tz="Europe/Berlin")),
            "day": gapped([dt.date(2026, 1, 1 + int(k)) for k in rng.integers(0, 28, N)]),
            "list": [[int(k)] for k in range(N)],
            "picture": [b"\x89PNG\r\n\x1a\n" + bytes([k % 7]) for k in range(N)],
            "score_a": gapped(rng.random(N).round(2)),
            "score_b": rng.random(N).round(2).astype(np.float32),
            "slice_x": rng.random(N) < 0.3,
        }
    )


@pytest.fixture(scope="module")
def evaluations(tables: Tables) -> tuple[Evaluation, Evaluation]:
    """The same table without a sidecar and with one."""
    features = ("age", "big", "region", "flag", "many", "text")
    plain = evaluation_of(tables.folder, table(), features=features, scores={"a": "score_a", "b": "score_b"})
    coded = replace(plain, digest=f"{plain.digest}-coded")
    build_codes(tables, coded)
    assert open_codes(tables, plain) is None and open_codes(tables, coded) is not None
    return plain, coded


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("chosen", [Selection(), Selection("age > 41 AND region = 'north'"), Selection("", "x")])
def test_every_order_of_the_data_page(
    tables: Tables, evaluations: tuple[Evaluation, Evaluation], sort: str, chosen: Selection
) -> None:
    for order in ("asc", "desc"):
        for offset in (0, 90, N - 30, N):
            query = DataQuery(sort=sort, order=order, offset=offset)
            want, got = (page_of(tables, evaluation, query, chosen) for evaluation in evaluations)
            assert got == want, (order, offset)


@pytest.mark.parametrize(
    "asked",
    [{}, {"open": "all"}, {"label": "a"}, {"predicted": "d"}, {"label": "b", "predicted": "a"}, {"label": "none"}],
)
@pytest.mark.parametrize("chosen", [Selection(), Selection("age > 41"), Selection("region = 'it''s'", "x")])
def test_the_rows_behind_a_cell(
    tables: Tables, evaluations: tuple[Evaluation, Evaluation], asked: dict[str, str], chosen: Selection
) -> None:
    for offset in (0, 50):
        query = PerformanceQuery(offset=offset, **asked)
        want, got = (errors_of(tables, evaluation, query, chosen) for evaluation in evaluations)
        assert got == want and (got.total or asked == {"label": "none"})


@pytest.mark.parametrize("scores", [{"score": "score_b"}, {"score": "score_a"}, {}])
def test_the_rows_behind_a_cell_of_two_classes(tables: Tables, scores: dict[str, str]) -> None:
    plain = evaluation_of(tables.folder, table(), features=("age",), positive_class="b", **scores)
    coded = replace(plain, digest=f"{plain.digest}-{scores}")
    build_codes(tables, coded)
    for query in (PerformanceQuery(label="a"), PerformanceQuery(offset=25)):
        assert errors_of(tables, coded, query, Selection()) == errors_of(tables, plain, query, Selection())


def test_the_largest_errors_of_a_regression(tables: Tables) -> None:
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"label": rng.normal(size=500).round(1), "x": rng.normal(size=500)})
    data["prediction"] = (data["label"] + rng.normal(size=500)).round(1)
    data.loc[::9, "prediction"] = np.nan
    plain = evaluation_of(tables.folder, data, "regression", features=("x",))
    coded = replace(plain, digest=f"{plain.digest}-coded")
    build_codes(tables, coded)
    for chosen in (Selection(), Selection("x > 0")):
        want, got = (errors_of(tables, evaluation, PerformanceQuery(), chosen) for evaluation in (plain, coded))
        assert got == want


@pytest.mark.parametrize("key", [np.zeros(0), np.full(50, np.nan), np.array([2.0, np.nan, 1.0, 1.0] * 30)])
@pytest.mark.parametrize("descending", [False, True])
def test_a_page_is_a_part_of_the_whole_order(key: np.ndarray, descending: bool) -> None:
    whole = np.argsort(-key if descending else key, kind="stable")
    pages = [page_places(key, None, descending, offset, 7) for offset in range(0, len(key) + 7, 7)]
    assert np.concatenate(pages).tolist() == whole.tolist()
