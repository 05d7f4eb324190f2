"""The live panel in Chromium: click to answer beside Gradio and Streamlit, slider to picture, nine styles at once.

`PANEL_PEERS=/path/to/python` names an interpreter with gradio, streamlit, mlflow, torch and scikit-learn; without it
only Vitrine is measured. `--data FOLDER` keeps the published demo runs for the next time.
"""

import argparse
import io
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from PIL import Image
from playwright.sync_api import Browser, Error, Page, sync_playwright

from mlflow_runs.models import fetch, model_client, resolve
from tests.browser.conftest import ARGUMENTS, PUBLISHED, get, published, runs
from tests.conftest import CHECKOUT, Product, answer, free_port, start_product, stop_product, wait_for

_PEERS = Path(__file__).with_name("panel_peers.py")
_CLICKS, _STEPS, _COLD, _ROUNDS = 9, 25, 3, 3
# from the click or the drag to the frame in which `there` holds
_WATCH = """() => {
  window.measured = new Promise((done, failed) => {
    let began = 0;
    setTimeout(() => failed(new Error("not seen after 60 s")), 60000);
    const start = (event) => { began = began || performance.now(); };
    ["click", "pointermove"].forEach((kind) => document.addEventListener(kind, start, { capture: true, once: true }));
    const shown = (element) => element && element.getClientRects().length;
    const there = %s;
    const look = () => {
      if (began && there()) requestAnimationFrame(() => done(performance.now() - began));
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
}"""
_SAYS = "() => [...document.querySelectorAll(%r)].some((e) => shown(e) && e.textContent.trim().startsWith(%r))"
_DRAWN = "() => { const e = document.querySelector(%r); return e && e.src !== %r && e.complete && e.naturalWidth; }"
# when each style was finished (Unix seconds, as the server wrote it) and when its picture was seen
_TILES = """(wanted) => {
  const seen = {};
  window.tiles = new Promise((done) => {
    document.addEventListener("click", () => { seen.click = Date.now() / 1000; }, { capture: true, once: true });
    const look = () => {
      document.querySelectorAll(".several-tile.done").forEach((tile) => {
        const name = tile.querySelector(".several-name").title, image = tile.querySelector("img");
        const there = image.complete && image.naturalWidth;
        if (!seen[name] && there) seen[name] = [Number(tile.dataset.at), Date.now() / 1000];
      });
      if (Object.keys(seen).length > wanted) done(seen); else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
}"""


@dataclass(frozen=True)
class Panel:
    """One panel that answers texts: its page, where to write, what to click, where the answer stands."""

    address: str
    box: str
    button: str
    said: str


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a data folder to keep")
    options, _ = parser.parse_known_args()
    folder = options.data or Path(tempfile.mkdtemp(prefix="vitrine-panel-"))
    port = free_port()
    product = Product(f"http://127.0.0.1:{port}", folder, start_product(folder, port, DEMO_EFFORT="0.3"))
    try:
        wait_for(lambda: answer(f"{product.base_url}/ready") == 200, 120)
        wait_for(lambda: published(runs(product)) == PUBLISHED, 300)
        path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
            _styles(product, browser)
            _texts(product, browser)
            _drawings(product, browser)
    finally:
        stop_product(product.process, folder)
        if options.data is None:
            shutil.rmtree(folder, ignore_errors=True)


def _versions(product: Product, model: str) -> list[dict[str, Any]]:
    """The runs of a model, newest version first."""
    return [run for run in runs(product) if run["model"] == model]


def _model_folder(product: Product, run_id: str) -> str:
    client = model_client(f"sqlite:///{product.data_dir / 'mlflow.db'}")
    return str(fetch(client, resolve(client, run_id), product.data_dir / "models"))


