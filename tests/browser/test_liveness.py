"""Open pages follow the store by themselves; seeing a view again computes nothing."""

import subprocess
import sys
import time

import pytest
from playwright.sync_api import expect

from dashboard.cache import ResultCache
from tests.browser.conftest import PUBLISHED, get, newest

pytestmark = pytest.mark.browser
_LOG_A_RUN = """
import sys, warnings
warnings.simplefilter("ignore")
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
experiment = client.create_experiment("elsewhere", artifact_location=sys.argv[2])
input()
run = client.create_run(experiment, run_name="logged by another process")
client.log_metric(run.info.run_id, "accuracy", 0.75)
client.set_terminated(run.info.run_id)
print("logged", flush=True)
"""


def test_a_run_of_another_process_appears_without_reload_and_scroll_stays(open_page, demo):
    run = newest(demo, "docstring-library")["run_id"]
    overview, data = open_page("/"), open_page(f"/data?run={run}&offset=25")
    expect(data.locator("#data-rows")).to_contain_text("26 to 50")
    expect(overview.locator(".model-card")).to_have_count(len(PUBLISHED))
    data.evaluate("window.scrollTo(0, 600); window.stayed = true")
    store = f"sqlite:///{demo.data_dir / 'mlflow.db'}"
    command = [sys.executable, "-c", _LOG_A_RUN, store, (demo.data_dir / "elsewhere").as_uri()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "logged\n"
        begin = time.monotonic()
        expect(overview.get_by_role("link", name="elsewhere")).to_be_visible(timeout=10_000)
        expect(data.locator("#shell-store")).to_contain_text(f"{sum(PUBLISHED.values()) + 1} runs", timeout=10_000)
        seconds = time.monotonic() - begin
    assert seconds < 8, f"{seconds:.1f} s on a busy machine; about 4 s on a quiet one"
    assert data.evaluate("[window.scrollY, window.stayed]") == [600, True]
    expect(data.locator("#data-rows")).to_contain_text("26 to 50")


def computed(product):
    """How often each computation has run, over all processes."""
    counters = ResultCache(product.data_dir / "cache", 64).counters()
    return {name: n for name, n in counters.items() if name.startswith("computed/")}


def look(page):
    """Wait until nothing is loading any more."""
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.wait_for_timeout(1500)


def test_the_same_view_twice_computes_once_and_a_class_only_its_rows(open_page, demo):
    run = newest(demo, "digit-reader")["run_id"]
    look(open_page(f"/performance?run={run}"))
    before = computed(demo)
    page = open_page(f"/performance?run={run}")
    look(page)
    assert computed(demo) == before
    page.locator(".confusion td.wrong:not(.zero) a").first.click()
    expect(page.locator("#performance-rows")).to_contain_text("of")
    look(page)
    assert {name for name, n in computed(demo).items() if n != before.get(name)} <= {"computed/rows"}


def test_the_same_question_twice_is_one_forward_pass(open_page, demo):
    run = newest(demo, "tumour-diagnosis")["run_id"]
    expect(open_page(f"/inference?run={run}&row=7").locator(".answer:visible")).to_be_visible(timeout=30_000)
    before = get(demo, "/api/v1/serving")["counters"]
    again = open_page(f"/inference?run={run}&row=7")
    expect(again.locator("#inference-answer")).to_contain_text("from cache")
    assert get(demo, "/api/v1/serving")["counters"]["predictions"] == before["predictions"]
