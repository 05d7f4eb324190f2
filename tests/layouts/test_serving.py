"""The Serving page's trees: live figures, empty states, comparisons in words."""

import dataclasses
import json

import pytest

from dashboard.inference.speed_report import BATCHES, Comparison, EngineResult, Timing
from dashboard.inference.states import EngineState, LoadedModel
from dashboard.reports.serving import EngineCard, Process, ServedModel, ServingReport
from layouts import engine_race, serving

HOSTILE = "<img src=x onerror=alert(1)>"


def text(tree):
    """The tree as JSON, as the browser receives it."""
    return json.dumps(tree, default=lambda part: part.to_plotly_json(), ensure_ascii=False)


def report(**changes):
    """A busy engine with one model."""
    loaded = LoadedModel("m-1", 3 * 2**20, "pytorch", 1234, 1.0, 64, 2.0)
    engine = EngineState(
        True, device="cuda:0", threads=2, memory=5 * 2**30, budget=12 * 2**20, models=(loaded,),
        counters={"predictions": 75, "cache_hits": 20, "joined": 5, "loads": 2, "forward_passes": 40},
        latency_ms={"p50": 1.234, "p95": 5.0, "p99": 9.0}, batch_rows=3.5, queue=1, since=1.0, working=1,
        rows_per_second=12.34,
    )  # fmt: skip
    processes = (Process("engine", 7, 1.0, 3, None), Process("web", None, 1.0, 0, -9))
    plain = ServingReport(engine, (ServedModel(loaded, HOSTILE, "r1"),), loaded.bytes, 100, 0.25, 3, processes)
    return dataclasses.replace(plain, **changes)


def timings(factor):
    """Timings of an engine this many times as fast as eager."""
    return tuple(Timing(batch, 50, 2.0 / factor, 3.0 / factor, 500.0 * batch * factor) for batch in BATCHES)


def comparison(**changes):
    """Eager, a faster ONNX Runtime, and a compiled one that was left out."""
    engines = (
        EngineResult("PyTorch eager", "", 0.1, 64, 0.0, 64, True, timings(1)),
        EngineResult("ONNX Runtime, CPU", "", 1.5, 64, 2e-7, 64, True, timings(4)),
        EngineResult("torch.compile", skipped="torch.compile needs a C++ compiler"),
    )
    plain = {"model_id": "m-1", "run_id": "r1", "device": "cpu", "hardware": HOSTILE, "threads": 1, "n": 64,
             "versions": {"torch": "2.13.0"}, "source": "64 rows", "made": 1.0, "seconds": 30.0,
             "onnx_bytes": 2**20, "engines": engines}  # fmt: skip
    return Comparison(**{**plain, **changes})


def test_live_figures_stand_beside_their_names():
    shown = text(serving.render(report()))
    for words in ("cuda:0, 2 threads", "5,120 MB", "1 model", "1 request", "12.3", "1.23 / 5.00 / 9.00 ms", "25.0%"):
        assert words in shown
    assert "100 answers since the start: 75 predicted, 20 from the cache, 5 joined" in shown
    assert "3.0 MB of 12 MB" in shown
    assert "the last 40 forward passes" in shown
    assert "/inference?run=r1" in shown
    assert "ended (-9)" in shown


def test_an_engine_that_is_away_says_so_and_the_processes_stay():
    away = report(engine=EngineState(False, "Nobody home."), models=(), model_bytes=0, from_cache=None)
    shown = text(serving.render(away))
    assert "Away" in shown
    assert "Nobody home." in shown
    assert "Restarts" in shown
    assert "Not known now." in shown


def test_before_the_first_prediction_there_are_dashes_not_zeros():
    idle = report(engine=dataclasses.replace(report().engine, counters={}, models=()), models=(), from_cache=None)
    shown = text(serving.render(idle))
    assert "0.00 / 0.00" not in shown
    assert "first prediction" in shown
    assert "forward pass" not in shown


def test_without_a_supervisor_restarts_are_not_made_up():
    assert "No supervisor" in text(serving.render(report(processes=())))


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (EngineCard(None, None, reason="Only PyTorch models."), "Only PyTorch models."),
        (EngineCard(None, None), "Not compared yet"),
        (EngineCard(None, None, comparison=comparison(), stale="torch 1.0"), "torch 1.0. Compare again"),
        (EngineCard(None, None, comparison=comparison(note="Kept here only: refused.")), "Kept here only: refused."),
    ],
)
def test_the_comparison_card_says_what_there_is(card, words):
    assert words in text(serving.render_engines(card))


def test_the_fastest_engine_with_the_same_answers_is_named():
    shown = text(engine_race.render(comparison()))
    assert "one row at a time: ONNX Runtime, CPU (0.50 ms, 4.0 times eager)" in shown
    assert "torch.compile was not measured" in shown
    assert "64 of 64 classes" in shown
    assert "2,000/s" in shown


def test_a_faster_engine_with_other_answers_does_not_win():
    engines = [dataclasses.replace(item, equal=item.name != "ONNX Runtime, CPU") for item in comparison().engines]
    found = comparison(engines=tuple(engines))
    assert engine_race.fastest(found, 1).name == "PyTorch eager"
    assert "times eager" not in text(engine_race.render(found))


def test_several_engines_stand_in_a_table_and_one_alone_does_not():
    away = EngineState(False, "It ended.", name="engine-1")
    there = EngineState(True, device="remote", name="http://triton:8000", address="http://triton:8000")
    busy = report().engine
    shown = text(serving.render(report(engines=(busy, away, there))))
    assert [
        word for word in ("Engines", "engine-1", "It ended.", "away", "http://triton:8000") if word not in shown
    ] == []
    assert '"Engines"' not in text(serving.render(report(engines=(busy,))))


def test_a_server_elsewhere_has_no_figures_of_ours():
    there = EngineState(True, device="remote", name="http://triton:8000", address="http://triton:8000")
    shown = text(serving.render(report(engine=there, engines=(there,))))
    assert "asked of http://triton:8000" in shown
    assert "Rows per pass" not in shown


def test_how_a_model_is_computed_stands_beside_its_form():
    model = dataclasses.replace(report().models[0].loaded, numerics="channels last, 1.4 times as fast")
    shown = text(serving.render(report(models=(ServedModel(model, "m", "r1"),))))
    assert "pytorch, channels last, 1.4 times as fast" in shown
