"""A batch whose page is loaded anew: its progress is seen again at once, and cancelling ends it."""

import time

from playwright.sync_api import expect

from tests.browser.conftest import newest


def test_progress_is_there_again_after_a_reload_and_cancel_ends_the_work(open_page, demo, tmp_path):
    run = newest(demo, "docstring-library")["run_id"]
    file = tmp_path / "texts.csv"
    file.write_text("text\n" + "\n".join(f"array of shape {n} in mode {time.time()}" for n in range(60_000)))
    page = open_page(f"/inference?run={run}")
    page.locator("#batch-upload input[type=file]").set_input_files(file)
    page.locator("#batch-run").click(timeout=30_000)
    running = page.locator(".batch-ask.running")
    expect(running).to_be_visible()
    done = page.locator("#batch-done")
    expect(done).to_contain_text("of 60,000", timeout=60_000)
    page.reload()
    expect(running).to_be_visible(timeout=60_000)
    expect(done).to_contain_text("of 60,000", timeout=60_000)
    before = int(done.inner_text().split(" ")[0].replace(",", ""))
    assert before > 0
    page.locator("#batch-cancel").click()
    expect(running).to_have_count(0)
    work = demo.data_dir / "run" / "work"
    page.wait_for_timeout(500)
    assert [path.name for path in work.iterdir()] == []
    page.reload()
    expect(page.locator("#batch-run")).to_be_enabled()
    page.wait_for_timeout(500)
    expect(running).to_have_count(0)
