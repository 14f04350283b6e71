"""The page in a browser without a window: filters, keys, print, colours, an empty console."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from numerics.report.changes import changes
from numerics.report.page import render
from numerics.report.readers import read_run
from theory.ledger import LEDGER

pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.chromium import NEEDS_CHROMIUM, chromium

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def page(document, tmp_path_factory):
    """The page's address; one claim's evidence differs from that of an earlier report."""
    import json
    from copy import deepcopy

    folder = tmp_path_factory.mktemp("page")
    earlier = deepcopy(document)
    earlier["claims"][1]["evidence"] = []
    for name, content in (("now.json", document), ("old.json", earlier)):
        (folder / name).write_text(json.dumps(content))
    now, old = read_run(folder / "now.json"), read_run(folder / "old.json")
    path = folder / "report.html"
    path.write_text(render([now], changes(old, [now])), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator:
    profile, logs = tmp_path_factory.mktemp("browser"), {"goog:loggingPrefs": {"browser": "ALL"}}
    with chromium(profile, "--window-size=1280,1000", capabilities=logs) as driver:
        yield driver


@pytest.fixture
def opened(browser, page):
    browser.get("about:blank")
    browser.get(page)
    return browser


def count(browser) -> str:
    return browser.find_element(By.ID, "count").text


def shown(browser) -> list:
    return [c for c in browser.find_elements(By.CSS_SELECTOR, "details.card") if c.is_displayed()]


def box(browser, value: str):
    return browser.find_element(By.CSS_SELECTOR, f"input[value='{value}']")


def wait(browser, condition) -> None:
    WebDriverWait(browser, 10).until(lambda _: condition())


def test_the_page_opens_without_a_word_on_the_console(opened):
    assert opened.get_log("browser") == []
    assert count(opened) == f"{len(LEDGER)} of {len(LEDGER)} cards shown"
    wide = opened.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    assert opened.execute_script("return performance.getEntriesByType('resource').length") == 0


@pytest.mark.parametrize("width", [360, 420, 1300])
def test_nothing_sticks_out_of_the_window(opened, width):
    """Paths and commands break; what is wider than the window scrolls inside its own frame."""
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    opened.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    wide = "return document.documentElement.scrollWidth - innerWidth"
    assert opened.execute_script(wide) <= 0
    opened.execute_script("document.querySelector('h1').style.width = '2000px'")
    assert opened.execute_script(wide) > 0, "the measure does not notice"
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_filter_is_clicked_and_the_count_changes(opened, document):
    fails = [row for row in document["claims"] if row["verdict"] == "fails"]
    box(opened, "fails").click()
    assert count(opened) == f"{len(fails)} of {len(LEDGER)} cards shown"
    assert {card.get_attribute("data-verdict") for card in shown(opened)} == {"fails"}
    own = [row for row in fails if row["paper"] == "tfixup"]
    Select(opened.find_element(By.ID, "group")).select_by_visible_text("T-Fixup")
    assert count(opened) == f"{len(own)} of {len(LEDGER)} cards shown"
    box(opened, "training").click()
    assert count(opened) == f"0 of {len(LEDGER)} cards shown"
    assert opened.find_element(By.ID, "nothing").is_displayed()
    opened.find_element(By.ID, "clear").click()
    assert count(opened) == f"{len(LEDGER)} of {len(LEDGER)} cards shown"


def test_two_verdicts_show_either_and_words_show_all(opened, document):
    box(opened, "fails").click()
    box(opened, "holds").click()
    either = [row for row in document["claims"] if row["verdict"] in ("fails", "holds")]
    assert len(shown(opened)) == len(either)
    opened.find_element(By.CSS_SELECTOR, "button[type=reset]").click()
    wait(opened, lambda: count(opened).startswith(f"{len(LEDGER)} "))
    opened.find_element(By.ID, "words").send_keys("tfixup.eq1 √d")
    assert "tfixup.eq1" in {c.find_element(By.CLASS_NAME, "id").text for c in shown(opened)}
    assert len(shown(opened)) < 5


def test_only_what_changed(opened, document):
    opened.find_element(By.ID, "only-changed").click()
    (card,) = shown(opened)
    assert card.find_element(By.CLASS_NAME, "id").text == document["claims"][1]["id"]


def test_a_number_of_the_summary_filters_the_cards(opened):
    button = opened.find_element(By.CSS_SELECTOR, "button.count[data-verdict=fails]")
    number, group = button.text, button.get_attribute("data-group")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    assert count(opened) == f"{number} of {len(LEDGER)} cards shown"
    assert Select(opened.find_element(By.ID, "group")).first_selected_option.text == group
    assert box(opened, "fails").is_selected()


def test_filters_and_cards_work_by_keyboard_alone(opened):
    body = opened.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert opened.switch_to.active_element.text == "Skip to the cards"
    opened.switch_to.active_element.send_keys(Keys.ENTER)
    for _ in range(60):
        opened.switch_to.active_element.send_keys(Keys.TAB)
        if opened.switch_to.active_element.get_attribute("value") == "fails":
            break
    opened.switch_to.active_element.send_keys(Keys.SPACE)
    assert not count(opened).startswith(f"{len(LEDGER)} ")
    first = shown(opened)[0]
    for _ in range(60):
        opened.switch_to.active_element.send_keys(Keys.TAB)
        if opened.switch_to.active_element == first.find_element(By.TAG_NAME, "summary"):
            break
    control = first.find_element(By.CLASS_NAME, "control")
    assert not control.is_displayed()
    opened.switch_to.active_element.send_keys(Keys.ENTER)
    wait(opened, control.is_displayed)
    assert control.text.startswith("Control")
    assert "(as required)" in control.text
    opened.switch_to.active_element.send_keys(Keys.SPACE)
    wait(opened, lambda: not control.is_displayed())


def test_every_control_has_a_name_that_a_screen_reader_says(opened):
    named = opened.execute_script(
        """return Array.from(document.querySelectorAll("button, input, select, summary, a"),
           (e) => e.getAttribute("aria-label") || e.textContent.trim() ||
             (e.labels && e.labels.length && e.labels[0].textContent.trim()) || "")"""
    )
    assert len(named) > len(LEDGER)
    assert all(named)
    status = opened.find_element(By.ID, "count")
    assert (status.aria_role, status.get_attribute("aria-live")) == ("status", "polite")
    order = opened.execute_script(
        "return Array.from(document.querySelectorAll('h1,h2,h3,h4'), (h) => +h.tagName[1])"
    )
    assert order[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(order))


def test_a_link_of_the_summary_unfolds_its_card_even_if_it_was_filtered_out(opened):
    box(opened, "holds").click()
    link = opened.find_element(By.CSS_SELECTOR, "ul.found a")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", link)
    link.click()
    card = opened.find_element(By.ID, link.get_attribute("href").partition("#")[2])
    wait(opened, lambda: card.get_attribute("open") is not None and card.is_displayed())
    assert opened.switch_to.active_element == card.find_element(By.TAG_NAME, "summary")


def test_print_unfolds_everything_and_hides_the_filters(opened):
    control = opened.find_element(By.CSS_SELECTOR, "details.card .control")
    height = "return arguments[0].getBoundingClientRect().height"
    assert not control.is_displayed()
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert opened.execute_script(height, control) > 10
    assert not opened.find_element(By.ID, "filters").is_displayed()
    folds = opened.find_elements(By.CSS_SELECTOR, ".check > .fold:not(.picture)")
    assert folds
    assert not any(fold.is_displayed() for fold in folds), "raw values would fill the pages"
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert not control.is_displayed()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_in_dark(opened, scheme):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    ratios = opened.execute_script(CONTRAST)
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert len(ratios) > 10
    assert min(ratios.values()) >= 4.5, ratios


CONTRAST = """
const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const shine = (c) => {
  const [r, g, b] = c.map((v) => linear(v / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const behind = (e) => {
  for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0.99) return c;
  }
  return [255, 255, 255];
};
for (const one of document.querySelectorAll("details")) one.open = true;
const found = {};
const kinds = "p, dt, dd, a, span, code, b, button, th, td, label, legend, h1, h2, h3, pre";
for (const e of document.querySelectorAll(kinds)) {
  const near = e.closest("[class]");
  const name = `${e.tagName}.${near ? near.className : ""}`;
  if (!e.textContent.trim() || name in found || !e.offsetParent) continue;
  const front = shine(parse(getComputedStyle(e).color)), back = shine(behind(e));
  found[name] = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
}
for (const one of document.querySelectorAll("details")) one.open = false;
return found;
"""
"""The contrast of each kind of text with what is behind it, as WCAG 2 defines it; 4.5 is AA."""