@contextmanager
def _peer(name: str, kind: str, folder: str) -> Iterator[str]:
    """A running peer's address."""
    python, port = os.environ["PANEL_PEERS"], free_port()
    command = [python, str(_PEERS), kind, folder, str(port)]
    if name == "streamlit":
        flags = ["--server.headless=true", "--server.fileWatcherType=none", "--browser.gatherUsageStats=false"]
        command = [python, "-m", "streamlit", "run", str(_PEERS), f"--server.port={port}", *flags]
        command += ["--server.address=127.0.0.1", "--", kind, folder]
    surroundings = os.environ | {"GRADIO_ANALYTICS_ENABLED": "False"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=CHECKOUT, env=surroundings, start_new_session=True, **quiet)
    try:
        wait_for(lambda: process.poll() is not None or answer(f"http://127.0.0.1:{port}/") == 200, 120)
        assert process.poll() is None, " ".join(command)
        yield f"http://127.0.0.1:{port}/"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def _names() -> tuple[str, ...]:
    python = os.environ.get("PANEL_PEERS", "")
    if python and subprocess.run([python, "-c", "import gradio, streamlit"], capture_output=True).returncode == 0:
        return "gradio", "streamlit"
    print("   PANEL_PEERS names no interpreter with gradio and streamlit: only Vitrine is measured")
    return ()


