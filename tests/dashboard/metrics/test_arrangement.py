"""Orders of a matrix."""

import numpy as np

from dashboard.metrics.arrangement import arrange, confusion_blocks


def planted(order: list[int]) -> np.ndarray:
    """Nine classes in three blocks that are taken for each other, in a shuffled order."""
    counts = np.full((9, 9), 1)
    for block in range(3):
        counts[3 * block : 3 * block + 3, 3 * block : 3 * block + 3] = 30
    np.fill_diagonal(counts, 200)
    return counts[np.ix_(order, order)]


def test_planted_blocks_are_found_again() -> None:
    order = np.random.default_rng(3).permutation(9)
    found = order[confusion_blocks(planted(list(order)))] // 3
    assert (np.diff(found) != 0).sum() == 2


def test_rows_with_like_shares_come_together() -> None:
    counts = np.array([[9, 1], [1, 9], [18, 2], [3, 27]])
    found = arrange(counts, list("abcd"), "blocks") % 2
    assert (np.diff(found) != 0).sum() == 1


def test_alphabet_frequency_and_given_order() -> None:
    counts, names = np.array([[1, 0], [5, 0], [3, 0]]), ["b", "C", "a"]
    assert arrange(counts, names, "alphabet").tolist() == [2, 0, 1]
    assert arrange(counts, names, "frequency").tolist() == [1, 2, 0]
    assert arrange(counts, names, "").tolist() == [0, 1, 2]


def test_one_and_no_class() -> None:
    assert confusion_blocks(np.zeros((1, 1), np.int64)).tolist() == [0]
    assert confusion_blocks(np.zeros((0, 0), np.int64)).tolist() == []
    assert sorted(confusion_blocks(np.zeros((4, 4), np.int64))) == [0, 1, 2, 3]
