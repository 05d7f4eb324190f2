"""Many visitors at once, and a small machine. `python -m tests.bench.bench_load [minutes]`.

Three loads: 50 browser-like clients over all pages of the demo runs with predictions; 1,000 page loads in sequence; and
the plant-app test, in which 20 users upload a photograph, predict with a model of 100 MB, have Grad-CAM explain it and
read the table, all processes on one core. Clients speak HTTP as a page does (index, layout, dependencies, callbacks,
background jobs, API); nobody draws.
"""

import http.client
import io
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from dashboard.telemetry import proportional_bytes
from layouts.explanation import FIELDS
from tests.browser.conftest import newest, runs
from tests.conftest import Product, answer, free_port, start_product, stop_product, wait_for

_CLIENTS, _USERS, _LOADS = 50, 20, 1000
_EACH = 3  # photographs of one user
_BOUND = "vitrine-bench"
_PAGES = ("/", "/data", "/performance", "/errors", "/compare", "/drift", "/inference", "/serving")


@dataclass
class Seen:
    """What all clients saw together; times in ms by kind of request."""

    times: dict[str, list[float]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, milliseconds: float, error: str = "") -> None:
        """Add one request."""
        with self.lock:
            self.times.setdefault(kind, []).append(milliseconds)
            if error:
                self.errors[f"{kind}: {error}"] += 1

    def table(self) -> None:
        """Print one row per kind, then the errors."""
        print("                     requests     p50 ms     p95 ms     max ms")
        for kind, found in sorted(self.times.items()):
            p95 = statistics.quantiles(found, n=20)[-1] if len(found) > 1 else found[0]
            print(f"   {kind:16} {len(found):10} {statistics.median(found):10.0f} {p95:10.0f} {max(found):10.0f}")
        print(f"   errors: {sum(self.errors.values())}", *[f"{n} x {what}" for what, n in self.errors.most_common(5)])


class Client:
    """One visitor with a connection that it keeps, as a browser does."""

    def __init__(self, port: int, seen: Seen) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._seen = seen
        self._known: list[dict[str, Any]] = []
        self._end = ""

    def ask(self, kind: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
        """One request, noted; a refused or broken one is an error and answers nothing."""
        begin, error, data = time.perf_counter(), "", b""
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            self._connection.request("POST" if body is not None else "GET", path, body, names)
            found = self._connection.getresponse()
            data = found.read()
            error = "" if found.status < 400 else f"status {found.status}"
        except (OSError, http.client.HTTPException) as exc:
            error = type(exc).__name__
            self._connection.close()
        self._seen.note(kind, 1000 * (time.perf_counter() - begin), error)
        return b"" if error else data

    def callback(self, name: str, callback: dict[str, Any], values: dict[str, Any], query: str = "") -> bytes:
        """Fire one of the application's callbacks with these values for its inputs and states."""

        def given(place: dict[str, Any]) -> dict[str, Any]:
            return {**place, "value": values.get(f"{place['id']}.{place['property']}")}

        output = callback["output"]
        ids = [part.rpartition(".") for part in output.strip(".").split("...")]
        outputs = [{"id": component, "property": prop} for component, _, prop in ids]
        body = {
            "output": output,
            "outputs": outputs if output.startswith("..") else outputs[0],
            "inputs": [given(place) for place in callback["inputs"]],
            "state": [given(place) for place in callback["state"]],
            "changedPropIds": [f"{place['id']}.{place['property']}" for place in callback["inputs"]],
        }
        path = f"/_dash-update-component{query}"
        return self.ask(name, path, json.dumps(body).encode(), Content_Type="application/json")

    def job(self, name: str, output: str, values: dict[str, Any]) -> None:
        """Run a background job of the page that was visited last to its end; its whole time is noted under the name."""
        callback = next(item for item in self._known if item["output"] == output)
        begin, query = time.perf_counter(), {"endId": self._end}
        answer = json.loads(self.callback("job", callback, values, "?" + urllib.parse.urlencode(query)) or b"{}")
        query |= {name: answer[name] for name in ("cacheKey", "job") if name in answer}
        while "job" in query and "response" not in answer:
            time.sleep(0.3)
            told = self.callback("job", callback, values, "?" + urllib.parse.urlencode(query))
            answer = json.loads(told) if told else {"response": None}
        failed = "" if answer.get("response") else "no result"
        self._seen.note(name, 1000 * (time.perf_counter() - begin), failed)

    def visit(self, page: str, run: str) -> None:
        """Load a page and fire the callbacks that its own query store feeds."""
        address = f"{page}?{urllib.parse.urlencode({'run': run})}" if page != "/" else page
        index = self.ask("page", address).decode()
        self._end = (re.search(r'"end_id":\s*"([^"]+)"', index) or ["", ""])[1]
        self.ask("layout", "/_dash-layout")
        self._known = json.loads(self.ask("dependencies", "/_dash-dependencies") or b"[]")
        store = f"{page.strip('/') or 'overview'}-"
        for callback in self._known:
            fed = [place["id"] for place in callback["inputs"] if isinstance(place["id"], str)]
            ours = fed and all(name.startswith((store, "shell-")) for name in fed) and store in callback["output"]
            plain = not any(marker in callback["output"] for marker in ("{", "@"))
            if ours and plain and not callback.get("clientside_function") and not callback.get("background"):
                values = {f"{name}.data": {"run": run} for name in fed if name.startswith(store)}
                self.callback("callback", callback, values)


def main() -> None:
    """Print the three tables; minutes of the first and the last as the first argument, 3 without it."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[0].endswith("bench_load.py") else 3.0
    folder = Path(tempfile.mkdtemp(prefix="vitrine-bench-"))
    try:
        with running(folder) as (product, port):
            _crowd(product, port, 60 * minutes)
            _page_loads(product, port)
        cores = os.sched_getaffinity(0)
        with log_plant_model(folder) as run:
            os.sched_setaffinity(0, {min(cores)})  # which every process of the product inherits
            with running(folder) as (product, port):
                os.sched_setaffinity(0, {max(cores)})
                _plants(product, port, 60 * minutes, run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(folder: Path) -> Iterator[tuple[Product, int]]:
    """The product on a data folder with every demo run published and read, and its port."""
    port = free_port()
    product = Product(f"http://127.0.0.1:{port}", folder, start_product(folder, port))
    try:
        wait_for(lambda: answer(f"{product.base_url}/ready") == 200, 300)
        wait_for(lambda: published(product), 600)
        yield product, port
    finally:
        stop_product(product.process, folder)


@contextmanager
def log_plant_model(folder: Path) -> Iterator[str]:
    """The id of a run with a model of 100 MB in the product's own store."""
    places = f"sqlite:///{folder / 'mlflow.db'}", str(folder / "mlartifacts" / "plant")
    command = [sys.executable, "-m", "tests.bench.plant_model", *places]
    yield subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]


def published(product: Product) -> bool:
    """Whether the demo publisher has ended and every run is read."""
    state = json.loads((product.data_dir / "run" / "supervisor.json").read_text())["parts"]
    done = "demo" not in state or state["demo"]["last_exit"] == 0
    return done and runs(product) != [] and all(run["state"] in ("ready", "none") for run in runs(product))


