"""The place in the queue that a waiting prediction leaves is read by the page that asked the same."""

import time

from dashboard.reports.inputs import InferenceQuery
from dashboard.reports.place import place_of, tell_place


def test_the_words_are_for_the_same_question_alone_and_do_not_last(house, monkeypatch):
    asked = InferenceQuery(run="r", text="hello", unknown="0.5")
    tell_place(house, asked, "2nd in the queue …")
    assert place_of(house, InferenceQuery(run="r", text="hello")) == "2nd in the queue …"
    assert place_of(house, InferenceQuery(run="r", text="other")) == ""
    assert place_of(house, InferenceQuery(run="other", text="hello")) == ""
    assert place_of(house, InferenceQuery(run="r")) == ""
    later = time.time() + 4
    monkeypatch.setattr("dashboard.cache.time.time", lambda: later)
    assert place_of(house, asked) == ""
