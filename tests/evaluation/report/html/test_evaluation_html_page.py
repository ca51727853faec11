# SPDX-License-Identifier: Apache-2.0
"""What the page says, in which order, and that nothing in it can be loaded or run but its own."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from pathlib import Path
from typing import Any
from xml.dom import minidom

import numpy as np
import pytest
from PIL import Image

from sa2_monai.evaluation import compare, evaluate
from sa2_monai.evaluation.report.files import save_report
from sa2_monai.evaluation.report.html import html_report
from sa2_monai.evaluation.report.html.images import collect_images
from sa2_monai.evaluation.report.html.metrics import explanations
from sa2_monai.evaluation.report.html.origin import find_origin
from sa2_monai.evaluation.report.overlays import draw_overlays
from sa2_monai.io.palette import class_colour
from tests.support.report_pages import HOSTILE, Page, two_evaluations

TITLES = [
    *("Limits", "Classes", "Missed and false structures", "Failed cases", "Images", "Cases", "Distributions"),
    *("Sizes of objects", "Comparison", "Training", "All metrics", "Warnings", "Settings", "Versions"),
]
#: Attributes that make a browser load something, or go somewhere.
LOADING = ("src", "href", "srcset", "data", "action", "formaction", "poster", "background", "xlink:href", "ping")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("run")
    first, second = two_evaluations(folder)
    first.summary["limits"] = [{"limit": "dice >= 0.9", "value": 0.51234, "passed": False}]
    return html_report(
        first,
        collect_images(first, draw_overlays(first, 2)),
        compare(first, second, bootstrap_samples=50, permutation_samples=100),
        {"seed": 0, "images": None},
        origin=find_origin(first),
        second=second,
        written="2026-11-30",
    )


def section(page: str, name: str) -> str:
    return page[page.index(f'<section id="{name}">') :].partition("</section>")[0]


def test_what_matters_comes_first(page: str) -> None:
    assert page.startswith("<!DOCTYPE html>\n")
    assert re.findall(r"<h2>(.*?)</h2>", page) == TITLES
    links = [value for value in Page(page).values("href") if not value.startswith("#image-")]
    assert [f'id="{link[1:]}"' in page for link in links] == [True] * len(TITLES)


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    parsed = Page(page)
    assert not {"link", "iframe", "object", "embed", "base", "audio", "video"} & parsed.tags
    addresses = parsed.values(*LOADING)
    assert len(addresses) > 50
    assert {re.match(r"#|data:image/(png|jpeg);base64,|", address)[0] for address in addresses} == {  # type: ignore[index]
        "#",
        "data:image/png;base64,",
        "data:image/jpeg;base64,",
    }
    without_namespace = page.replace('xmlns="http://www.w3.org/2000/svg"', "").replace("http-equiv", "")
    assert not re.search(r"https?:|//[a-z]|url\(|@import", re.sub(r"base64,[^\"]*", "", without_namespace))
    for address in (one for one in addresses if one.startswith("data:")):
        with Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))) as drawn:
            assert max(drawn.size) <= 560


def test_only_its_own_style_and_script_may_act(page: str) -> None:
    (policy,) = (found["content"] for _, found in Page(page).elements if "http-equiv" in found)
    assert policy is not None
    for tag in ("style", "script"):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert not [name for _, found in Page(page).elements for name in found if name.startswith("on") or name == "style"]


def test_names_are_text(page: str) -> None:
    parsed = Page(page)
    assert page.count("<script>") == 1
    assert page.count("</style>") == 1
    for name in HOSTILE[:2]:
        assert name in parsed.text
    assert "語 \u1e9e ñ\\n{{ 7*7 }}" in parsed.text
    assert "liver & <bile>" in parsed.text
    assert {f"larger image of {HOSTILE[0]}", f"image of {HOSTILE[0]}"} & set(parsed.values("alt"))
    for plot in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        minidom.parseString(plot)


def test_model_data_and_training_are_named(page: str) -> None:
    text = Page(page).text
    assert "MSA2-Net organs on organs" in text
    for part in ("33.1 million parameters", "abababababab", "2026-11-30", "8 of 20", "weights of epoch 6"):
        assert part in text
    assert "the training is interrupted" in text
    assert "1\xa0h 2\xa0min" in text
    assert "livers" in text
    assert "ab" * 32 in section(page, "settings")
    assert section(page, "training").count("<svg class=") == 2


def test_missed_structures_and_false_alarms(page: str) -> None:
    missed = section(page, "missed")
    assert missed.count('<b class="bad">missed</b>') == 1
    assert missed.count('<b class="bad">false alarm</b>') == 1
    figures = re.findall(r'<span class="kind[^>]*>(.*?)</span>', page)
    assert figures[0].startswith("missed: spleen")
    assert "holds the values 9" in section(page, "failed")
    assert "Research result, not for diagnosis." in page


def test_numbers_have_three_digits(page: str) -> None:
    """Whatever a table or a plot says, apart from settings and messages of other programs."""
    for name in ("classes", "cases", "plots", "sizes", "comparison", "training", "metrics"):
        text = Page(f"<section>{section(page, name).partition('>')[2]}</section>").text
        for number in re.findall(r"\d+\.\d+", text):
            assert len(number.replace(".", "").lstrip("0")) <= 3, number
    assert "0.512" in section(page, "limits")


def test_every_metric_of_the_first_table_is_explained() -> None:
    protocol = {"unit": "mm", "tolerance": {"a": 2.0, "b": 2.0}, "hd95": "directed-maximum"}
    summary: dict[str, Any] = {"protocol": protocol, "overall": {"dice": {}, "nsd": {}, "hd95": {}}}
    lines = dict(explanations(summary))
    assert list(lines) == ["Dice", "NSD", "HD95"]
    assert "within 2 mm of the other one" in lines["NSD"]
    protocol["tolerance"] = {"a": 2.0, "b": 3.0}
    assert "the tolerance of the class" in dict(explanations(summary))["NSD"]
    assert list(dict(explanations({**summary, "overall": {"dice": {}}}))) == ["Dice"]


def test_the_legend_names_every_class_with_its_colour(page: str) -> None:
    for value, name in ((1, "liver &amp; &lt;bile&gt;"), (2, "spleen")):
        colour = "".join(f"{channel:02x}" for channel in class_colour(value))
        assert re.search(f'fill="#{colour}"/></svg>{re.escape(name)}</span>', section(page, "images"))
    assert "white, where both run together for the same class" in page


def test_pages_of_the_paper_protocol_and_of_perfect_results() -> None:
    mask = np.zeros((16, 16), np.uint8)
    mask[2:9, 2:9] = 1
    for options in ({}, {"protocol": "paper", "family": "pooled", "paper": {"grid": 16}}):
        result = evaluate({"a": mask}, {"a": mask}, ["background", "x"], **options)  # type: ignore[arg-type]
        page = html_report(result)
        Page(page)
        assert "None: every structure of the references was found" in page
        assert "Failed cases" not in page
        assert "run together" not in page  # without images
        assert ("Dice by the published definition" in page) == bool(options)
        assert "Evaluation report" in page
    assert "Deviations from the publication" in page


def test_a_constant_prediction_is_an_alarm() -> None:
    rng = np.random.default_rng(0)
    references = {str(index): (rng.random((20, 20)) > 0.4).astype(np.uint8) for index in range(3)}
    all_of_it = {case: np.ones_like(reference) for case, reference in references.items()}
    page = html_report(evaluate(all_of_it, references, ["background", "x"]))
    assert "is not clearly better than that of marking every pixel" in page.partition("<main>")[0]
    assert 'class="alarm"' not in html_report(evaluate(references, references, ["background", "x"]))


def test_a_report_with_a_comparison(tmp_path: Path) -> None:
    first, second = two_evaluations(tmp_path / "run")
    found = compare(first, second, bootstrap_samples=50, permutation_samples=100)
    paths = save_report(first, tmp_path / "out", overlays=0, comparison=found, second=second)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "comparison.json",
        "metrics_per_case.csv",
        "metrics_summary.json",
        "report.html",
        "table.txt",
    ]
    assert "Comparison of 13 cases" in paths["table"].read_text()
    page = paths["html"].read_text()
    assert "MSA2-Net organs" in section(page, "comparison")
    assert ">Dice B</th>" in section(page, "cases")


def test_a_long_table_says_what_it_leaves_out() -> None:
    mask = np.ones((4, 4), np.uint8)
    maps = {f"{index:04d}": mask for index in range(1003)}
    page = html_report(evaluate(maps, maps, ["background", "x"], bootstrap_samples=1))
    assert section(page, "cases").count("<tr data-found") == 1000
    assert "The worst 1000 of 1003 cases; the others are in metrics_per_case.csv." in page
