"""Query parameters: what is accepted, and how the rest is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from dashboard.api.queries import MAX_LIMIT, DataPageQuery, FilterQuery, PredictQuery, Query, RunsQuery, parse_query
from dashboard.errors import BadQuery


@given(st.integers(1, MAX_LIMIT), st.integers(0, 10**12))
def test_numbers_within_bounds_are_taken(limit, offset):
    query = parse_query(RunsQuery, MultiDict({"limit": str(limit), "offset": str(offset)}))
    assert (query.limit, query.offset) == (limit, offset)


def test_defaults():
    assert parse_query(RunsQuery, MultiDict()) == RunsQuery(limit=100, offset=0, search="", model="", experiment="")


_OUTSIDE = st.integers().filter(lambda n: not 1 <= n <= MAX_LIMIT).map(str)
_WORDS = st.text(st.characters(categories=["L", "S"]), min_size=1)


@given(_OUTSIDE | _WORDS)
def test_a_wrong_limit_is_named_with_what_would_be_accepted(limit):
    with pytest.raises(BadQuery) as caught:
        parse_query(RunsQuery, MultiDict({"limit": limit}))
    shown = limit if len(limit) <= 80 else limit[:79] + "…"
    assert str(caught.value) == f"limit is {shown!r}; accepted is a whole number from 1 to 1,000."


@pytest.mark.parametrize(
    ("kind", "params", "sentence"),
    [
        (RunsQuery, {"limit": "abc"}, "limit is 'abc'; accepted is a whole number from 1 to 1,000."),
        (RunsQuery, {"limit": ""}, "limit is ''; accepted is a whole number from 1 to 1,000."),
        (RunsQuery, {"limit": "1.5"}, "limit is '1.5'; accepted is a whole number from 1 to 1,000."),
        (RunsQuery, {"offset": "-1"}, "offset is '-1'; accepted is a whole number from 0 to 1,000,000,000,000."),
        (
            RunsQuery,
            {"limt": "1"},
            "There is no parameter 'limt' here; accepted: limit, offset, search, model, experiment.",
        ),
        (Query, {"x": "1"}, "There is no parameter 'x' here; accepted: none."),
        (PredictQuery, {"confidence": "1.1"}, "confidence is '1.1'; accepted is a number from 0 to 1."),
        (DataPageQuery, {"order": "up"}, "order is 'up'; accepted is asc or desc."),
        (FilterQuery, {"filter": "x" * 5000}, f"filter is '{'x' * 79}…'; accepted is text of at most 4000 characters."),
    ],
)
def test_sentences(kind, params, sentence):
    with pytest.raises(BadQuery) as caught:
        parse_query(kind, MultiDict(params))
    assert str(caught.value) == sentence


def test_a_parameter_given_twice_is_refused():
    with pytest.raises(BadQuery, match="'limit' is given 2 times"):
        parse_query(RunsQuery, MultiDict([("limit", "1"), ("limit", "2")]))
