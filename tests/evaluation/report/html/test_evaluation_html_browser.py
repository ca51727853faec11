# SPDX-License-Identifier: Apache-2.0
"""The page in a browser: quiet, offline, for keyboards, phones and dark rooms, and readable without its script."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sa2_monai.evaluation import compare
from sa2_monai.evaluation.report.files import save_report
from tests.support.report_pages import HOSTILE, two_evaluations

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
#: Contrast of every text with what lies behind it, by WCAG 2.
CONTRAST = """() => {
    const rgba = (text) => { const v = text.match(/[\\d.]+/g).map(Number); return v.length < 4 ? [...v, 1] : v; };
    const light = (c) => c.slice(0, 3).map((v) => v / 255)
        .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = rgba(getComputedStyle(at).backgroundColor);
            if (colour[3] === 1) return colour;
        }
        return [255, 255, 255, 1];
    };
    const found = [];
    for (const element of document.body.querySelectorAll("*")) {
        const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        if (!text || !element.checkVisibility() || element.closest("title, script, option")) continue;
        const style = getComputedStyle(element);
        const colour = rgba(element.closest("svg") ? style.fill : style.color);
        const pair = [light(colour), light(ground(element))].sort();
        const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
        found.push([ratio, element.textContent.trim().slice(0, 40)]);
    }
    return found;
}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report")
    first, second = two_evaluations(folder)
    found = compare(first, second, bootstrap_samples=20, permutation_samples=20)
    paths = save_report(first, folder / "out", overlays=1, comparison=found, second=second)
    return Path(paths["html"]).as_uri()


