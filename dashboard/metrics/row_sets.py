"""Rows as bits: how many rows meet several conditions at once, one bit per row and condition."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dashboard.metrics.cube import Ints

Condition = tuple[int, int]
_CHUNK = 1 << 20  # rows whose bits are held at once: 128 kB per condition
_REPORT = 512


def count_meeting(
    columns: Sequence[NDArray[np.uint8]],
    conditions: Sequence[Sequence[Condition]],
    progress: Callable[[float], None] = lambda share: None,
) -> Ints:
    """Rows that meet each conjunction of (column, code) conditions; columns are arrays of codes, one per row.

    An AND and a population count over n / 64 words per condition, in chunks of rows, so that memory stays bounded by
    128 kB per distinct condition whatever n is. `progress` hears the share done and may raise to cancel.
    """
    counts = np.zeros(len(conditions), dtype=np.int64)
    n = len(columns[0]) if columns else 0
    used = sorted({condition for several in conditions for condition in several})
    for start in range(0, n, _CHUNK):
        bits = dict(_bits([column[start : start + _CHUNK] for column in columns], used))
        for index, several in enumerate(conditions):
            counts[index] += _met(bits, several)
            if index % _REPORT == 0:
                progress((start + _CHUNK * index / len(conditions)) / n)
    return counts


def _bits(
    columns: Sequence[NDArray[np.uint8]], conditions: Sequence[Condition]
) -> Iterator[tuple[Condition, NDArray[np.uint64]]]:
    for place, code in conditions:
        packed = np.packbits(columns[place] == code)
        yield (place, code), np.pad(packed, (0, -len(packed) % 8)).view(np.uint64)


def _met(bits: Mapping[Condition, NDArray[np.uint64]], several: Sequence[Condition]) -> int:
    first, *rest = several
    common = bits[first]
    for condition in rest:
        common = common & bits[condition]
    return int(np.bitwise_count(common).sum(dtype=np.int64))
