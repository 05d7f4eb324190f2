"""Downloads hold the figures of the pages, unrounded, and every row."""

import csv
import io
import re
import urllib.error
import urllib.request

import pytest

from tests.browser.conftest import get, newest


def table(product, name, query):
    """A downloaded CSV as rows."""
    with urllib.request.urlopen(f"{product.base_url}/export/{name}.csv?{query}", timeout=30) as response:
        assert re.search(rf'filename="[a-z]+-[a-z]+-v\d-{name}\.csv"', response.headers["Content-Disposition"])
        return list(csv.DictReader(io.StringIO(response.read().decode())))


def test_classes_equal_the_api(demo):
    run = newest(demo, "docstring-library")["run_id"]
    per_class = get(demo, f"/api/v1/runs/{run}/performance")["per_class"]
    rows = table(demo, "classes", f"run={run}")
    assert {row["class"]: float(row["f1"]) for row in rows} == {name: c["f1"]["value"] for name, c in per_class.items()}
    assert {row["class"]: int(row["n"]) for row in rows} == {name: c["n"] for name, c in per_class.items()}


@pytest.mark.parametrize("name", ["overall", "slices", "confusion", "columns"])
@pytest.mark.parametrize("model", ["docstring-library", "diabetes-progression"])
def test_every_table_can_be_had(demo, name, model):
    run = newest(demo, model)["run_id"]
    rows = table(demo, name, f"run={run}")
    assert rows or (name, model) == ("confusion", "diabetes-progression")


def test_rows_are_all_there_and_follow_the_filter(demo):
    run = newest(demo, "digit-reader")["run_id"]
    document = get(demo, f"/api/v1/runs/{run}/data?limit=1")
    rows = table(demo, "rows", f"run={run}")
    assert len(rows) == document["total"]
    assert {row["image"] for row in rows} == {"[image]"}
    performance = get(demo, f"/api/v1/runs/{run}/performance")
    wrong = table(demo, "error-rows", f"run={run}")
    counts = performance["confusion"]["counts"]
    assert len(wrong) == sum(n for i, row in enumerate(counts) for j, n in enumerate(row) if i != j)


def test_a_wrong_query_is_a_sentence(demo):
    run = newest(demo, "digit-reader")["run_id"]
    with pytest.raises(urllib.error.HTTPError) as caught:
        table(demo, "rows", f"run={run}&filter=nonsense%3D1")
    assert caught.value.code == 400
    assert "nonsense" in caught.value.read().decode()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        table(demo, "nothing", f"run={run}")


def test_a_figure_can_be_had_as_picture(open_page, demo):
    page = open_page(f"/performance?run={newest(demo, 'diabetes-progression')['run_id']}")
    figure = page.locator(".js-plotly-plot").first
    figure.hover()
    for kind, start in (("svg", b"<svg"), ("png", b"\x89PNG")):
        with page.expect_download(timeout=20_000) as download:
            figure.get_by_title(f"Download figure as {kind.upper()}").click()
        assert re.fullmatch(rf"diabetes-progression-v\d-[a-z-]+\.{kind}", download.value.suggested_filename)
        assert download.value.path().read_bytes().lstrip().startswith(start)
