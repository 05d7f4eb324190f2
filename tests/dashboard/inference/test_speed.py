"""Timing: figures against numpy, fair turns, short chunks."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.inference import speed


@given(st.lists(st.floats(1e-6, 10), min_size=1, max_size=50), st.integers(1, 64))
def test_figures_are_those_of_numpy(seconds, batch):
    found = speed.timing(batch, seconds)
    assert found.calls == len(seconds)
    assert found.p50_ms == pytest.approx(1000 * np.median(seconds))
    assert found.p95_ms == pytest.approx(1000 * np.quantile(seconds, 0.95))
    assert found.per_second == pytest.approx(batch * len(seconds) / sum(seconds))


def test_runners_take_turns_and_the_first_call_is_not_counted(monkeypatch):
    monkeypatch.setattr(speed, "CHUNK", 0.01)
    turns, shares = [], []

    def runner(name, seconds):
        def run(batch):
            turns.append((name, batch))
            time.sleep(seconds if (name, batch) in turns[:-1] else 0.2)

        return run

    found = speed.race({"a": runner("a", 0.002), "b": runner("b", 0.02)}, (1, 4), rounds=3, tell=shares.append)
    assert turns[:4] == [("a", 1), ("b", 1), ("a", 4), ("b", 4)]
    assert [turn for i, turn in enumerate(turns[4:]) if i == 0 or turn != turns[3 + i]][:4] == turns[:4]
    assert found["b"][1].calls == 3
    assert all(2 <= item.p95_ms < 100 for item in found["a"])
    assert found["a"][0].p50_ms < found["b"][0].p50_ms
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(shares) == 12


def test_a_slow_call_ends_its_chunk():
    started = time.perf_counter()
    speed.race({"slow": lambda batch: time.sleep(0.3)}, (1,), rounds=1)
    assert time.perf_counter() - started < 0.75
