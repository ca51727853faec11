# SPDX-License-Identifier: Apache-2.0
"""MoNuSeg and GlaS: miniatures in the layouts of the downloads and of the published code."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sa2_monai.data import load_datalist, load_parts, read_label
from sa2_monai.data.datasets import monuseg as monuseg_module
from sa2_monai.data.datasets.glas import glas_parts
from sa2_monai.data.datasets.monuseg import monuseg_parts, rasterise, read_polygons

SQUARE = [(2.0, 3.0), (2.0, 8.0), (6.0, 8.0), (6.0, 3.0)]  # rows 2..6, columns 3..8


def image(path: Path, size: tuple[int, int] = (20, 30), value: int = 200, colour: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3) if colour else size, value, np.uint8)).save(path)
    return path


def annotation(path: Path, polygons: list[list[tuple[float, float]]]) -> Path:
    """ImageScope file with the attributes that the real ones carry."""
    regions = "".join(
        f'<Region Id="{k}" Type="0" Zoom="1" Analyze="1"><Attributes/><Vertices>'
        + "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for y, x in polygon)
        + "</Vertices></Region>"
        for k, polygon in enumerate(polygons, 1)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '<Annotations MicronsPerPixel="0.252000"><Annotation Id="1" Name="" LineColor="65280">'
        f"<Attributes/><Regions><RegionAttributeHeaders/>{regions}</Regions><Plots/></Annotation></Annotations>"
    )
    return path


@pytest.fixture
def monuseg(tmp_path: Path) -> Path:
    """Six training tiles and two test tiles as unpacked from the two archives."""
    train, test = tmp_path / "MoNuSeg 2018 Training Data", tmp_path / "MoNuSegTestData"
    for i in range(6):
        image(train / "Tissue Images" / f"TCGA-A{i}.tif")
        annotation(train / "Annotations" / f"TCGA-A{i}.xml", [SQUARE, [(0, 0), (1, 1)]])
    for i in range(2):
        image(test / f"TCGA-T{i}.tif")
        annotation(test / f"TCGA-T{i}.xml", [SQUARE])
    image(tmp_path / "__MACOSX" / "._TCGA-A0.tif")
    return tmp_path


# --- polygons ---


def test_fill_has_pixel_centres_at_integers() -> None:
    instances = rasterise([np.array(SQUARE)], (20, 30))
    assert instances.dtype == np.uint16
    inside = np.zeros((20, 30), bool)
    inside[2:7, 3:9] = True
    # Pixels on the outline itself may fall either way; the interior and the outside may not.
    assert (instances[3:6, 4:8] == 1).all()
    assert not instances[~inside].any()


def test_fill_rules() -> None:
    big = np.array([(-5.0, -5.0), (-5.0, 40.0), (10.0, 40.0), (10.0, -5.0)])
    ring = np.array([(1, 1), (1, 15), (15, 15), (15, 1), (1, 1), (5, 5), (5, 11), (11, 11), (11, 5), (5, 5)], float)
    clipped = rasterise([big], (20, 30))
    assert (clipped[:10] == 1).all()
    assert not clipped[11:].any()
    later = rasterise([np.array(SQUARE), big], (20, 30))
    assert later[4, 5] == 1
    assert later[0, 0] == 2
    assert rasterise([np.zeros((0, 2)), np.array(SQUARE[:2]), np.array(SQUARE)], (20, 30)).max() == 3
    even_odd = rasterise([ring], (20, 30))
    assert even_odd[3, 3] == 1
    assert even_odd[8, 8] == 0
    outside = rasterise([np.array(SQUARE) + 100], (20, 30))
    assert not outside.any()
    with pytest.raises(ValueError, match="70000 regions in one tile, expected at most 65535"):
        rasterise([np.zeros((0, 2))] * 70000, (4, 4))


def test_polygons_are_read_as_row_and_column(tmp_path: Path) -> None:
    first, second = read_polygons(annotation(tmp_path / "a.xml", [SQUARE, [(1.5, 2.5)]]))
    np.testing.assert_array_equal(first, SQUARE)
    assert second.shape == (1, 2)


@pytest.mark.parametrize(
    "text",
    [
        "<Annotations><Annotation>",
        "not xml",
        "<Other/>",
        '<Annotations><Region><Vertex X="1"/></Region></Annotations>',
        '<Annotations><Region><Vertex X="a" Y="1"/></Region></Annotations>',
        '<Annotations><Region><Vertex X="nan" Y="1"/></Region></Annotations>',
    ],
)
def test_bad_annotations(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"a\.xml: is not .*ImageScope annotation.*unpack the archive again"):
        read_polygons(path)


def test_scikit_image_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import monai.utils

    monkeypatch.setattr(monai.utils, "optional_import", lambda *args, **kwargs: (None, False))
    with pytest.raises(ImportError, match=r"pip install 'sa2_monai\[microscopy\]'"):
        rasterise([], (4, 4))


# --- MoNuSeg ---


def test_monuseg_as_downloaded(monuseg: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        training = load_datalist(monuseg, "training", "monuseg")
    assert "6 training images, the published data set has 30 or 37" in caplog.text
    assert "2 test images, the published data set has 14" in caplog.text
    test = load_datalist(monuseg, "test", "monuseg")
    assert [c["case"] for c in test] == ["TCGA-T0", "TCGA-T1"]
    assert len(training) == 4
    case = training[0]
    assert set(case) == {"image", "label", "instances", "case"}
    assert Path(case["label"]).parent == monuseg / ".sa2_monai" / "labels"
    label, instances = read_label(case["label"]), read_label(case["instances"])
    assert label.shape == (20, 30)
    assert set(np.unique(label)) == {0, 255}
    assert instances.dtype == np.uint16
    np.testing.assert_array_equal(label > 0, instances > 0)


def test_monuseg_masks_are_made_once_and_follow_the_annotation(monuseg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_parts(monuseg, "monuseg")["test"][0]
    with monkeypatch.context() as patched:
        patched.setattr(monuseg_module, "rasterise", lambda *args: pytest.fail("made again"))
        assert load_parts(monuseg, "monuseg")["test"][0] == before
    annotation(monuseg / "MoNuSegTestData" / "TCGA-T0.xml", [[(0.0, 0.0), (0.0, 9.0), (9.0, 0.0)]])
    after = load_parts(monuseg, "monuseg")["test"][0]
    assert after["label"] != before["label"]
    assert read_label(after["label"])[1, 1] == 255


def test_monuseg_cache_folders(monuseg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = load_parts(monuseg, "monuseg", cache_dir=tmp_path / "cache")["test"][0]
    assert Path(given["label"]).is_relative_to(tmp_path / "cache")
    # Read-only data: the user's cache folder is used.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", lambda *args: False)
        assert Path(load_parts(monuseg, "monuseg")["test"][0]["label"]).is_relative_to(tmp_path / "home" / "sa2_monai")
    mkdir = Path.mkdir

    def refuse(self: Path, *args: object, **kwargs: object) -> None:
        if self.name == ".sa2_monai":
            raise PermissionError(13, "Permission denied")
        mkdir(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert Path(load_parts(monuseg, "monuseg")["test"][0]["label"]).is_relative_to(tmp_path / "home" / "sa2_monai")


def test_monuseg_without_regions(monuseg: Path, caplog: pytest.LogCaptureFixture) -> None:
    annotation(monuseg / "MoNuSegTestData" / "TCGA-T0.xml", [])
    assert not read_label(load_parts(monuseg, "monuseg")["test"][0]["label"]).any()
    assert "TCGA-T0.xml: no region with three vertices" in caplog.text


def test_monuseg_errors(monuseg: Path, tmp_path: Path) -> None:
    (monuseg / "MoNuSegTestData" / "TCGA-T0.xml").unlink()
    annotation(monuseg / "MoNuSegTestData" / "stray.xml", [])
    with pytest.raises(
        ValueError, match=r"(?s)tiles without annotation.*TCGA-T0\.tif|annotations without tile"
    ) as caught:
        monuseg_parts(monuseg)
    assert "stray.xml" in str(caught.value)
    image(monuseg / "other" / "TCGA-A0.tif")
    with pytest.raises(ValueError, match="two files of one name"):
        monuseg_parts(monuseg)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no \.tif and \.xml files, expected 'Tissue Images'"):
        monuseg_parts(tmp_path / "empty")


@pytest.mark.parametrize(("dataset", "label"), [("monuseg", "{}.png"), ("glas", "{}_anno.bmp")])
def test_prepared_layout(tmp_path: Path, dataset: str, label: str, caplog: pytest.LogCaptureFixture) -> None:
    for folder, count in (("Train_Folder", 10), ("Val_Folder", 2), ("Test_Folder", 3)):
        for i in range(count):
            name = f"{folder[0:2]}{i}"
            image(tmp_path / folder / "img" / f"{name}.png")
            # Instance numbers: any value but 0 is foreground.
            image(tmp_path / folder / "labelcol" / label.format(name), value=i + 2, colour=False)
    parts = load_parts(tmp_path, dataset)
    assert [len(p) for p in parts.values()] == [10, 2, 3]
    assert "the published data set has" in caplog.text
    assert len(load_datalist(tmp_path, "training", dataset)) == 10
    assert [len(p) for p in load_parts(tmp_path, dataset, fold=0).values()] == [8, 2, 3]
    (tmp_path / "Train_Folder" / "img" / "Tr3.png").unlink()
    with pytest.raises(ValueError, match="labels without an image"):
        load_parts(tmp_path, dataset)
    for path in (tmp_path / "Test_Folder" / "labelcol").iterdir():
        path.unlink()
    (tmp_path / "Test_Folder" / "labelcol").rmdir()
    image(tmp_path / "Train_Folder" / "img" / "Tr3.png")
    with pytest.raises(FileNotFoundError, match="labelcol: no such folder; the prepared layout"):
        load_parts(tmp_path, dataset)


# --- GlaS ---


@pytest.fixture
def glas(tmp_path: Path) -> Path:
    download = tmp_path / "downloads" / "glas"  # nothing else lies in the folder above it
    folder = download / "Warwick QU Dataset (Released 2016_07_08)"
    rows = ["name, patient ID, grade (GlaS), grade (Sirinukunwattana et al. 2015)"]
    for name in [*(f"train_{i}" for i in range(1, 7)), "testA_1", "testA_2", "testB_1"]:
        image(folder / f"{name}.bmp")
        image(folder / f"{name}_anno.bmp", value=3, colour=False)
        rows.append(f"{name}, 4, benign, adenomatous")
    (folder / "Grade.csv").write_text("\n".join(rows) + "\n")
    return download


def test_glas_as_downloaded(glas: Path, caplog: pytest.LogCaptureFixture) -> None:
    test = load_datalist(glas, "test", "glas")
    assert "3 test images, the published data set has 80" in caplog.text
    assert [c["case"] for c in test] == ["testA_1", "testA_2", "testB_1"]
    assert test[0]["patient"] == "4"
    assert test[0]["grade"] == "benign"
    assert test[0]["instances"] == test[0]["label"]
    # One patient in all parts: the official split and the published folds go by image.
    assert [len(p) for p in load_parts(glas, "glas").values()] == [4, 2, 3]
    inner = next(glas.iterdir())
    assert load_parts(inner, "glas") == load_parts(glas, "glas") == load_parts(glas.parent, "glas")


def test_glas_without_or_with_foreign_grades(glas: Path, caplog: pytest.LogCaptureFixture) -> None:
    grades = next(glas.rglob("Grade.csv"))
    grades.write_text("a,b\n1,2\n")
    assert "patient" not in glas_parts(glas)["training"][0]
    assert "has not the columns 'name', 'patient ID'" in caplog.text
    grades.unlink()
    assert "grade" not in glas_parts(glas)["training"][0]


def test_glas_errors(glas: Path, tmp_path: Path) -> None:
    next(glas.rglob("testA_2_anno.bmp")).unlink()
    with pytest.raises(ValueError, match=r"(?s)images without a label \(1\).*testA_2\.bmp"):
        glas_parts(glas)
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match=r"no files <stem>_anno\.bmp.*Train_Folder/\{img,labelcol\}"):
        glas_parts(tmp_path / "none")
