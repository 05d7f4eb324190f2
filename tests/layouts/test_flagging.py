"""How judgements are asked for and listed."""

import json

import pytest

from dashboard.flags import Flag
from dashboard.reports.corrections import FlagOffer
from dashboard.reports.flags import FlagsQuery, FlagsReport, ListedFlag
from layouts import flagging
from tests.layouts.test_inference import parts_of, text

HOSTILE = "<script>alert(1)</script>"
FLAG = Flag(
    id="f" * 32, run_id="r", model="m", version="1", model_id="m-1", verdict="wrong", corrected=json.dumps(HOSTILE),
    reason=HOSTILE, author="ann", created=1.0, input=json.dumps({"age": 40, "town": HOSTILE}),
    output=json.dumps({"label": "cat", "probabilities": {"cat": 1.0}}), source="row 5", row=5,
)  # fmt: skip


@pytest.mark.parametrize(
    ("offer", "control"),
    [
        (FlagOffer("class", ("cat", HOSTILE)), "Dropdown"),
        (FlagOffer("class"), "Input"),
        (FlagOffer("number"), "Input"),
        (FlagOffer("boxes", ("cat",)), "Textarea"),
        (FlagOffer("json"), "Textarea"),
    ],
)
def test_the_correction_fits_the_answer(offer, control):
    form = flagging.render_form(offer)
    found = [part for part in parts_of(form, control) if part.id == {"type": "flagging-field", "name": "corrected"}]
    assert len(found) == 1
    (verdicts,) = parts_of(form, "RadioItems")
    assert [option["value"] for option in verdicts.options] == ["right", "wrong", "unsure"]


def test_a_listed_flag_leads_to_its_input_and_has_its_undo():
    tree = flagging.render(FlagsReport(FlagsQuery("r"), (ListedFlag(FLAG, None),), 3))
    (link, *downloads) = parts_of(tree, "A")
    assert link.href == f"/inference?run=r&flag={'f' * 32}"
    assert [item.href for item in downloads] == ["/export/flags.csv?run=r", "/export/flags.jsonl?run=r"]
    assert parts_of(tree, "Button")[0].id == {"type": "flagging-undo", "flag": "f" * 32}
    shown = text(tree)
    for words in (f"age 40, town {HOSTILE}", "cat", "✗ wrong", "ann", "waiting", "1 of 3 flags"):
        assert words in shown


def test_nothing_flagged_says_how_to_flag():
    assert "Judge an answer" in text(flagging.render(FlagsReport(FlagsQuery("r"), (), 0)))


BOXES = [["cat", 1.0, 1.0, 8.0, 8.0, 0.9], ["cat", 1.0, 1.0, 8.0, 7.5, 0.8], ["dog", 20.0, 1.0, 8.0, 8.0, 0.7]]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"value": 2.5}, "2.5"),
        ({"labels": ["a", "b"]}, "['a', 'b']"),
        ({"raw": 1}, '{"raw": 1}'),
        ({"boxes": BOXES}, "2 objects"),
    ],
)
def test_an_answer_is_told_in_a_few_words(output, said):
    assert flagging.answer_text(json.dumps(output)) == said