@pytest.fixture
def look(browser: Any, report: str) -> Iterator[Callable[..., Any]]:
    """Opens the report with options of a browser's context; at the end it must have said and asked for nothing."""
    contexts, said = [], []

    def opened(**options: Any) -> Any:
        context = browser.new_context(**{"viewport": DESKTOP, "reduced_motion": "reduce", **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("request", lambda request: said.append(request.url) if request.url[:5] != "data:" else None)
        page.goto(report)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == [report] * len(contexts)


def pixels(shot: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))


def column(page: Any, number: int) -> list[str]:
    """Texts of the visible cells of the table of cases."""
    rows = page.locator("table.cases tbody tr:visible").all()
    return [row.locator("th, td").nth(number).inner_text() for row in rows]


def test_names_do_nothing(look: Callable[..., Any]) -> None:
    page = look()
    assert page.evaluate("window.hacked") is None
    shown = column(page, 1)
    assert {HOSTILE[0], HOSTILE[1]} <= set(shown)
    assert page.locator("img:not([src^='data:'])").count() == 0


def test_no_other_script_runs(browser: Any, report: str) -> None:
    """Even if a name came through as an element: the policy of the page knows one script."""
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(report)
    page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "window.hacked = 1";
        document.body.append(script);
    }""")
    assert page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in text for text in said)
    page.close()


def test_sorting_by_keyboard(look: Callable[..., Any]) -> None:
    page = look()
    heads = [head.inner_text() for head in page.locator("table.cases thead th").all()]
    dice = page.get_by_role("button", name="Dice", exact=True)
    head = page.locator("table.cases th", has=dice)
    assert head.get_attribute("aria-sort") == "ascending"
    number = heads.index("Dice")
    as_written = column(page, number)
    page.get_by_label("Filter").focus()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Dice":
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, number) == [*as_written[-2::-1], as_written[-1]]
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, number) == as_written
    assert as_written[-1] == "\N{EN DASH}"  # no value comes last, whichever way
    page.get_by_role("button", name="case").press("Enter")
    assert head.get_attribute("aria-sort") == "none"
    names = [name for name in column(page, 1) if name.startswith("case")]
    assert names == sorted(names)


def test_filtering(look: Callable[..., Any]) -> None:
    page = look()
    count = page.locator(".filter output")
    assert count.inner_text() == "13 cases"
    page.get_by_label("Filter").fill("CASE 1")
    assert column(page, 1) == [f"case {index}" for index in (13, 12, 11, 10)]
    assert count.inner_text() == "4 of 13 cases"
    page.get_by_label("Filter").fill("")
    page.get_by_label("Show").select_option(label="with a missed structure")
    assert column(page, 1) == ["case 03"]
    page.get_by_label("Filter").fill("bile")
    assert count.inner_text() == "0 of 13 cases"
    page.keyboard.press("Enter")  # sends nothing
    assert count.inner_text() == "0 of 13 cases"


def test_the_slider_moves_through_the_layers(look: Callable[..., Any]) -> None:
    page = look()
    viewer = page.locator("figure.viewer").first
    slider = viewer.get_by_role("slider", name=re.compile("Layers of case 03"))
    assert slider.get_attribute("aria-valuetext") == "differences"
    layers = viewer.locator(".layers")
    shots = {"differences": layers.screenshot()}
    slider.press("Home")
    assert slider.get_attribute("aria-valuetext") == "image"
    shots["image"] = layers.screenshot()
    slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "5 % reference, the rest image"
    for name in ("reference", "prediction"):
        viewer.get_by_role("button", name=name).press("Enter")
        assert slider.get_attribute("aria-valuetext") == name
        assert viewer.get_by_role("button", name=name).get_attribute("aria-pressed") == "true"
        shots[name] = layers.screenshot()
    shown = {name: pixels(shot) for name, shot in shots.items()}
    assert len({array.tobytes() for array in shown.values()}) == 4
    # half way: the new layer on the left, the old one on the right
    slider.evaluate("range => { range.value = 50; range.dispatchEvent(new Event('input')); }")
    half, width = pixels(layers.screenshot()), shown["image"].shape[1]
    top = shown["image"].shape[0] * 3 // 4  # above the words at the edge
    assert np.array_equal(half[:top, : width // 2 - 4], shown["reference"][:top, : width // 2 - 4])
    assert np.array_equal(half[:top, width // 2 + 4 :], shown["image"][:top, width // 2 + 4 :])
    # pointing into the image does the same
    box = layers.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 3 / 4, box["y"] + 20)
    page.mouse.up()
    assert slider.get_attribute("aria-valuetext") == "75 % reference, the rest image"


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_everything_has_room(viewport: dict[str, int], look: Callable[..., Any]) -> None:
    page = look(viewport=viewport)
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    plots = page.evaluate("""() => [...document.querySelectorAll(".plots figure > svg")].map((plot) => {
        const room = plot.parentElement.getBoundingClientRect().width;
        return [plot.getBoundingClientRect().width / room, room];
    })""")
    assert len(plots) >= 6
    for share, room in plots:
        assert share == pytest.approx(1, abs=0.01)
        assert room > 0.4 * viewport["width"]
    # what is wider than the page scrolls by itself, and nothing else sticks out
    out = page.evaluate("""() => [...document.body.querySelectorAll("*")]
        .filter((one) => one.checkVisibility() && !one.closest(".hidden"))
        .filter((one) => !one.parentElement.closest(".scroll, .layers"))
        .filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5)
        .map((one) => one.outerHTML.slice(0, 80))""")
    assert out == []
    texts = page.evaluate("""() => [...document.querySelectorAll("svg text")].map((text) =>
        parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)""")
    assert min(texts) > 9.5  # pixels: small, but to be read


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_text_has_contrast(viewport: dict[str, int], scheme: str, look: Callable[..., Any]) -> None:
    ratios = look(viewport=viewport, color_scheme=scheme).evaluate(CONTRAST)
    assert len(ratios) > 300
    assert [entry for entry in ratios if entry[0] < 4.5] == []


def test_light_and_dark_and_again(look: Callable[..., Any]) -> None:
    shots = [pixels(look(color_scheme=scheme).screenshot(full_page=True)) for scheme in ("light", "dark", "light")]
    assert np.array_equal(shots[0], shots[2])
    assert shots[0].shape == shots[1].shape
    assert shots[0][0, 0].min() > 240
    assert shots[1][0, 0].max() < 40


def test_without_its_script(look: Callable[..., Any]) -> None:
    page = look(java_script_enabled=False)
    assert page.locator(".filter, .control").first.is_hidden()
    assert page.locator(".control:visible").count() == 0
    assert page.locator("table.cases tbody tr:visible").count() == 13
    boxes = [image.bounding_box() for image in page.locator("figure.viewer").first.locator("img").all()]
    assert len(boxes) == 4
    corners = {(round(box["x"]), round(box["y"])) for box in boxes}
    assert len(corners) == 4  # side by side
    assert {label.inner_text() for label in page.locator("figure.viewer").first.locator(".layer span").all()} == {
        *("image", "reference", "prediction", "differences"),
    }


def test_motion_only_where_it_is_wanted(look: Callable[..., Any]) -> None:
    behaviour = "getComputedStyle(document.documentElement).scrollBehavior"
    assert look().evaluate(behaviour) == "auto"
    assert look(reduced_motion="no-preference").evaluate(behaviour) == "smooth"


def test_only_what_scrolls_is_a_stop(look: Callable[..., Any]) -> None:
    for viewport, stops in ((DESKTOP, ["Cases"]), (PHONE, ["Classes", "Missed and false structures", "Cases"])):
        page = look(viewport=viewport)
        page.wait_for_function("!document.querySelector('#versions .scroll').hasAttribute('tabindex')")
        assert [box.get_attribute("aria-label") for box in page.locator(".scroll[tabindex]").all()][:3] == stops


def test_every_control_has_a_name(look: Callable[..., Any]) -> None:
    page = look()
    unnamed = page.evaluate("""() => [...document.querySelectorAll("input, select, button, [tabindex], img")]
        .filter((one) => one.checkVisibility())
        .filter((one) => !(one.labels?.length || one.textContent.trim() || one.ariaLabel || one.hasAttribute("alt")))
        .map((one) => one.outerHTML.slice(0, 80))""")
    assert unnamed == []
    assert page.get_by_role("navigation", name="Sections").get_by_role("link").count() >= 12
