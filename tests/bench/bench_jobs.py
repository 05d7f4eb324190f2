"""Background jobs: from the click to the job's start and to its result, beside Dash's stock manager."""

import statistics
import tempfile
import time
from pathlib import Path

from tests.conftest import free_port
from tests.dashboard.jobs_driver import Page, Product

_ROUNDS = 40


def main() -> None:
    """Print one row per manager."""
    print(f"{'manager':<10}{'start p50':>12}{'result p50':>12}{'result p95':>12}{'job server':>14}")
    for name, stock in (("ours", False), ("stock", True)):
        with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as folder:
            _row(name, Product(Path(folder), free_port(), stock=stock))


def _row(name: str, product: Product) -> None:
    if not product.stock:
        product.start_server()
    product.start_web()
    page = Page(product)
    pairs = [_once(page) for _ in range(_ROUNDS)]
    starts, results = zip(*pairs, strict=True)
    memory = "" if product.stock else f"{_proportional_mb(product.server.pid):.0f} MB"
    p95 = statistics.quantiles(results, n=20)[-1]
    print(
        f"{name:<10}{statistics.median(starts):>9.1f} ms{statistics.median(results):>9.1f} ms{p95:>9.1f} ms{memory:>14}"
    )
    product.stop()


def _once(page: Page) -> tuple[float, float]:
    """Milliseconds until the click is answered, and until the result is there (polled without pause)."""
    begin = time.perf_counter()
    running = page.begin("add 1")
    started = time.perf_counter()
    while "response" not in running.poll()[1]:
        time.sleep(0.002)
    return 1000 * (started - begin), 1000 * (time.perf_counter() - begin)


def _proportional_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024
