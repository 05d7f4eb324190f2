"""The editor of column roles: what it shows, a correction, and its undoing."""

from playwright.sync_api import expect

from tests.browser.conftest import runs


def test_a_role_is_corrected_and_undone(open_page, demo):
    run = [row for row in runs(demo) if row["model"] == "tumour-diagnosis"][-1]["run_id"]
    page = open_page(f"/data?run={run}")
    page.get_by_text("Columns are read wrongly?").click()
    prediction = page.locator("#data-roles-prediction")
    expect(prediction).not_to_have_value("")
    before = prediction.input_value()
    prediction.select_option(label="(none)")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#data-roles-told")).to_contain_text("Corrected")
    expect(prediction).to_have_value("")
    page.get_by_role("button", name="Undo correction").click()
    expect(page.get_by_role("button", name="Undo correction")).to_be_disabled()
    expect(prediction).to_have_value(before)
