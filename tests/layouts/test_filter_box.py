"""The filter box: ids per page, words as JSON, saved slices as text."""

import json

from dashboard.reports.data import DataQuery
from dashboard.reports.filter_words import Word
from dashboard.state import SavedSlice
from layouts import filter_box

HOSTILE = "<img onerror='x'>"


def test_every_id_is_in_the_box_and_belongs_to_its_page():
    ids = filter_box.ids_of("data")
    worn = {getattr(part, "id", None) for part in filter_box.build("data", "a = 1")._traverse()}
    named = {value for name, value in vars(ids).items() if name not in ("query", "drop_slice")}
    assert named <= worn and all(value.startswith("data-") for value in named)
    assert ids.query == "data-query" and ids.drop("x") == {"type": "data-drop-slice", "name": "x"}


def test_the_box_keeps_the_filter_it_was_given():
    ids = filter_box.ids_of("data")
    (box,) = [p for p in filter_box.build("data", HOSTILE)._traverse() if getattr(p, "id", None) == ids.filter]
    assert box.value == HOSTILE


def test_words_travel_as_json():
    words = [Word('"the ""x"', "text", (HOSTILE, "it's")), Word("age", "number", (0.0, 9.5))]
    assert json.loads(filter_box.words(words))[0] == {"name": '"the ""x"', "kind": "text", "values": [HOSTILE, "it's"]}
    assert [option["value"] for option in filter_box.column_options(words)] == ['"the ""x"', "age"]


def test_a_saved_slice_can_be_opened_and_deleted():
    saved = SavedSlice("m", HOSTILE, "why", "age > 3", "ann", 0.0)
    ids = filter_box.ids_of("data")
    tree = filter_box.render_saved([saved], ids, "/data", DataQuery(run="r1", filter="x = 1"))
    (link,) = [part for part in tree._traverse() if getattr(part, "href", None)]
    assert link.children == HOSTILE and "filter=" not in link.href
    (button,) = [part for part in tree._traverse() if type(part).__name__ == "Button"]
    assert button.id == ids.drop(HOSTILE)
    assert filter_box.render_saved([], ids, "/data", DataQuery()) is None
