"""Code for one prediction, made for any input; that it runs is shown by the browser's journeys."""

import ast
import json
import shlex

import pytest

from dashboard.reports.inference import InferenceQuery
from dashboard.reports.usage import usage_of
from dashboard.uploads import store_bytes
from tests.dashboard.reports.test_inference import png, services  # noqa: F401

BASE = "https://wiki.example/vitrine"
HOSTILE = 'it\'s </script> "quoted" $(rm -rf /) `id` \\ ünï 😀\nsecond line'


@pytest.mark.parametrize("text", ["plain", HOSTILE, "'" * 50])
def test_the_code_carries_exactly_the_text(services, text):  # noqa: F811
    found = usage_of(services, InferenceQuery(run="text", text=text), BASE)
    words = shlex.split(found.code["curl"].replace("\\\n", " "))
    assert words[:3] == ["curl", "-s", f"{BASE}/api/v1/runs/text/predict"]
    assert json.loads(words[words.index("-d") + 1]) == {"inputs": [text]}
    tree = ast.parse(found.code["Python"])
    (given,) = [node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "inputs"]
    assert ast.literal_eval(given) == [text]
    assert found.report.startswith("/prediction/report.html?run=text&text=")


def test_a_row_is_given_by_its_values_and_a_picture_by_its_address(services):  # noqa: F811
    row = usage_of(services, InferenceQuery(run="table", row="2"), BASE)
    assert "'size': 30.25" in row.code["Python"]
    picture = usage_of(services, InferenceQuery(run="image", row="1"), BASE)
    assert f"{BASE}/prediction/input?run=image&row=1" in picture.code["curl"]
    ast.parse(picture.code["Python"])


def test_a_long_input_is_fetched_and_an_upload_says_how_long_it_is_kept(services):  # noqa: F811
    token = store_bytes(services.settings, b"long " * 3000, "x")
    found = usage_of(services, InferenceQuery(run="text", upload=token["key"]), BASE)
    assert "newest 200 uploads" in found.kept
    assert all(len(code) < 1000 for code in found.code.values())
    ast.parse(found.code["Python"])
    assert usage_of(
        services, InferenceQuery(run="image", upload=store_bytes(services.settings, png(3), "x")["key"]), BASE
    )


@pytest.mark.parametrize("query", [{}, {"run": "text"}, {"run": "nobody", "text": "x"}, {"run": "text", "row": "99"}])
def test_without_an_input_there_is_nothing_to_use(services, query):  # noqa: F811
    assert usage_of(services, InferenceQuery(**query), BASE) is None
