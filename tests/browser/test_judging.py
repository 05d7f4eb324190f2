"""An answer taken elsewhere and an answer judged, in a real browser on the demo runs with the real engine."""

import json
import re
import subprocess
import sys
import urllib.request
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import get, newest

pytestmark = pytest.mark.browser
TEXT = 'Draw a line plot with markers on the given axes, it\'s <b>matplotlib</b> & return the "artists".'
SLOW = 60_000


def test_a_text_by_run_id_and_its_code_say_the_same_elsewhere(open_page, demo):
    run = newest(demo, "docstring-library")["run_id"]
    page = open_page(f"/inference?run={run}&text={quote(TEXT)}")
    answer = page.locator("#inference-answer .answer.when-known")
    expect(answer).to_have_text("matplotlib", timeout=SLOW)
    box = page.locator("#usage-body")
    expect(box.locator("pre")).to_have_count(3, timeout=SLOW)
    box.locator("details").nth(1).locator("summary").click()
    curl, python, _ = box.locator("pre").all_text_contents()
    told = subprocess.run(["bash", "-ec", curl], capture_output=True, text=True, check=True, timeout=60).stdout
    assert json.loads(told)["predictions"][0]["label"] == "matplotlib"
    said = subprocess.run([sys.executable, "-c", python], capture_output=True, text=True, check=True, timeout=60).stdout
    assert "'label': 'matplotlib'" in said
    report = demo.base_url + box.get_by_role("link", name="Report").get_attribute("href")
    with urllib.request.urlopen(report, timeout=60) as response:
        html = response.read().decode()
    assert "<b>matplotlib</b>" not in html and "&lt;b&gt;matplotlib&lt;/b&gt;" in html
    assert re.findall(r"(?:src|href)=\"(?!data:)", html) == []
    page.locator("#inference-text").fill("  ")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#inference-answer .notice")).to_contain_text("The text is empty")


def test_a_flag_with_a_correction_comes_back_as_an_example(open_page, demo):
    run = newest(demo, "digit-reader")["run_id"]
    for flag in get(demo, f"/api/v1/runs/{run}/flags")["flags"]:
        address = f"{demo.base_url}/api/v1/runs/{run}/flags/{flag['id']}"
        urllib.request.urlopen(urllib.request.Request(address, method="DELETE"), timeout=60).close()
    page = open_page(f"/inference?run={run}&row=7")
    expect(page.locator("#inference-answer .answer.when-known")).to_be_visible(timeout=SLOW)
    page.locator("#inference-answer summary", has_text="Judge this answer").click()
    page.get_by_role("radio", name="Wrong").check()
    page.locator(".judgement .dash-dropdown").click()
    page.get_by_role("option", name="9", exact=True).click()
    page.get_by_role("button", name="Save flag").click()
    expect(page.locator("#flagging-said")).to_contain_text("Kept as wrong, corrected to 9")
    listed = page.locator("#flagging-list tbody tr")
    expect(listed).to_have_count(1)
    expect(listed).to_contain_text("✗ wrong")
    example = page.locator("a.example[href*='flag=']")
    expect(example).to_contain_text("9, said")
    example.click()
    expect(page).to_have_url(re.compile("flag="))
    expect(page.locator("#inference-answer")).to_contain_text("recorded is 9", timeout=SLOW)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#flagging-list")).to_contain_text("No flags here")
    expect(example).to_have_count(0)
