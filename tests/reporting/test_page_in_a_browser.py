"""The report in Chromium: hostile texts do nothing, and nothing is cut on any screen or on paper, or hard to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, find_browser
from made_up import STUDENTS, full
from PIL import Image
from test_hostile_texts import swapped

from synthetic_instruction_tuner.reporting.html import render_html
from synthetic_instruction_tuner.reporting.report import render_markdown
from synthetic_instruction_tuner.reporting.report_data import ReportData, Sample

pytestmark = pytest.mark.skipif(find_browser() is None, reason="no Chromium or Chrome is installed")

EVIL = (
    *("<script>window.owned = 1; alert(1)</script>", "<img src=http://127.0.0.1:9/a.png onerror='window.owned = 1'>"),
    *("<svg onload='window.owned = 1'>", "<iframe src='http://127.0.0.1:9/'></iframe>", "</pre></details></main>"),
    *("<style>* { background: url(http://127.0.0.1:9/b) }</style>", "<base href='http://127.0.0.1:9/'>"),
    *("[a](javascript:window.owned=1)", "![x](http://127.0.0.1:9/c.png)", "```\n~~~\n# x\n\n| a | b |\n|---|---|"),
    *(
        "\u202eright to left\u202c \x1b[31m\x00\x9b\u2028",
        "😀👩\u200d👩\u200d👧",
        "=cmd|' /C calc'!A0",
        "한국어 모델 이름",
    ),
)
"""Texts that try to run, to load, to break out, to reorder, and to be a formula."""
LONG = "a-model-whose-name-is-long-" * 5
FIGURES = ("differences", "filter_funnel", "lengths", "benchmarks", "agent_ends", "quality_and_cost")
CUT = """(() => {
  const wide = document.documentElement.clientWidth, cut = [];
  if (document.documentElement.scrollWidth > wide) cut.push('page');
  for (const one of document.querySelectorAll('body *')) {
    const box = one.getBoundingClientRect(), style = getComputedStyle(one);
    const name = `${one.tagName} ${one.className} ${one.textContent.slice(0, 60)}`;
    if (box.width && box.height && (box.right > wide + 1 || box.left < -1)) cut.push('outside: ' + name);
    if (style.overflowX !== 'visible' && one.scrollWidth > one.clientWidth + 1) cut.push('scrolls: ' + name);
  }
  return cut.slice(0, 5);
})()"""
PALE = """(() => {
  const part = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const rgba = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const behind = one => {
    for (; one; one = one.parentElement) {
      const found = rgba(getComputedStyle(one).backgroundColor);
      if (found.length === 3 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const pale = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text; (text = texts.nextNode()); ) {
    const one = text.parentElement;
    if (!text.textContent.trim() || !one.getClientRects().length) continue;
    const [a, b] = [light(rgba(getComputedStyle(one).color)), light(behind(one))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) pale.push(`${ratio.toFixed(2)} ${one.tagName} ${text.textContent.slice(0, 40)}`);
  }
  return pale.slice(0, 5);
})()"""  # the ratio of WCAG 2; 4.5 is what it asks for text of any size
HIDDEN = """[...document.querySelectorAll('main *')]
  .filter(one => one.checkVisibility && !one.checkVisibility({contentVisibilityAuto: true}))
  .map(one => one.tagName + ' ' + one.textContent.slice(0, 40))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find_browser()
    assert program
    found = Browser(program)
    yield found
    found.close()


def hostile() -> ReportData:
    """A run whose every name and text is hostile: also 120 characters without a space, and a line of a megabyte."""
    texts = {f"responder-{kind}": f"{EVIL[0]} {kind}" for kind in ("llama", "mistral", "qwen2")}
    texts |= dict(zip(STUDENTS, (LONG[:120], f"{EVIL[1]} 1", " ".join(EVIL[-4:])), strict=True))
    texts |= {"demo": EVIL[2], "x86_64": EVIL[3], "generator": EVIL[5], "math": LONG, "word_repetition": LONG}
    data = swapped(full(), texts)
    everything = "\n".join(EVIL)
    samples = [
        Sample(student, text, {variant: text for variant in ("base", "sft", "dpo")})
        for student in (STUDENTS[0], STUDENTS[1])
        for text in (everything, "W" * 1_000_000 + everything)
    ]
    return replace(data, title=f"{EVIL[0]} {LONG}", samples=samples)


def write(data: ReportData, folder: Path) -> Path:
    """Writes the page with plain pictures as its figures."""
    images = {}
    for name in FIGURES:
        images[f"{name}.png"] = folder / f"{name}.png"
        Image.new("RGB", (1650, 700), "white").save(images[f"{name}.png"])
    text = render_markdown(data, {name: f"{name}.png" for name in FIGURES})
    written = folder / "report.html"
    written.write_text(render_html(text, data.title, images), encoding="utf-8")
    return written


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(hostile(), tmp_path_factory.mktemp("page"))


def misdeeds(browser: Browser) -> list[str]:
    """What the page has asked for beside itself, and what has run in it."""
    asked = [event["request"]["url"] for event in browser.happened("Network.requestWillBeSent")]
    found = [url for url in asked if not url.startswith("data:")][1:]  # the first one is the page
    found += ["dialog" for _ in browser.happened("Page.javascriptDialogOpening")]
    found += [str(event) for event in browser.happened("Runtime.exceptionThrown")]
    found += ["a script has run"] if browser.run("window.owned") else []
    return found


def test_hostile_texts_run_nothing_and_load_nothing(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert misdeeds(browser) == []
    assert browser.happened("Log.entryAdded") == []  # the policy had nothing to forbid
    assert browser.run("document.querySelectorAll('script, iframe, svg, object, embed, base, link, form').length") == 0
    assert browser.run("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
    texts = browser.run("document.body.textContent")
    assert all(text in texts for text in (EVIL[0], EVIL[1], EVIL[4], EVIL[-2], EVIL[-1])) and "\u202e" not in texts


def test_what_watches_the_page_sees_a_script_a_request_and_a_cut(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        f"<!DOCTYPE html><body style='margin: 0'>{EVIL[0]}{EVIL[1]}"
        "<p style='width: 3000px; color: #999'>wide</p><details><summary>s</summary><p>t</p></details>",
        encoding="utf-8",
    )
    browser.open(page)
    assert {"http://127.0.0.1:9/a.png", "dialog", "a script has run"} <= set(misdeeds(browser))
    browser.show(1200)
    assert browser.run(CUT)[0] == "page" and browser.run(PALE) == ["2.85 P wide"]
    assert browser.run(HIDDEN.replace("main", "details")) == ["P t"]


def test_nothing_is_cut(browser: Browser, page: Path, tmp_path: Path) -> None:
    for shown, widths in ((page, (360, 1200)), (write(full(), tmp_path), (320, 360, 800, 1200, 2400))):
        browser.open(shown)
        browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
        for width in widths:
            browser.show(width)
            assert browser.run(CUT) == [], width
    displays = []
    for width in (880, 920):  # a run's longest table, with ten columns, needs 870
        browser.show(width)
        displays.append(browser.run("getComputedStyle(document.querySelector('.wide tr')).display"))
    assert displays == ["flex", "table-row"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(browser: Browser, page: Path, scheme: str) -> None:
    browser.open(page)
    browser.show(1200, scheme)
    assert browser.run(PALE) == []
    assert browser.run("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)" if scheme == "light" else "rgb(22, 25, 29)"
    )


def test_paper_shows_all_parts_and_cuts_nothing(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.show(703, "dark", "print")  # what margins leave of A4
    assert browser.run(CUT) == [] and browser.run(PALE) == [] and browser.run(HIDDEN) == []
    assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_a_click_enlarges_a_figure_and_another_one_makes_it_fit(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.show(360)
    widths: list[Any] = []
    for _ in range(3):
        widths.append(browser.run("document.images[0].clientWidth"))
        browser.run("document.images[0].click()")
    assert widths[0] == widths[2] < 360 and widths[1] == 1650
    assert browser.run("document.documentElement.scrollWidth") == 360
