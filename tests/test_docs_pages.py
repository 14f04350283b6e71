"""The documentation's pages in a browser: nothing is cut, and the search needs no network."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("selenium.webdriver")
pytest.importorskip("sphinx")
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.chromium import NEEDS_CHROMIUM, chromium

ROOT = Path(__file__).parent.parent
pytestmark = [*NEEDS_CHROMIUM, pytest.mark.slow]
PAGES = sorted(
    page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
    for page in (ROOT / "docs").rglob("*.md")
    if "_generated" not in page.parts
)
WIDE_TABLES = """
return Array.from(document.querySelectorAll("article table"))
  .filter((table) => table.offsetWidth > table.closest("section").clientWidth + 1)
  .map((table) => table.textContent.trim().slice(0, 40))
"""
"""Tables that are wider than the section they stand in."""
SIDEWAYS = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The written pages with their recorded tables, without those made from the code."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("_generated"))
    (folder / "results").symlink_to(ROOT / "results")
    (folder / "README.md").symlink_to(ROOT / "README.md")
    command = [sys.executable, "-m", "sphinx", "-q", "-t", "tables", "-b", "html", "docs", "html"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    built = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr[-2000:]
    return folder / "html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator:
    offline = "--host-resolver-rules=MAP * ~NOTFOUND"
    with chromium(tmp_path_factory.mktemp("browser"), offline) as driver:
        yield driver


def opened(browser, page: Path, width: int, query: str = ""):
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page.as_uri() + query)
    return browser


@pytest.mark.parametrize("page", PAGES)
def test_no_table_is_cut_on_a_desk_and_no_page_on_a_phone(browser, site, page):
    opened(browser, site / page, 1300)
    assert browser.execute_script(WIDE_TABLES) == []
    assert browser.execute_script(SIDEWAYS) <= 0
    opened(browser, site / page, 420)
    assert browser.execute_script(SIDEWAYS) <= 0


def test_without_the_style_sheet_a_table_would_be_cut(browser, site):
    opened(browser, site / "results/libraries.html", 1300)
    browser.execute_script(
        "for (const one of document.styleSheets) if (/wide.css/.test(one.href)) one.disabled = true"
    )
    assert browser.execute_script(WIDE_TABLES)


def test_formulas_are_drawn_and_the_search_finds_a_page_without_a_network(browser, site):
    opened(browser, site / "explanation/theory.html", 1300)
    WebDriverWait(browser, 30).until(
        lambda driver: (
            len(driver.find_elements(By.CSS_SELECTOR, "mjx-container"))
            == len(driver.find_elements(By.CSS_SELECTOR, ".math"))
            > 50
        )
    )
    opened(browser, site / "search.html", 1300, "?q=warm-up")
    WebDriverWait(browser, 30).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, "ul.search li a")
    )