def _together(count: int, seconds: float, work: Callable[[int], None]) -> None:
    """Repeat `work(number)` in so many threads for so long."""
    until = time.monotonic() + seconds

    def repeat(number: int) -> None:
        while time.monotonic() < until:
            work(number)

    threads = [threading.Thread(target=repeat, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _crowd(product: Product, port: int, seconds: float) -> None:
    seen, found = Seen(), runs(product)
    clients = [Client(port, seen) for _ in range(_CLIENTS)]
    rows = [run["run_id"] for run in found if run["model"] == "tumour-diagnosis"]

    def look(number: int) -> None:
        chance = random.Random(f"{number} {time.monotonic()}")
        clients[number].visit(chance.choice(_PAGES), chance.choice(found)["run_id"])
        values = {"inputs": [dict.fromkeys(_columns(product, rows[0]), chance.uniform(5, 20))]}
        clients[number].ask(
            "prediction",
            f"/api/v1/runs/{rows[0]}/predict",
            json.dumps(values).encode(),
            Content_Type="application/json",
        )
        time.sleep(chance.uniform(0.5, 2))  # a visitor looks at what they got

    print(f"   {_CLIENTS} clients over all pages for {seconds:.0f} s")
    _together(_CLIENTS, seconds, look)
    seen.table()


def _columns(product: Product, run: str) -> list[str]:
    if not hasattr(_columns, "known"):
        with_signature = json.loads(_get(product, f"/api/v1/runs/{run}"))["model_info"]["signature"]["inputs"]
        _columns.known = [column["name"] for column in with_signature]  # type: ignore[attr-defined]
    return list(_columns.known)  # type: ignore[attr-defined]


def _get(product: Product, path: str) -> bytes:
    client = Client(int(product.base_url.rpartition(":")[2]), Seen())
    return client.ask("get", path)


def _page_loads(product: Product, port: int) -> None:
    run, seen = newest(product, "docstring-library")["run_id"], Seen()
    client = Client(port, seen)
    for _ in range(50):
        client.visit("/performance", run)
    before = memory(product)
    for _ in range(_LOADS):
        client.visit("/performance", run)
    after = memory(product)
    growth = 100 * (sum(after.values()) / sum(before.values()) - 1)
    print(f"   {_LOADS} page loads in sequence: {_mb(before)} -> {_mb(after)} MB, growth {growth:.1f}%")
    seen.table()


def photograph(number: int) -> bytes:
    """A JPEG of 12 megapixels that differs from all others."""
    buffer = io.BytesIO()
    noise = Image.effect_noise((400, 300), 60 + number % 40).resize((4000, 3000))
    Image.merge("RGB", (noise, noise.rotate(180), noise)).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _plants(product: Product, port: int, seconds: float, run: str) -> None:
    """Twenty users with photographs on one core; total memory every ten seconds."""
    seen = Seen()
    photographs = [photograph(number) for number in range(_USERS * _EACH)]
    clients = [Client(port, seen) for _ in range(_USERS)]
    rounds: Counter[int] = Counter()
    totals: list[float] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(10):
            totals.append(sum(memory(product).values()) / 2**20)

    def use(number: int) -> None:
        client, picture = clients[number], photographs[number * _EACH + rounds[number] % _EACH]
        rounds[number] += 1
        part = f'--{_BOUND}\r\nContent-Disposition: form-data; name="file"; filename="p.jpg"\r\n\r\n'.encode()
        form = part + picture + f"\r\n--{_BOUND}--\r\n".encode()
        kind = {"Content_Type": f"multipart/form-data; boundary={_BOUND}"}
        stored = client.ask("upload", "/uploads", form, X_Vitrine_Upload="1", **kind)
        client.ask("prediction", f"/api/v1/runs/{run}/predict", form, **kind)
        client.visit("/inference", run)
        if stored:
            view = {"fields": list(FIELDS), "run": run, "upload": json.loads(stored)["key"], "why": "auto"}
            client.job("Grad-CAM", "why-finished.data", {"why-job.data": view})
        client.ask("table", f"/api/v1/runs/{run}/data?limit=100&offset={random.randrange(500)}")

    print(f"   {_USERS} users with photographs of 12 megapixels, all processes on one core, for {seconds:.0f} s")
    watcher = threading.Thread(target=watch)
    watcher.start()
    _together(_USERS, seconds, use)
    stop.set()
    watcher.join()
    seen.table()
    print(f"   memory: {_mb(memory(product))} MB of", *[f"{k} {v / 2**20:.0f}" for k, v in memory(product).items()])
    last = totals[-12:]  # two minutes
    print(f"   last {10 * len(last)} s: from {min(last, default=0):.0f} to {max(last, default=0):.0f} MB,", end=" ")
    print(f"first half {_mean(last[: len(last) // 2]):.0f}, second half {_mean(last[len(last) // 2 :]):.0f}")


def _mean(values: list[float]) -> float:
    return statistics.mean(values) if values else 0.0


def memory(product: Product) -> dict[str, int]:
    """Proportional set size in bytes by part, children included."""
    found: Counter[str] = Counter()
    for pid, part in _pids(product).items():
        found[part] += proportional_bytes(pid)
    return dict(found)


def _pids(product: Product) -> dict[int, str]:
    """Every process of the product with the part that it belongs to, by the mark in its environment."""
    needle, found = f"VITRINE_DATA_DIR={product.data_dir}\0".encode(), {}
    for pid in (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()):
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if needle in environment and pid != os.getpid():
            mark = environment.partition(b"VITRINE_INSTANCE=")[2].partition(b"\0")[0].decode()
            found[pid] = mark.split("/")[1] if mark.count("/") > 1 else "supervisor"
    return found


def _mb(parts: dict[str, int]) -> str:
    return f"{sum(parts.values()) / 2**20:.0f}"


if __name__ == "__main__":
    main()
