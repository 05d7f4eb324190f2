"""Query objects survive the way to a URL and back; malformed parameters are named."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.errors import BadQuery
from dashboard.reports.data import DataQuery
from dashboard.reports.query import from_params, to_params, to_url

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40)


@given(st.builds(DataQuery, run=texts, filter=texts, sort=texts, offset=st.integers(0, 10**9)))
def test_a_query_survives_its_url(query):
    parts = urlsplit(to_url("/data", query))
    assert from_params(DataQuery, dict(parse_qsl(parts.query, keep_blank_values=True))) == query


def test_defaults_leave_no_trace_and_changes_win():
    assert to_url("/data", DataQuery()) == "/data"
    assert to_params(DataQuery(run="a", offset=25), offset=0, sort="x") == {"run": "a", "sort": "x"}


@pytest.mark.parametrize("value", ["-1", "1e3", "", "abc", "²", "9" * 13, None])
def test_a_malformed_number_is_named(value):
    with pytest.raises(BadQuery, match="offset"):
        from_params(DataQuery, {"offset": value})


def test_too_long_and_unknown_parameters():
    with pytest.raises(BadQuery, match="filter"):
        from_params(DataQuery, {"filter": "x" * 5000})
    assert from_params(DataQuery, {"nonsense": "1"}) == DataQuery()
