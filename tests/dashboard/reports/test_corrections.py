"""Corrections of every kind are checked before they are kept."""

import pytest

from dashboard.errors import BadInput
from dashboard.inference.detections import Box
from dashboard.inference.outputs import Prediction
from dashboard.reports.corrections import FlagOffer, as_text, checked_correction, offer_for

BOXES = FlagOffer("boxes", ("cat", "guide dog"))
CAT = {"label": "cat", "x": 1.0, "y": 2.0, "w": 3.0, "h": 4.5}


def test_the_offer_fits_the_answer():
    found = (Box("dog", 0, 0, 9, 9, 0.9), Box("cow", 0, 0, 9, 9, 0.01))
    assert offer_for(Prediction(boxes=found), ["cat"]) == FlagOffer("boxes", ("cat", "dog"))
    assert offer_for(Prediction(boxes=()), []) == FlagOffer("boxes")
    assert offer_for(Prediction(value=1.0), []).kind == "number"
    assert offer_for(Prediction(raw=[1]), []).kind == "json"
    assert offer_for(Prediction(label="a", probabilities={"a": 1.0}), ["b"]) == FlagOffer("class", ("b", "a"))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("cat 1 2 3 4.5\n\n guide dog 0 0 10 10 ", [CAT, {"label": "guide dog", "x": 0, "y": 0, "w": 10, "h": 10}]),
        ([CAT], [CAT]),
        ('[{"label": "cat", "x": 1, "y": 2, "w": 3, "h": 4.5}]', [CAT]),
        ("none", []),
        ([], []),
        ("  ", None),
    ],
)
def test_boxes_come_as_lines_or_json(given, kept):
    assert checked_correction(BOXES, given, (100, 50)) == kept


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("cat 1 2 3", "'cat 1 2 3' is no box; class, x, y, width and height"),
        ("cow 1 2 3 4", "'cow' of the box 'cow 1 2 3 4' is none of 'cat', 'guide dog'"),
        ("cat 1 2 3 wide", "'cat 1 2 3 wide' lacks a class or one of the numbers"),
        ("cat 1 2 nan 4", "lacks a class or one of the numbers"),
        ("cat 1 2 0 4", "has no area"),
        ("cat 100 2 3 4", "outside the picture of 100 x 50"),
        ([["cat", 1, 2, 3, 4]], "lacks a class"),
        ({"label": "cat"}, "a list of at most 1,000"),
        ("[1,", "is not JSON such as"),
    ],
)
def test_what_is_no_box_is_refused_by_name(given, said):
    with pytest.raises(BadInput, match=said):
        checked_correction(BOXES, given, (100, 50))


@pytest.mark.parametrize(
    ("value", "said"),
    [([CAT, CAT], "2 boxes: cat, cat"), ([CAT], "1 box: cat"), ([], "0 boxes"), ({"age": 4}, "age 4"), (2.5, "2.5")],
)
def test_a_correction_is_told_in_a_few_words(value, said):
    assert as_text(value) == said
