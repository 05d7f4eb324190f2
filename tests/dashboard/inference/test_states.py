"""Several engines as one."""

from dashboard.inference.states import EngineState, LoadedModel, combined


def test_sums_and_the_slowest_percentiles_and_a_mean_by_passes():
    model = LoadedModel("m", 1, "fake", 1, 0.0, 1)
    first = EngineState(
        True, device="cuda:0", threads=2, memory=10, models=(model,), counters={"forward_passes": 30, "loads": 1},
        latency_ms={"p50": 1.0, "p95": 9.0}, batch_rows=2.0, queue=1, since=50.0, rows_per_second=3.0,
    )  # fmt: skip
    second = EngineState(
        True, device="cuda:1", threads=2, memory=5, counters={"forward_passes": 10}, latency_ms={"p50": 4.0},
        batch_rows=6.0, since=40.0,
    )  # fmt: skip
    away = EngineState(False, "It ended.", name="engine-2")
    both = combined([first, second, away])
    assert (both.ready, both.device, both.memory, both.queue, both.since) == (True, "cuda:0, cuda:1", 15, 1, 40.0)
    assert both.latency_ms == {"p50": 4.0, "p95": 9.0, "p99": 0.0}
    assert both.batch_rows == (30 * 2 + 10 * 6) / 40
    assert both.counters == {"forward_passes": 40, "loads": 1}
    assert (both.models, both.message) == ((model,), "engine-2: It ended.")
    assert combined([first]) is first
    assert not combined([away, away]).ready
