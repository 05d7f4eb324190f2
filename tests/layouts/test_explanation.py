"""How explanations are drawn: colours by sign and size, numbers behind them, hostile words stay text."""

import json

import numpy as np
import pytest

from dashboard.inference.explain_record import Explanation, Part
from dashboard.reports.explanation import Side, WhyQuery, WhyReport
from dashboard.reports.heat_maps import coarse, overlay
from layouts import explanation
from tests.dashboard.reports.conftest import row_of

HOSTILE = "<script>alert('1')</script>"
PARTS = (Part("good", 0.2, start=0, end=4), Part(HOSTILE, -0.4, start=5, end=5 + len(HOSTILE)))


def report(found, **changes):
    """A report of one model's explanation."""
    plain = {"kind": "text", "target": "p", "predicted": "p", "classes": ("p", "q"), "versions": (), "scale": 0.4}
    return WhyReport(**{**plain, "sides": (Side(row_of("r1"), found),), **changes})


def drawn(found, **changes):
    """The drawn explanation as JSON, as the browser receives it."""
    tree = explanation.render(report(found, **changes), WhyQuery(run="r1", text="x", why="auto"))
    return json.dumps(tree.to_plotly_json(), default=lambda part: part.to_plotly_json())


def test_words_have_the_colour_of_their_effect_and_a_table():
    found = report(Explanation("m", "words", "p", 0.9, 0.0, "note", PARTS), text=f"good {HOSTILE}!")
    tree = explanation.render(found, WhyQuery(run="r1", text="x", why="auto"))
    words = [part for part in tree._traverse() if str(getattr(part, "className", "")).startswith("word ")]
    assert [(word.children, word.className, word.style["--heat"]) for word in words] == [
        ("good", "word for", "50%"),
        (HOSTILE, "word against", "100%"),
    ]
    first = next(part for part in tree._traverse() if type(part).__name__ == "Tbody").children[0]
    assert first.children[0].children == HOSTILE
    assert first.children[1].children == "\u22120.4000"


def test_columns_are_bars_that_add_up():
    parts = (Part("age", 0.3, "40", 0.01), Part("town", -0.1, "Oslo"))
    shown = drawn(Explanation("m", "shapley", "p", 0.9, 0.7, "note", parts), kind="table")
    assert "Mean 0.700, all columns together +0.200, this row 0.900." in shown
    assert '"left": "50%", "width": "37.5%"' in shown
    assert '"right": "50%", "width": "12.5%"' in shown
    assert "Standard error" in shown


def test_what_a_second_version_cannot_do_is_said_beside_it():
    found = Explanation("m", "words", "p", 0.9, 0.0, "note", PARTS)
    sides = (Side(row_of("r1"), found), Side(row_of("r2"), None, problem="it takes pictures"))
    asked = report(found, sides=sides, text=f"good {HOSTILE}")
    assert not asked.missing
    tree = explanation.render(asked, WhyQuery(run="r1", text="x", why="auto", beside="r2"))
    assert "it takes pictures" in json.dumps(tree.to_plotly_json(), default=lambda part: part.to_plotly_json())


@pytest.mark.parametrize(("shape", "fields"), [((4, 4), (4, 4)), ((224, 100), (8, 8)), ((3, 20), (3, 8))])
def test_a_map_is_a_picture_with_a_small_table_behind_it(shape, fields):
    found = np.linspace(-1, 1, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    assert coarse(found).shape == fields
    assert coarse(np.full(shape, 0.5)) == pytest.approx(0.5)
    explained = Explanation("m", "occlusion", "p", 0.9, 0.0, "note", map=found)
    assert overlay(explained, 1.0, (30, 20)).startswith("data:image/png;base64,")
    assert overlay(explained, 0.0, (30, 20)).startswith("data:image/png;base64,")
