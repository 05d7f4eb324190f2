"""How fast callables are: interleaved rounds in short chunks, so that a busy moment hits all of them alike."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dashboard.inference.speed_report import Timing

CHUNK = 0.2
_CALL_LIMIT = 2000
Run = Callable[[int], object]


@dataclass
class Lap:
    """One runner at one batch size: the seconds of each call so far."""

    name: str
    batch: int
    seconds: list[float]


def race(
    runners: Mapping[str, Run], batches: Sequence[int], rounds: int = 5, tell: Callable[[float], None] = lambda _: None
) -> dict[str, tuple[Timing, ...]]:
    """Timings by runner and batch size; `run(batch)` makes one call and returns when its answer is in host memory.

    Each runner is called once per batch size beforehand, uncounted. Then `rounds` times, every pair in turn for at
    most 0.2 s (at least one call). `tell` hears the share done.
    """
    laps = [Lap(name, batch, []) for batch in batches for name in runners]
    for lap in laps:
        runners[lap.name](lap.batch)
    for turn in range(rounds):
        for place, lap in enumerate(laps):
            lap.seconds += _chunk(runners[lap.name], lap.batch)
            tell((turn * len(laps) + place + 1) / (rounds * len(laps)))
    return {name: tuple(timing(lap.batch, lap.seconds) for lap in laps if lap.name == name) for name in runners}


def timing(batch: int, seconds: Sequence[float]) -> Timing:
    """Percentiles in ms and rows per second from the seconds of each call."""
    p50, p95 = np.percentile(np.asarray(seconds) * 1000, [50, 95])
    return Timing(batch, len(seconds), float(p50), float(p95), batch * len(seconds) / sum(seconds))


def _chunk(run: Run, batch: int) -> list[float]:
    until, found = time.perf_counter() + CHUNK, list[float]()
    while not found or (time.perf_counter() < until and len(found) < _CALL_LIMIT):
        started = time.perf_counter()
        run(batch)
        found.append(time.perf_counter() - started)
    return found
