"""Ten minutes of mixed load on the whole product: is the memory of its processes flat? BENCH_MINUTES sets another time.

Visitors load pages and fire their callbacks, others predict rows and pictures that were never asked before, one sends
files through a model in the background. Proportional memory by part every five seconds; growth is the last minute's
median against that of the minute five minutes before.
"""

import io
import itertools
import json
import os
import random
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.bench.bench_load import Client, Seen, memory, published
from tests.browser.conftest import newest, runs
from tests.conftest import Product, answer, free_port, start_product, stop_product, wait_for

_PAGES = ("/", "/data", "/performance", "/inference", "/serving")
_PARTS = ("engine", "jobs", "web", "backoffice")
_EVERY, _MINUTE = 5.0, 60.0
_FORM = "vitrine-bench"


def main() -> None:
    """Print memory by minute and the growth of each part."""
    minutes = float(os.environ.get("BENCH_MINUTES", "10"))
    folder = Path(tempfile.mkdtemp(prefix="vitrine-bench-"))
    port = free_port()
    process = start_product(folder, port, DEMO_EFFORT="0.3", VITRINE_AUTH="none")
    product = Product(f"http://127.0.0.1:{port}", folder, process)
    try:
        wait_for(lambda: answer(f"{product.base_url}/ready") == 200, 300)
        wait_for(lambda: published(product), 600)
        _report(*_soak(product, port, _MINUTE * minutes), minutes)
    finally:
        stop_product(process, folder)
        shutil.rmtree(folder, ignore_errors=True)


def _soak(product: Product, port: int, seconds: float) -> tuple[list[tuple[float, dict[str, int]]], Seen]:
    seen, stop, samples = Seen(), threading.Event(), list[tuple[float, dict[str, int]]]()
    works = [_visitor(product), _visitor(product), _rows(product), _rows(product), _pictures(product), _files(product)]

    def repeat(work: Callable[[Client], float]) -> None:
        client = Client(port, seen)
        while not stop.is_set():
            stop.wait(work(client))

    crew = [threading.Thread(target=repeat, args=(work,)) for work in works]
    begin = time.monotonic()
    for thread in crew:
        thread.start()
    while (now := time.monotonic() - begin) < seconds:
        samples.append((now, memory(product)))
        time.sleep(_EVERY)
    stop.set()
    for thread in crew:
        thread.join()
    return samples, seen


def _report(samples: list[tuple[float, dict[str, int]]], seen: Seen, minutes: float) -> None:
    print(f"{'minute':>8}" + "".join(f"{part:>12}" for part in _PARTS) + "   MB proportional, medians")
    for minute in range(int(minutes)):
        print(f"{minute + 1:>8}" + "".join(f"{_median(samples, part, minute):>12.1f}" for part in _PARTS), flush=True)
    last = int(minutes) - 1
    if last >= 5:
        grown = {part: _median(samples, part, last) / _median(samples, part, last - 5) - 1 for part in _PARTS}
        print("growth over the last five minutes: " + ", ".join(f"{k} {v:+.1%}" for k, v in grown.items()))
    seen.table()


def _median(samples: list[tuple[float, dict[str, int]]], part: str, minute: int) -> float:
    found = [parts.get(part, 0) for at, parts in samples if minute <= at / _MINUTE < minute + 1]
    return statistics.median(found) / 2**20 if found else float("nan")


def _visitor(product: Product) -> Callable[[Client], float]:
    known = [run["run_id"] for run in runs(product)]

    def visit(client: Client) -> float:
        client.visit(random.choice(_PAGES), random.choice(known))
        return random.uniform(0.2, 0.8)

    return visit


def _rows(product: Product) -> Callable[[Client], float]:
    run = newest(product, "tumour-diagnosis")["run_id"]
    names = _columns(product, run)

    def predict(client: Client) -> float:
        values = [dict.fromkeys(names, random.uniform(5, 20)) for _ in range(random.choice((1, 1, 7, 64)))]
        body = json.dumps({"inputs": values}).encode()
        client.ask("rows", f"/api/v1/runs/{run}/predict", body, Content_Type="application/json")
        return 0.05

    return predict


def _columns(product: Product, run: str) -> list[str]:
    reply = Client(int(product.base_url.rpartition(":")[2]), Seen()).ask("get", f"/api/v1/runs/{run}")
    return [column["name"] for column in json.loads(reply)["model_info"]["signature"]["inputs"]]


def _pictures(product: Product) -> Callable[[Client], float]:
    run = newest(product, "digit-reader")["run_id"]

    def predict(client: Client) -> float:
        file = io.BytesIO()
        Image.fromarray(np.random.default_rng().integers(0, 256, (64, 64), np.uint8)).save(file, "PNG")
        _send(client, "picture", f"/api/v1/runs/{run}/predict", file.getvalue(), "p.png")
        return 0.05

    return predict


def _files(product: Product) -> Callable[[Client], float]:
    run = newest(product, "tumour-diagnosis")["run_id"]
    names, numbers = _columns(product, run), itertools.count()

    def batch(client: Client) -> float:
        rows = [",".join(f"{random.uniform(5, 20):.6f}" for _ in names) for _ in range(300)]
        text = "\n".join([",".join(names), *rows])
        told = _send(client, "file sent", f"/api/v1/runs/{run}/batch", text.encode(), f"f{next(numbers)}.csv")
        until = time.monotonic() + _MINUTE
        while told and json.loads(told).get("state") != "done" and time.monotonic() < until:
            time.sleep(0.3)
            told = client.ask("file asked", f"/api/v1/runs/{run}/batch/{json.loads(told)['id']}")
        return 2.0

    return batch


def _send(client: Client, kind: str, path: str, data: bytes, name: str) -> bytes:
    part = f'--{_FORM}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    body = part + data + f"\r\n--{_FORM}--\r\n".encode()
    return client.ask(kind, path, body, Content_Type=f"multipart/form-data; boundary={_FORM}")
