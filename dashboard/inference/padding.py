"""Inputs of different lengths in one batch, where the model's metadata declares how they are padded; numpy only.

A model declares it with `metadata={"padding": {"input_ids": 0, "attention_mask": 0, "tokens": None}}`: for each input
the value that lengthens the first axis of an example, and None for each output that is as long as the inputs and is
cut back. Whether padding leaves the answers alone is the model's promise.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from dashboard.inference.inputs import Layout, join, layout
from dashboard.inference.protocol import Array, Tensors

Padding = Mapping[str, float | None]
_STEP = 8


def padded_layout(tensors: Tensors, padding: Padding) -> Layout:
    """What two inputs must share to be joined in one batch: everything but the lengths that may be padded."""
    if not padding:
        return layout(tensors)
    return tuple(
        (name, array.dtype.str, array.shape[2:] if _pads(name, array, padding) else array.shape[1:])
        for name, array in tensors.items()
    )


def join_padded(samples: Sequence[Tensors], padding: Padding) -> Tensors:
    """Several inputs of one padded layout as one batch; lengths that differ become the longest, in steps of eight."""
    lengths = {length for sample in samples for length in _lengths(sample, padding)}
    if len(lengths) < 2:
        return join(samples) if len(samples) > 1 else samples[0]
    longest = -(-max(lengths) // _STEP) * _STEP
    return join([{n: _lengthened(n, a, longest, padding) for n, a in sample.items()} for sample in samples])


def cut_back(outputs: Tensors, sample: Tensors, padding: Padding) -> Tensors:
    """One example's outputs (a leading dimension of its rows) without what the padding added."""
    length = max(_lengths(sample, padding), default=0)
    declared = {name for name, value in padding.items() if value is None}
    return {
        name: array[:, :length] if name in declared and length and array.ndim > 1 else array
        for name, array in outputs.items()
    }


def _lengths(tensors: Tensors, padding: Padding) -> set[int]:
    return {array.shape[1] for name, array in tensors.items() if _pads(name, array, padding)}


def _lengthened(name: str, array: Array, length: int, padding: Padding) -> Array:
    value = padding.get(name)
    if value is None or not _pads(name, array, padding):
        return array
    widths = [(0, 0)] * array.ndim
    widths[1] = (0, length - array.shape[1])
    return np.pad(array, widths, constant_values=np.array(value).astype(array.dtype))


def _pads(name: str, array: Array, padding: Padding) -> bool:
    return padding.get(name) is not None and array.ndim > 1
