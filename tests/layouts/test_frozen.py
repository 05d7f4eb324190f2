"""Freezing keeps the content and what callbacks see, and lets nothing through that could run."""

import json

import pytest
from dash import dcc, html
from hypothesis import given
from hypothesis import strategies as st

from layouts.frozen import freeze


def spec(tree):
    """What the browser draws."""
    return json.loads(getattr(tree, "data-tree"))


def test_a_table_becomes_data_in_its_own_element():
    table = html.Table(
        html.Tbody([html.Tr([html.Td("a"), html.Td(1.5, className="num", colSpan=2)]), html.Tr([])]), className="x"
    )
    frozen = freeze(table)
    assert isinstance(frozen, html.Table)
    assert frozen.className == "x"
    assert getattr(frozen, "children", None) is None
    assert spec(frozen) == [
        [
            "tbody",
            {},
            [["tr", {}, [["td", {}, ["a"]], ["td", {"class": "num", "colspan": 2}, ["1.5"]]]], ["tr", {}, []]],
        ]
    ]


def test_what_callbacks_see_stays_a_component():
    rows = [html.P("x") for _ in range(9)]
    tree = html.Div([html.Section(rows), html.Div(dcc.Graph(id="g")), html.Div(html.Span("y", id="s"))])
    frozen = freeze(tree)
    assert {part.id for part in frozen._traverse() if getattr(part, "id", None)} == {"g", "s"}
    assert spec(frozen.children[0]) == [["p", {}, ["x"]]] * 9


def test_the_given_tree_stays_as_it_is():
    tree = html.Div([html.P("x") for _ in range(9)])
    freeze(tree)
    assert len(tree.children) == 9


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,<script>", " javascript:x", "vbscript:x"])
def test_an_address_that_could_run_is_dropped(address):
    tree = html.Div([html.A("x", href=address), html.Img(src=address)] + [html.P("x") for _ in range(9)])
    assert [part[1] for part in spec(freeze(tree))[:2]] == [{}, {}]


def test_elements_that_could_run_stay_with_dash():
    tree = html.Div([html.Iframe(src="/x")] + [html.P("x") for _ in range(9)])
    assert getattr(freeze(tree), "data-tree", None) is None


texts = st.text(max_size=30)
trees = st.recursive(
    texts, lambda inner: st.builds(lambda kids: html.Div(kids), st.lists(inner, min_size=1, max_size=4)), max_leaves=30
)


def words(tree):
    """Every text of a tree, frozen or not, in order."""
    if isinstance(tree, str):
        return [tree]
    if isinstance(tree, list) and len(tree) == 3 and isinstance(tree[1], dict):
        return [word for child in tree[2] for word in words(child)]
    held = spec(tree) if getattr(tree, "data-tree", None) else tree.children
    return [word for child in (held if isinstance(held, list) else [held]) for word in words(child)]


@given(trees)
def test_every_text_survives(tree):
    assert words(freeze(tree)) == words(tree)
