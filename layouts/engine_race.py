"""How a comparison of engines is drawn: the verdict in a sentence, bars per batch size, the table behind them."""

from typing import Any

from dash import html

from dashboard.inference.speed_report import ABSOLUTE, BATCHES, RELATIVE, Comparison, EngineResult
from layouts import formats, parts

_EAGER = "PyTorch eager"


def render(found: Comparison, stale: str = "") -> html.Div:
    """The whole comparison with where, when and on what it was made."""
    return html.Div(
        [
            _verdict(found),
            _stale(stale),
            html.P(_note(found), className="card-note mt-2"),
            html.Div([_bars(found, batch) for batch in BATCHES], className="race"),
            html.Div(_table(found), className="mt-3"),
            *[
                parts.notice(item.name + " was not measured", item.skipped, "info")
                for item in found.engines
                if item.skipped
            ],
            parts.notice("Not kept in MLflow", found.note, "info") if found.note else None,
        ]
    )


def fastest(found: Comparison, batch: int) -> EngineResult | None:
    """The engine with the most rows per second among those that answer as eager does."""
    able = [item for item in found.engines if item.equal and item.at(batch) is not None]
    return max(able, key=lambda item: timing.per_second if (timing := item.at(batch)) else 0.0, default=None)


def _verdict(found: Comparison) -> html.Div:
    lines = []
    for batch in (BATCHES[0], BATCHES[-1]):
        best = fastest(found, batch)
        eager = next((item.at(batch) for item in found.engines if item.name == _EAGER), None)
        mine = best.at(batch) if best else None
        if best is None or mine is None or eager is None:
            continue
        rows = "one row" if batch == 1 else f"{batch} rows"
        factor = mine.per_second / eager.per_second
        than = "" if best.name == _EAGER else f", {factor:.1f} times eager"
        lines.append(f"{rows} at a time: {best.name} ({formats.number(mine.p50_ms, 2)} ms{than})")
    return html.Div([html.B("Fastest here for "), "; for ".join(lines) + "."], className="mb-1")


def _stale(made_with: str) -> Any:
    if not made_with:
        return None
    return parts.notice(
        "Measured with other versions or another machine", f"{made_with}. Compare again for this one.", "info"
    )


def _note(found: Comparison) -> str:
    made = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    onnx = f" The ONNX form has {size(found.onnx_bytes)}." if found.onnx_bytes else ""
    return (
        f"{found.hardware}, {found.device}, {formats.plural(found.threads, 'thread')}; {made}; measured "
        f"{formats.since(found.made)} in {found.seconds:.0f} s, inputs: {found.source}.{onnx}"
    )


def _bars(found: Comparison, batch: int) -> html.Div:
    timings = [(item, timing) for item in found.engines if (timing := item.at(batch)) is not None]
    most = max((timing.per_second for _, timing in timings), default=1.0)
    lines = [
        html.Div(
            [
                html.Span(item.name, className="cell-text", title=item.name),
                parts.share_bar(timing.per_second / most),
                html.Span(f"{formats.number(timing.per_second)}/s", className="num"),
            ],
            className="probability wide-end",
        )
        for item, timing in timings
    ]
    name = "One row per call" if batch == 1 else f"{batch} rows per call"
    return html.Div([html.H3(f"{name}: rows per second", className="field-label"), *lines])


def _table(found: Comparison) -> html.Div:
    heads = ["Engine", "Same answers", "Largest difference", "Ready in"]
    heads += [f"{batch} {'row' if batch == 1 else 'rows'}: p50 / p95" for batch in BATCHES] + ["Calls"]
    rows = [_row(item) for item in found.engines if not item.skipped]
    note = f"Same answers: every output within {ABSOLUTE:g} + {RELATIVE:g} of its size of eager's, and the same class."
    table = parts.table(heads, rows, tuple(range(2, len(heads))), "Engines: agreement and time of one call")
    return html.Div([table, html.P(note, className="card-note mt-1")])


def _row(item: EngineResult) -> list[Any]:
    spread = [
        f"{formats.number(timing.p50_ms)} / {formats.number(timing.p95_ms)} ms" if (timing := item.at(batch)) else "–"
        for batch in BATCHES
    ]
    calls = " / ".join(formats.count(timing.calls) for timing in item.timings)
    difference = "0" if item.difference == 0 else f"{item.difference:.1e}"
    ready = "loaded" if item.name == _EAGER else f"{item.ready_s:.1f} s"
    return [item.name, _agreement(item), difference, ready, *spread, calls]


def _agreement(item: EngineResult) -> html.Span:
    if item.name == _EAGER:
        return parts.pill("reference")
    what = f"{item.agreed} of {item.n} classes" if item.agreed is not None else f"n = {item.n}"
    return html.Span([parts.pill("yes" if item.equal else "no", "better" if item.equal else "worse"), f" {what}"])


def size(nbytes: int) -> str:
    """Bytes as kB or MB."""
    if nbytes >= 10 * 2**20:
        return f"{nbytes / 2**20:,.0f} MB"
    return f"{nbytes / 2**20:.1f} MB" if nbytes >= 2**20 // 2 else f"{nbytes / 1024:.0f} kB"
