"""The Data report and its row pages."""

import datetime as dt
import io
import math

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from dashboard.errors import BadQuery
from dashboard.reports.data import ColumnSummary, DataQuery, DataReport, data_report, row_page
from mlflow_runs.errors import DataMissing
from mlflow_runs.records import Evaluation, Figures, Roles
from tests.dashboard.reports.conftest import House


def png(shade: int) -> bytes:
    sink = io.BytesIO()
    Image.new("L", (2, 2), shade).save(sink, "PNG")
    return sink.getvalue()


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 200
    data = pd.DataFrame(
        {
            "id": [f"row-{i}" for i in range(n)],
            "label": rng.choice([1.0, 2.0], n),
            "prediction": rng.choice([1, 2], n),
            "width": rng.normal(size=n).round(3),
            "kind": rng.choice(["x", "y", "<b>z</b>"], n),
            "text": [f"a longer text about the number {i} " * 3 for i in range(n)],
            "at": pd.Timestamp("2024-05-01") + pd.to_timedelta(np.arange(n), "h"),
            "slice_odd": np.arange(n) % 2 == 1,
        }
    )
    data.loc[[3, 4], "width"] = math.nan
    data.loc[7, "kind"] = None
    return data


ROLES = {"roles": {"text": "text", "time": "at", "features": ("width", "kind")}}


def by_name(report: DataReport) -> dict[str, ColumnSummary]:
    return {column.name: column for column in report.columns}


def test_columns_are_summarized_as_pandas_does(house: House) -> None:
    data = frame()
    house.add("r1", data, **ROLES)
    report = data_report(house, DataQuery(run="r1"))
    assert (report.n, report.total, report.duplicates) == (200, 200, 0)
    found = by_name(report)
    assert {name: (c.kind, c.role) for name, c in found.items()} == {
        "id": ("category", "id"),
        "label": ("category", "label"),
        "prediction": ("category", "prediction"),
        "width": ("number", "feature"),
        "kind": ("category", "feature"),
        "text": ("text", "text"),
        "at": ("time", "time"),
        "slice_odd": ("boolean", "slice"),
    }
    width = found["width"]
    assert (width.missing, width.distinct, width.n) == (2, data.width.nunique(), 200)
    want = (data.width.min(), data.width.mean(), data.width.max(), data.width.std())
    assert (width.minimum, width.mean, width.maximum, width.std) == pytest.approx(want)
    counted, _ = np.histogram(data.width.dropna(), bins=width.edges)
    assert np.abs(counted - np.array(width.counts)).sum() <= 2
    assert sum(width.counts) == 198
    assert dict(found["kind"].top) == data.kind.value_counts().to_dict()
    assert dict(found["label"].top) == data.label.astype(int).astype(str).value_counts().to_dict()
    assert (found["kind"].missing, found["kind"].distinct) == (1, 3)
    lengths = data.text.str.len()
    assert (found["text"].minimum, found["text"].mean) == (lengths.min(), pytest.approx(lengths.mean()))
    assert sum(found["text"].counts) == 200
    assert str(found["at"].minimum).startswith("2024-05-01 00:00:00")
    assert dict(found["slice_odd"].top) == {"True": 100, "False": 100}
    assert (report.label, report.text) == (found["label"], found["text"])


def test_duplicates_ignore_ids_and_times(house: House) -> None:
    data = pd.concat([frame(), frame().head(5)]).assign(id=[f"n{i}" for i in range(205)])
    house.add("r1", data, **ROLES)
    assert data_report(house, DataQuery(run="r1")).duplicates == 5
    part = data_report(house, DataQuery(run="r1", filter="id IN ('n0', 'n200')"))
    assert (part.n, part.total, part.duplicates) == (2, 205, 1)


def test_a_regression_label_is_a_number(house: House) -> None:
    house.add("r1", {"label": [1.5, 2.0], "prediction": [1.0, 2.0]}, "regression")
    report = data_report(house, DataQuery(run="r1"))
    assert report.label is not None
    assert (report.label.kind, report.label.top, sum(report.label.counts)) == ("number", (), 2)