def _row(name: str, values: Sequence[float]) -> None:
    ordered = sorted(values)
    worst = ordered[max(0, -(-95 * len(ordered) // 100) - 1)]
    print(f"   {name:34} n {len(values):3}  p50 {statistics.median(values):7.0f} ms  p95 {worst:7.0f} ms", flush=True)


def _timed(page: Page, there: str, act: Callable[[], object]) -> float:
    page.evaluate(_WATCH % there)
    act()
    return float(page.evaluate("() => window.measured"))


def _texts(product: Product, browser: Browser) -> None:
    """The same texts to the same text model: not loaded, loaded, and asked before."""
    versions = _versions(product, "docstring-library")[:_COLD]
    rows = get(product, f"/api/v1/runs/{versions[0]['run_id']}/data?limit=200")["rows"]
    # long ones, whose class does not change with a number behind them, but not too long for an address
    fit = [row for row in rows if row["prediction"] == row["library"] and len(quote(row["text"])) < 1500]
    texts = {row["prediction"]: row["text"] for row in sorted(fit, key=lambda row: len(row["text"]))}
    chosen = list(texts.items())[-2:]
    folders = [_model_folder(product, run["run_id"]) for run in versions]
    for name in ("vitrine", *_names()):
        cold = []
        for at in reversed(range(len(versions))):
            address = f"{product.base_url}/inference?run={versions[at]['run_id']}"
            with _asked(name, address, folders[at]) as panel:
                page = _opened(browser, panel)
                cold.append(_ask(page, panel, *chosen[0], cold=True))
                if at == 0:
                    new = [f"{text} {n}" for n in range(_CLICKS) for _, text in chosen]
                    labels = [label for _ in range(_CLICKS) for label, _ in chosen]
                    pairs = list(zip(labels, new, strict=True))[1:]
                    warm = [_ask(page, panel, *pair) for pair in pairs]
                    again = [_ask(page, panel, *pair) for pair in pairs[1:]]
                page.context.close()
        for what, values in (("cached", again), ("warm", warm), ("cold", cold)):
            _row(f"{name}: click to answer, {what}", values)


@contextmanager
def _asked(name: str, address: str, folder: str) -> Iterator[Panel]:
    if name == "vitrine":
        yield Panel(address, "#inference-text", "#inference-predict", "#inference-answer .answer.when-known")
    else:
        with _peer(name, "text", folder) as peer:
            if name == "gradio":
                yield Panel(peer, "textarea", "button.primary", "[data-testid=label-output-value]")
            else:
                yield Panel(peer, "textarea", "[data-testid=stFormSubmitButton] button", "h3")


def _opened(browser: Browser, panel: Panel) -> Page:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(panel.address)
    page.locator(panel.box).first.wait_for()
    page.wait_for_timeout(1500)
    return page


def _ask(page: Page, panel: Panel, label: str, text: str, cold: bool = False) -> float:
    """Milliseconds from the click to the label, which is another one than the last."""
    page.locator(panel.box).first.fill(text)
    page.wait_for_timeout(1000 if cold else 250)
    return _timed(page, _SAYS % (panel.said, label), page.locator(panel.button).first.click)


def _drawings(product: Product, browser: Browser) -> None:
    """The drag of a slider of the generator, a few pixels at a time, to the frame with the new picture."""
    run = _versions(product, "digit-generator")[0]["run_id"]
    for name in ("vitrine", *_names()):
        if name == "vitrine":
            address, picture = f"{product.base_url}/inference?run={run}", ".live-picture img"
            _row("vitrine: slider to picture", _slide(browser, address, ".latent input", picture))
            continue
        with _peer(name, "drawing", _model_folder(product, run)) as address:
            slider = "input[type=range]"
            picture = ".image-frame img" if name == "gradio" else "[data-testid=stImage] img"
            try:
                _row(f"{name}: slider to picture", _slide(browser, address, slider, picture))
            except Error as exc:
                print(f"   {name}: no picture while the slider is dragged ({exc.message.splitlines()[0]})", flush=True)


def _slide(browser: Browser, address: str, slider: str, picture: str) -> list[float]:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(address)
    handle = page.locator(slider).first
    handle.wait_for(timeout=60_000)
    page.wait_for_timeout(3000)
    found, place = [], handle.bounding_box() or {}
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for n in range(_STEPS + 2):
        shown = page.locator(picture)
        source = shown.first.get_attribute("src") if shown.count() else ""
        full = page.evaluate("(s) => new URL(s, location.href).href", source) if source else ""
        x += 8 if n % 20 < 10 else -8
        found.append(_timed(page, _DRAWN % (picture, full), lambda x=x: page.mouse.move(x, y)))
        page.wait_for_timeout(150)
    page.mouse.up()
    page.context.close()
    return found[2:]


def _styles(product: Product, browser: Browser) -> None:
    """One style alone and nine together, each time with a new photograph."""
    rows = _versions(product, "photo-styles")
    own, first = rows[-1]["run_id"], rows[-2]["run_id"]
    every = [own, first, *(row["run_id"] for row in rows[:-2])]
    for run in every:  # so that all are loaded
        get_picture(product, run, 99)
    alone, together, delays, ninth, ratios = [], [], [], [], []
    for n in range(_ROUNDS):
        seen = _tiles(product, browser, own, [first], 2 * n)
        alone.append(1000 * (seen[first][1] - seen["click"]))
        seen = _tiles(product, browser, own, every, 2 * n + 1)
        together.append(1000 * (seen[first][1] - seen["click"]))
        ratios.append(together[-1] / alone[-1])
        delays += [1000 * (seen[run][1] - max(seen[run][0], seen["click"])) for run in every]
        ninth.append(1000 * (max(seen[run][1] for run in every) - seen["click"]))
    _row("style: shown, asked alone", alone)
    _row("style: shown first, nine asked", together)
    _row("style: shown ninth", ninth)
    _row("style: finished to shown", delays)
    print(f"   first of nine / alone: {', '.join(f'{ratio:.2f}' for ratio in ratios)}", flush=True)


def get_picture(product: Product, run: str, n: int) -> None:
    """One answer of the run over the API."""
    url = f"{product.base_url}/api/v1/runs/{run}/predict"
    requests.post(url, files=[("images", _photo(n))], timeout=120).raise_for_status()


def _photo(n: int) -> bytes:
    """china.jpg with a corner that no photograph had before."""
    with files("sklearn.datasets.images").joinpath("china.jpg").open("rb") as file:
        image = Image.open(file).convert("RGB")
    image.paste(Image.frombytes("RGB", (40, 40), os.urandom(4800)), (n, n))
    target = io.BytesIO()
    image.save(target, "PNG", compress_level=1)
    return target.getvalue()


def _tiles(product: Product, browser: Browser, own: str, wanted: Sequence[str], n: int) -> dict[str, Any]:
    """When the button was clicked, and for each run when its answer was there and when it was seen (Unix seconds)."""
    sent = {"files": {"file": ("photo.png", _photo(n))}, "headers": {"X-Vitrine-Upload": "1"}}
    key = requests.post(f"{product.base_url}/uploads", timeout=60, **sent).json()["key"]
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(f"{product.base_url}/inference?run={own}&upload={key}&versions={','.join(wanted)}")
    page.locator(".before-after img").first.wait_for(timeout=60_000)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    page.evaluate(_TILES, len(wanted))
    page.locator("#several-run").click()
    found = dict(page.evaluate("() => window.tiles"))
    page.context.close()
    return found


if __name__ == "__main__":
    begin = time.monotonic()
    main()
    print(f"   ({time.monotonic() - begin:.0f} s)")
