# SPDX-License-Identifier: Apache-2.0
"""The HTML report, its plots, the planes of volumes and the record of a run."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.dom import minidom

import nibabel
import numpy as np
import pytest
from PIL import Image

from sa2_monai.evaluation import EvaluationResult, compare, evaluate, write_overlays
from sa2_monai.evaluation.cases.loading import LoadedCase
from sa2_monai.evaluation.report.files import save_report
from sa2_monai.evaluation.report.html import html_report
from sa2_monai.evaluation.report.manifest import evaluation_manifest
from sa2_monai.evaluation.report.overlays import BOTH_COLOUR, draw_overlays
from sa2_monai.evaluation.report.planes import plane_of
from sa2_monai.evaluation.report.svg import box_plot, ticks
from sa2_monai.io.digest import sha256_of
from sa2_monai.io.label_maps import LabelMap
from sa2_monai.io.palette import class_colour

NAMES = ["background", "liver & <bile>", "spleen"]


class Checker(HTMLParser):
    """Collects what a page would load, and checks that elements are closed in order."""

    VOID = {"meta", "br", "img"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.links += [value for key, value in attrs if key in ("src", "href", "data", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def results() -> tuple[EvaluationResult, EvaluationResult]:
    references, first, second = {}, {}, {}
    for index in range(5):
        case = f"case {index} <b>"
        reference = np.zeros((16, 14, 5), np.uint8)
        reference[3:12, 3:11, 1:4] = 1
        reference[13:15, 11:13, 2] = 2
        references[case] = reference
        for number, predictions in enumerate((first, second)):
            prediction = reference.copy()
            prediction[3 : 4 + index + number] = 0
            predictions[case] = prediction
        if index == 1:
            first[case] = np.where(first[case] == 2, 0, first[case])
        if index == 2:
            references[case] = np.where(reference == 2, 0, reference)
    first["case 4 <b>"] = np.full((16, 14, 5), 9, np.uint8)
    return tuple(evaluate(p, references, NAMES, spacing=(1, 1, 3), on_error="continue") for p in (first, second))  # type: ignore[return-value]


def test_the_page_is_whole_and_loads_nothing() -> None:
    first, second = results()
    first.summary["limits"] = [{"limit": "dice >= 0.9", "value": 0.5, "passed": False}]
    page = html_report(first, draw_overlays(first, 1), compare(first, second), {"seed": 0, "images": None})
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert not {"script", "link", "iframe", "object", "b>"} & checker.tags
    assert checker.links
    assert all(link.startswith("data:image/jpeg;base64,") for link in checker.links)
    for link in checker.links:
        with Image.open(io.BytesIO(base64.b64decode(link.split(",")[1]))) as drawn:
            assert max(drawn.size) <= 640
    without_namespace = page.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "http" not in without_namespace.replace("http-equiv", "")
    assert "default-src 'none'" in page
    for plot in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        minidom.parseString(plot)
    text = "".join(checker.text)
    # what matters first comes first
    order = ["Limits", "Classes", "Missed and false structures", "Failed cases", "Images", "Cases", "Comparison"]
    order += ["All metrics", "Warnings", "Settings", "Versions"]
    places = [page.index(f"<h2>{title}</h2>") for title in order]
    assert places == sorted(places)
    assert "Evaluation of 4 cases" in text
    assert "liver & <bile>" in text
    missed = page[page.index("Missed and false") : page.index("Failed cases")]
    assert missed.count('<b class="bad">missed</b>') == 1
    assert missed.count('<b class="bad">false alarm</b>') == 1
    assert "holds the values 9" in text
    assert "Research result, not for diagnosis." in text
    assert f"{first.headline:.4f}" in text


def test_the_legend_of_the_images_names_every_class_with_its_colour() -> None:
    result, _ = results()
    page = html_report(result, draw_overlays(result, 1))
    for value, name in ((1, "liver &amp; &lt;bile&gt;"), (2, "spleen")):
        colour = "".join(f"{channel:02x}" for channel in class_colour(value))
        assert f'<i style="background:#{colour}"></i>{name}</span>' in page
    assert "white, where both run together for the same class" in page
    assert "run together" not in html_report(result)  # without images


def test_pages_of_the_paper_protocol_and_of_perfect_results() -> None:
    mask = np.zeros((16, 16), np.uint8)
    mask[2:9, 2:9] = 1
    for options in ({}, {"protocol": "paper", "family": "pooled", "paper": {"grid": 16}}):
        result = evaluate({"a": mask}, {"a": mask}, ["background", "x"], **options)  # type: ignore[arg-type]
        page = html_report(result)
        assert "None: every structure of the references was found" in page
        assert "Failed cases" not in page
        assert ("Dice by the published definition" in page) == bool(options)
    assert "Deviations from the publication" in page


def test_ticks_are_round_and_cover_the_range() -> None:
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(0, 37.2) == [0, 10, 20, 30, 40]
    assert ticks(-0.3, 0.1)[0] <= -0.3
    assert ticks(0, 0)[0] == 0


def test_box_and_points_lie_where_the_values_are() -> None:
    values = [0.0, 0.25, 0.5, 0.75, 1.0]
    plot = minidom.parseString(
        box_plot("Dice", [("a", [(str(v), v) for v in values]), ("b", [("x", float("nan"))])], (0, 1))
    )
    points = [float(c.getAttribute("cx")) for c in plot.getElementsByTagName("circle")]
    assert np.allclose(np.diff(points), np.diff(points)[0], atol=0.11)
    box = plot.getElementsByTagName("rect")[0]
    assert float(box.getAttribute("x")) == pytest.approx(points[1], abs=0.11)
    assert float(box.getAttribute("width")) == pytest.approx(points[3] - points[1], abs=0.21)
    assert "no value" in [t.firstChild.data for t in plot.getElementsByTagName("text")]  # type: ignore[union-attr]
    many = minidom.parseString(box_plot("x", [("a", [(str(i), i / 1000) for i in range(1000)] + [("far", 9.0)])]))
    assert [c.firstChild.firstChild.data for c in many.getElementsByTagName("circle")] == ["far: 9"]  # type: ignore[union-attr]


def case(prediction: np.ndarray | None, reference: np.ndarray, affine: np.ndarray | None) -> LoadedCase:
    spacing = (1.0, 1.0, 3.0) if affine is None else tuple(np.linalg.norm(affine[:3, :3], axis=0))
    return LoadedCase("v", prediction, reference, LabelMap(reference, spacing, "mm", affine, "v"), "", False)


# columns: the array's axes in the patient, and the image's corner that right, anterior, superior must be in
ORIENTATIONS = ["RAS", "LPS", "LAS", "PIR", "SAL", "ILP"]


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_volumes_are_shown_as_radiologists_see_them(codes: str) -> None:
    """A mark at the right, anterior, inferior end of the patient is at the upper left of an axial image."""
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("RAS"), nibabel.orientations.axcodes2ornt(codes)
    )
    reference = np.zeros((12, 10, 8), np.uint8)
    reference[9:, 8:, 1] = 1  # right, anterior
    image = np.zeros(reference.shape, np.int16)
    image[9:, 8:, 1] = 500
    shown = [nibabel.orientations.apply_orientation(a, turn) for a in (reference, image)]
    affine = np.eye(4) @ nibabel.orientations.inv_ornt_aff(turn, reference.shape)
    assert "".join(nibabel.aff2axcodes(affine)) == codes
    plane = plane_of(case(None, shown[0], affine), shown[1])
    assert plane.place == "axial 2/8"
    assert plane.reference.shape == (10, 12)
    assert plane.reference[:2, :3].all()
    assert plane.reference.sum() == 6
    assert plane.image is not None
    assert np.array_equal(plane.image > 0, plane.reference > 0)
    assert plane.prediction is None


def test_the_slice_with_most_errors_along_the_widest_spacing() -> None:
    reference = np.zeros((10, 12, 14), np.uint8)
    reference[2:8, 2:10, 2:12] = 1
    prediction = reference.copy()
    prediction[:, 6] = 0
    coronal = np.diag([1.0, 4, 2, 1])
    plane = plane_of(case(prediction, reference, coronal), None)
    assert plane.place == "coronal 6/12"  # counted from anterior
    assert plane.reference.shape == (28, 10)  # pixels are square: slices of 2 mm twice
    assert plane.prediction is not None
    assert plane.prediction.sum() == 0
    raw = plane_of(case(prediction, reference, None), None)
    assert raw.place.startswith("slice ")
    assert raw.reference.shape == (10, 12)


def test_images_of_volumes() -> None:
    reference = np.zeros((6, 6, 4), np.uint8)
    reference[2:4, 2:4, 1] = 1
    ct = np.full((6, 6, 4, 1), -1000, np.int16)
    ct[2:4, 2:4] = 3000
    plane = plane_of(case(reference, reference, np.eye(4)), ct)
    assert plane.image is not None
    assert (plane.image.min(), plane.image.max()) == (-160, 240)
    with pytest.raises(ValueError, match=r"image: has shape \(5, 6, 4\), expected that of the reference, \(6, 6, 4\)"):
        plane_of(case(reference, reference, np.eye(4)), ct[1:])


def test_overlays_of_volume_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    affine = np.diag([-1.0, -1.0, 3.0, 1])
    rng = np.random.default_rng(0)
    for folder in ("p", "r", "i"):
        (tmp_path / folder).mkdir()
    for index in range(3):
        reference = np.zeros((30, 32, 6), np.uint8)
        reference[8:20, 8:20, 1:5] = 1
        prediction = np.roll(reference, index + 1, axis=0)
        image = (rng.normal(0, 5, reference.shape) + 80 * reference).astype(np.float32)
        for folder, array in (("p", prediction), ("r", reference), ("i", image)):
            name = f"c{index}_0000" if folder == "i" else f"c{index}"
            nibabel.save(nibabel.Nifti1Image(array, affine), tmp_path / folder / f"{name}.nii.gz")
    (tmp_path / "i" / "c1_0000.nii.gz").write_bytes(b"no image")
    result = evaluate(tmp_path / "p", tmp_path / "r", ["background", "x"], images=tmp_path / "i")
    paths = write_overlays(result, tmp_path / "o", 1)
    assert [path.name.split("_dice")[0] for path in paths] == ["worst_1_c2", "median_1_c1", "best_1_c0"]
    assert "overlay of case c1 without its image" in caplog.text
    for path in paths:
        pixels = np.asarray(Image.open(path))[:480]
        for colour in (class_colour(1), BOTH_COLOUR):  # of a box that was moved along one axis
            assert (pixels == colour).all(axis=-1).sum() > 100
    plain, drawn = (np.asarray(Image.open(path))[:480].astype(int).std() for path in (paths[1], paths[0]))
    assert drawn > plain  # the image is under the contours


def test_the_record_names_every_file_by_its_hash(tmp_path: Path) -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[2:5, 2:5] = 1
    for folder in ("p", "r", "i", "q"):
        (tmp_path / folder).mkdir()
        for name in "ab":
            Image.fromarray(mask).save(tmp_path / folder / f"{name}.png")
    (tmp_path / "p" / "b.png").write_bytes(b"")
    common: dict[str, Any] = {"on_error": "continue", "seed": 5, "bootstrap_samples": 10}
    result = evaluate(tmp_path / "p", tmp_path / "r", ["background", "x"], images=tmp_path / "i", **common)
    second = evaluate(tmp_path / "q", tmp_path / "r", ["background", "x"], **common)
    record = evaluation_manifest(result, {"unit": None}, "then", "now", {"evaluate": 1.23456, "report": 0.5}, second)
    assert record["status"] == "failed"
    assert (record["started"], record["ended"], record["seconds"]) == ("then", "now", 1.735)
    assert (record["seed"], record["configuration"]) == (5, {"unit": None})
    assert {role: Path(file["path"]).parent.name for role, file in record["inputs"]["a"].items()} == {
        "prediction": "p",
        "reference": "r",
        "image": "i",
        "compared": "q",
    }
    assert record["inputs"]["b"]["prediction"]["sha256"] == sha256_of(tmp_path / "p" / "b.png")
    assert record["failed"][0]["case"] == "b"
    assert record["versions"]["numpy"] == np.__version__
    assert evaluation_manifest(second, {}, "", "", {})["status"] == "completed"


def test_a_report_with_a_comparison(tmp_path: Path) -> None:
    first, second = results()
    paths = save_report(first, tmp_path, overlays=0, comparison=compare(first, second))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "comparison.json",
        "metrics_per_case.csv",
        "metrics_summary.json",
        "report.html",
        "table.txt",
    ]
    assert "Comparison of 4 cases" in paths["table"].read_text()
    assert "<h2>Comparison</h2>" in paths["html"].read_text()
