"""A place in the queue in words."""

import pytest

from dashboard.inference.asking import in_line, waiting_words


@pytest.mark.parametrize(
    ("ahead", "wait", "words"),
    [
        (0, None, "1st in the queue"),
        (1, 0.2, "2nd in the queue, less than a second"),
        (10, 4.6, "11th in the queue, about 5 s"),
        (21, 60.0, "22nd in the queue, about 60 s"),
        (111, None, "112th in the queue"),
    ],
)
def test_places(ahead, wait, words):
    assert in_line(ahead, wait) == words


@pytest.mark.parametrize(
    ("ahead", "wait", "loading", "words"),
    [
        (2, 1.4, False, "3rd in the queue, about 1 s …"),
        (1, None, True, "2nd in the queue, the model is being loaded …"),
        (0, None, True, "The model is being loaded …"),
        (0, None, False, ""),
    ],
)
def test_why_there_is_no_answer_yet(ahead, wait, loading, words):
    assert waiting_words(ahead, wait, loading) == words