@pytest.mark.parametrize(("label", "x"), [([], []), ([None], [None]), (["a"], [math.inf])])
def test_nothing_to_summarize(house: House, label: list, x: list) -> None:
    house.add("r1", pa.table({"label": pa.array(label, pa.string()), "x": pa.array(x, pa.float64())}))
    report = data_report(house, DataQuery(run="r1"))
    assert (report.n, by_name(report)["x"].mean, by_name(report)["x"].counts) == (len(label), None, ())


def test_the_same_view_is_computed_once(house: House) -> None:
    house.add("r1", frame(), **ROLES)
    for query in (DataQuery(run="r1"), DataQuery(run="r1", sort="width", offset=50, view="images")):
        data_report(house, query)
    assert house.scans("data") == 1


def test_pages_cover_all_rows_in_order(house: House) -> None:
    data = frame()
    house.add("r1", data, **ROLES)
    numbers: list[int] = []
    for offset in range(0, 200, 60):
        page = row_page(house, DataQuery(run="r1", sort="width", order="desc", offset=offset, limit=60))
        numbers += page.row_numbers
        assert page.total == 200
    assert numbers == data.sort_values("width", ascending=False, kind="stable", na_position="last").index.tolist()
    assert row_page(house, DataQuery(run="r1", offset=5000)).rows == ()
    assert len(row_page(house, DataQuery(run="r1", limit=10**6)).rows) == 200


def test_pages_are_filtered(house: House) -> None:
    data = frame()
    house.add("r1", data, **ROLES)
    page = row_page(house, DataQuery(run="r1", filter="kind = '<b>z</b>' AND width > 0", limit=3))
    want = data[(data.kind == "<b>z</b>") & (data.width > 0)]
    assert (page.total, list(page.row_numbers)) == (len(want), want.index[:3].tolist())
    assert page.rows[0][page.columns.index("text")] == data.text[want.index[0]]


@pytest.mark.parametrize(
    "query", [{"sort": "nope"}, {"order": "up"}, {"filter": "nope = 1"}, {"sort": 'width" DESC; DROP TABLE x; --'}]
)
def test_bad_queries(house: House, query: dict[str, str]) -> None:
    house.add("r1", frame(), **ROLES)
    with pytest.raises(BadQuery):
        row_page(house, DataQuery(run="r1", **query))


def test_values_are_safe_for_json(house: House) -> None:
    table = pa.table(
        {
            "big": pa.array([2**60]),
            "inf": pa.array([math.inf]),
            "png": pa.array([png(3)]),
            "fake": pa.array([b"<svg onload=alert(1)>"]),
            "struct": pa.array([{"bytes": png(4), "path": "a.svg"}]),
            "list": pa.array([[1.0, math.inf]]),
            "day": pa.array([dt.date(2024, 1, 2)]),
            "zone": pa.array([dt.datetime(2024, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2)))]),
            "nothing": pa.array([None]),
            "nano": pa.array([1], pa.timestamp("ns")),
            "wait": pa.array([dt.timedelta(seconds=5)]),
            "long": pa.array(["x" * 10_000]),
        }
    )
    house.add("r1", table)
    page = row_page(house, DataQuery(run="r1"))
    row = dict(zip(page.columns, page.rows[0], strict=True))
    assert orjson.loads(orjson.dumps(row))["big"] == str(2**60)
    assert row["png"].startswith("data:image/png;base64,")
    assert row["struct"].startswith("data:image/png;base64,")
    assert (row["fake"], row["inf"], row["list"], row["day"]) == ("21 bytes", None, [1.0, None], "2024-01-02")
    assert row["zone"] == "2024-01-01T22:00:00+00:00"
    assert len(row["long"]) == 10_000
    assert by_name(data_report(house, DataQuery(run="r1")))["png"].kind == "image"


def test_the_image_column(house: House) -> None:
    house.add("r1", {"picture": [png(1), png(1)], "label": ["a", "a"]}, roles={"image": "picture"})
    report = data_report(house, DataQuery(run="r1"))
    assert (report.image_column, report.duplicates) == ("picture", 1)
    house.add("r2", {"label": ["a"]})
    assert data_report(house, DataQuery(run="r2")).image_column is None


def test_a_run_without_a_table(house: House) -> None:
    house.add("r1", Evaluation("r1", "classification", Roles(), figures=Figures({"f1": 0.5})))
    for report in (data_report, row_page):
        with pytest.raises(DataMissing, match=r"no predictions table; log predictions\.parquet"):
            report(house, DataQuery(run="r1"))
