"""A click in Chromium on a million rows: ms from the click to the repaint, and how much the web workers grow.

`python -m tests.bench.bench_clicks --rows 10000000` for more rows. The table is a plain MLflow run of 20 columns and 10
classes; slices, classes and confusion cells are clicked, each one once, so that nothing comes from the result cache.
"""

import argparse
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Request, sync_playwright

from tests.bench.bench_metrics import make
from tests.browser.conftest import ARGUMENTS, runs
from tests.conftest import Product, answer, free_port, start_product, stop_product, wait_for

_SLICES = [f"c{i} = 'v{k}'" for i, k in ((0, 1), (1, 0), (2, 3), (3, 2), (4, 5), (5, 1), (6, 9))] + [
    "c0 = 'v0' AND c3 = 'v1'",
    "n0 > 1.5",
    "n1 BETWEEN -0.5 AND 0.5 AND c2 = 'v1'",
]
# in the page: when a click happened, and when each part was painted anew after it
_WATCH = """() => {
  window.seen = {};
  document.addEventListener('click', () => { window.clicked = performance.now(); window.seen = {}; }, true);
  for (const id of ['performance-body', 'performance-rows']) {
    new MutationObserver(() => requestAnimationFrame(() => {
      window.seen[id] = window.seen[id] || performance.now() - window.clicked;
    })).observe(document.getElementById(id), { childList: true, subtree: true });
  }
}"""


def main() -> None:
    """Publish, start, click, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--verbose", action="store_true", help="print every click and its answers")
    options, _ = parser.parse_known_args()
    folder = Path(tempfile.mkdtemp(prefix="vitrine-clicks-"))
    try:
        _measure(folder, options.rows, options.verbose)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(folder: Path, rows: int) -> None:
    """A store with one run that carries nothing but predictions.parquet."""
    from mlflow import MlflowClient

    make(folder / "predictions.parquet", rows)
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.create_experiment("clicks", artifact_location=str(folder / "artifacts"))
    run = client.create_run(experiment, run_name="a million rows").info.run_id
    client.log_artifact(run, str(folder / "predictions.parquet"))
    client.set_terminated(run)
    (folder / "predictions.parquet").unlink()


@contextmanager
def _product(folder: Path, rows: int) -> Iterator[tuple[Product, str]]:
    """The product on that store, once the run is read and its sidecar is there."""
    # a process of its own, because making the table needs memory and MLflow
    maker = multiprocessing.get_context("spawn").Process(target=_publish, args=(folder, rows))
    maker.start()
    maker.join()
    lines = [f"- name: slice {i}\n  filter: {text!r}" for i, text in enumerate(_SLICES)]
    (folder / "slices.yaml").write_text("\n".join(lines).replace("\\'", "''"))
    own = {"VITRINE_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}", "VITRINE_LOG_LEVEL": "warning"}
    own["VITRINE_SLICES_FILE"] = str(folder / "slices.yaml")
    data, port = folder / "data", free_port()
    product = Product(f"http://127.0.0.1:{port}", data, start_product(data, port, **own))
    try:
        wait_for(lambda: answer(f"{product.base_url}/") == 200, 120)
        wait_for(lambda: any(run["state"] == "ready" for run in runs(product)), 600)
        begin = time.monotonic()
        wait_for(lambda: any(path.is_dir() for path in (data / "codes").glob("[!.]*-*")), 600)
        print(f"   sidecar there {time.monotonic() - begin:.1f} s after the run was read")
        yield product, runs(product)[0]["run_id"]
    finally:
        stop_product(product.process, data)


def _measure(folder: Path, rows: int, verbose: bool) -> None:
    with _product(folder, rows) as (product, run), sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        page = playwright.chromium.launch(executable_path=path, args=ARGUMENTS).new_page()
        begin = time.monotonic()
        page.goto(f"{product.base_url}/performance?run={run}")
        page.locator("#performance-body .headline").wait_for(timeout=120_000)
        page.wait_for_load_state("networkidle")
        print(f"   {rows:,} rows; first sight of the page {time.monotonic() - begin:.1f} s")
        _click(page, page.locator("#performance-body .confusion td a").first, "performance-rows")
        before = _workers(product)
        spent = {kind: [_click(page, *target, verbose=verbose) for target in _targets(page, kind)] for kind in _KINDS}
        after = _workers(product)
        for kind, found in [*spent.items(), ("all", [ms for some in spent.values() for ms in some])]:
            ordered = sorted(found)
            worst = ordered[max(0, -(-95 * len(ordered) // 100) - 1)]
            print(f"   {kind:8} {len(found):3} clicks: p50 {statistics.median(found):6.0f} ms, p95 {worst:6.0f} ms")
        grown = ", ".join(f"{before[pid]:.0f} to {after.get(pid, 0):.0f} MB" for pid in before)
        print(f"   memory of the web workers (proportional set size): {grown}")


_KINDS = ("slice", "class", "cell")


def _targets(page: Page, kind: str) -> Iterator[tuple[Any, str]]:
    """What to click, and the part of the page that is to be painted anew."""
    if kind == "slice":
        chips = page.locator("#performance-body .chip[href*='slice=']")
        for place in range(chips.count()):
            yield chips.nth(place), "performance-body"
        _click(page, page.get_by_role("link", name="All rows").first, "performance-body")
    elif kind == "class":
        for name in range(10):
            yield page.locator(f"#performance-body table a[href*='label={name}']").first, "performance-rows"
    else:
        for place in range(2, 100, 5):
            yield page.locator(".confusion td a").nth(place), "performance-rows"


def _click(page: Page, target: Any, part: str, verbose: bool = False) -> float:
    """Milliseconds from the click to the frame in which the part was new; then everything else may come in."""
    answers: list[Request] = []
    pending: set[Request] = set()

    def asked(request: Request) -> None:
        pending.add(request)

    def answered(request: Request) -> None:
        pending.discard(request)
        answers.append(request)

    page.on("request", asked)
    page.on("requestfinished", answered)
    if page.evaluate("() => window.seen === undefined"):
        page.evaluate(_WATCH)
    target.click()
    found = _seen(page, part)
    quiet = time.monotonic()
    while time.monotonic() - quiet < 0.3:
        page.wait_for_timeout(30)
        quiet = time.monotonic() if pending else quiet
    page.remove_listener("request", asked)
    page.remove_listener("requestfinished", answered)
    if verbose:
        print(f"      {found:6.0f} ms {page.url.partition('?')[2][37:]}")
        for request in (a for a in answers if "_dash-update" in a.url):
            output = (request.post_data or "")[11:50]
            size = request.sizes()["responseBodySize"] / 1000
            print(f"             {request.timing['responseEnd']:6.0f} ms {size:5.0f} kB {output}")
    return found


def _seen(page: Page, part: str) -> float:
    deadline = time.monotonic() + 30
    while not (found := page.evaluate(f"() => window.seen['{part}'] || 0")):
        if time.monotonic() > deadline:
            raise TimeoutError(f"a click at {page.url} did not change {part}")
        page.wait_for_timeout(20)
    return float(found)


def _workers(product: Product) -> dict[int, float]:
    """Proportional set size in MB of every gunicorn process of the product."""
    found = {}
    needle = f"VITRINE_DATA_DIR={product.data_dir}\0".encode()
    for pid in (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()):
        try:
            ours = pid != os.getpid() and needle in Path(f"/proc/{pid}/environ").read_bytes()
            if ours and "gunicorn" in Path(f"/proc/{pid}/cmdline").read_text():
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                found[pid] = next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
        except OSError:
            continue
    return found


if __name__ == "__main__":
    main()
