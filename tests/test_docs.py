"""README and docs name every setting and every page."""

import re
from pathlib import Path

import pytest

import app
from dashboard.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_every_setting_is_in_the_readme_with_its_own_help_text(name):
    description = Settings.model_fields[name].description
    assert f"| `VITRINE_{name.upper()}`" in README
    assert description
    assert description in README


@pytest.mark.parametrize("page", app.PAGES, ids=lambda page: page.name)
def test_every_page_is_in_the_readme_with_its_question(page):
    assert f"| {page.name} | {page.question} |" in README


def test_the_readme_names_no_setting_that_does_not_exist():
    named = set(re.findall(r"\bVITRINE_[A-Z_]+", README))
    assert named <= {f"VITRINE_{name.upper()}" for name in Settings.model_fields}


def test_every_document_that_the_readme_links_to_exists():
    targets = [part.split(")")[0] for part in README.split("](")[1:]]
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []
