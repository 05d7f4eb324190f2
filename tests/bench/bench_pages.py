"""What a visitor waits for: start to first byte, first figure in Chromium, page weight, an index of 1,000 runs."""

import dataclasses
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from mlflow_runs.index_writer import IndexWriter
from mlflow_runs.records import RunRow
from tests.browser.conftest import ARGUMENTS, get, runs
from tests.conftest import Product, answer, free_port, start_product, stop_product, wait_for

_PAGES = {
    "Overview": ("/", ".model-card .headline"),
    "Data": ("/data?run={run}", "#data-rows table.data tbody tr"),
    "Performance": ("/performance?run={run}", "#performance-body .headline"),
    "Inference": ("/inference?run={run}&row=0", ".answer"),
}
_ROUNDS = 5


def main() -> None:
    """Print the tables."""
    _index_table()
    folder = Path(tempfile.mkdtemp(prefix="vitrine-bench-"))
    try:
        _start_table(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _median_ms(function: Callable[[], object], rounds: int = 20) -> float:
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begin)
    return 1000 * statistics.median(seconds)


def _run(number: int) -> RunRow:
    plain = {field.name: "" for field in dataclasses.fields(RunRow)}
    plain |= {
        "run_id": f"{number:032x}",
        "run_name": f"run {number}",
        "model": f"model {number % 20}",
        "version": str(number),
    }
    plain |= {
        "start_time": float(number),
        "end_time": None,
        "ordinal": 1,
        "aliases": (),
        "problems": (),
        "datasets": (),
    }
    plain |= {
        "metrics": {"macro_f1": 0.5},
        "params": {"a": "1"},
        "tags": {"team": "x"},
        "git_commit": None,
        "user": None,
    }
    plain |= {
        "model_info": None,
        "synced_at": 0.0,
        "registered": True,
        "experiment": "e",
        "task": None,
        "state": "none",
    }
    return RunRow(**plain)  # type: ignore[arg-type]


def _index_table() -> None:
    with tempfile.TemporaryDirectory() as folder:
        index = IndexWriter(Path(folder) / "index.db")
        index.upsert(_run(number) for number in range(1000))
        print("   index of 1,000 runs              median ms")
        print(f"   list 50                       {_median_ms(lambda: index.runs(limit=50)):12.1f}")
        print(f"   list 1,000                    {_median_ms(lambda: index.runs(limit=1000)):12.1f}")
        print(f"   search and list 50            {_median_ms(lambda: index.runs(search='run 77', limit=50)):12.1f}")
        print(f"   history of one model          {_median_ms(lambda: index.history('model 3')):12.1f}")


def _start_table(folder: Path) -> None:
    first = _first_byte(folder, "first start (demo published beside it)")
    wait_for(lambda: len(runs(first)) >= 16 and all(run["state"] == "ready" for run in runs(first)), 180)
    stop_product(first.process, folder)
    again = _first_byte(folder, "second start")
    try:
        wait_for(lambda: answer(f"{again.base_url}/ready") == 200, 120)
        with sync_playwright() as playwright:
            path = shutil.which("chromium") or shutil.which("google-chrome")
            browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
            _page_table(again, browser)
    finally:
        stop_product(again.process, folder)


def _first_byte(folder: Path, name: str) -> Product:
    begin = time.perf_counter()
    port = free_port()
    product = Product(f"http://127.0.0.1:{port}", folder, start_product(folder, port))
    wait_for(lambda: answer(f"{product.base_url}/") == 200, 120)
    print(f"   {name}: first byte after {time.perf_counter() - begin:.1f} s")
    return product


def _page_table(product: Product, browser: Browser) -> None:
    run = next(run["run_id"] for run in get(product, "/api/v1/runs")["runs"] if run["model"] == "docstring-library")
    print(f"   median of {_ROUNDS} visits: first figure in ms, kB over the wire; new visitor / browser cache filled")
    print("                    new ms    back ms     new kB    back kB   requests")
    for name, (path, figure) in _PAGES.items():
        rounds = [_visit(browser, product.base_url + path.format(run=run), figure) for _ in range(_ROUNDS)]
        new, back, weight, weight_back, requests = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"   {name:12} {new:10.0f} {back:10.0f} {weight:10.0f} {weight_back:10.0f} {requests:10.0f}")


def _visit(browser: Browser, url: str, figure: str) -> tuple[float, float, float, float, int]:
    """A visitor without, then with browser cache: ms to the figure, kB received, requests of the first visit."""
    context = browser.new_context()
    page = context.new_page()
    received: list[float] = []
    client = context.new_cdp_session(page)
    client.send("Network.enable")
    client.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"] / 1000))
    figures = []
    for _ in range(2):
        received.clear()
        begin = time.perf_counter()
        page.goto(url)
        page.locator(figure).first.wait_for()
        figures.append((1000 * (time.perf_counter() - begin), sum(received), len(received)))
        page.wait_for_timeout(300)
    context.close()
    (new, weight, requests), (back, weight_back, _) = figures
    return new, back, weight, weight_back, requests
