# SPDX-License-Identifier: Apache-2.0
"""PolypGen: six centres, sequences, masks as JPEG, and the oddities of the published folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sa2_monai.data import load_datalist, load_parts, read_label
from sa2_monai.data.datasets.polypgen import polypgen_parts
from tests.support.miniatures.images import polypgen

BASE = "PolypGen2021_MultiCenterData_v3"


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    polypgen(tmp_path)
    return tmp_path


def test_single_frames_and_sequences(mini: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = {s: load_datalist(mini, s, "polypgen", in_channels=3) for s in ("training", "validation", "test")}
    assert "18 training images, the published data set has 3762" in caplog.text
    cases = sorted((case for part in parts.values() for case in part), key=lambda case: str(case["case"]))
    assert [case["case"] for case in cases] == [
        *(f"C{c}_{c}00H000{f}" for c in range(1, 7) for f in (1, 2)),
        *(f"seq{s}_{s}_endocv2021_positive_{f}" for s in (1, 2, 3) for f in (1, 2)),
    ]
    groups = [{case["group"] for case in part} for part in parts.values()]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
    assert {g for part in groups for g in part if g.startswith("seq")} == {"seq1", "seq2", "seq3"}
    assert len(set().union(*groups)) == 15  # twelve single frames, three sequences


def test_masks_are_thresholded(mini: Path) -> None:
    for case in polypgen_parts(mini)["training"]:
        name = Path(case["image"]).stem
        folder = Path(case["image"]).parent
        mask = folder.parent / folder.name.replace("images", "masks") / f"{name}_mask.jpg"
        grey = np.asarray(Image.open(mask).convert("L"))
        assert set(np.unique(grey)) > {0, 255}  # JPEG invents values
        label = read_label(case["label"])
        assert set(np.unique(label)) == {0, 255}
        np.testing.assert_array_equal(label == 255, grey > 127)


def test_centre_six_is_the_test_part(mini: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = load_parts(mini, "polypgen", split="by-centre")
    assert "10 training images, the published data set has 1449" in caplog.text
    assert [case["case"] for case in parts["test"]] == ["C6_600H0001", "C6_600H0002"]
    assert len({case["group"] for case in parts["validation"]}) == 1
    assert len(parts["training"]) == 8
    held_out = [load_parts(mini, "polypgen", split="by-centre", fold=k)["validation"][0]["group"] for k in range(5)]
    assert sorted(held_out) == ["C1", "C2", "C3", "C4", "C5"]


def test_oddities_of_the_published_folders(mini: Path) -> None:
    base = mini / BASE
    images, masks = base / "data_C3" / "images_C3", base / "data_C3" / "masks_C3"
    (images / "300H0001.jpg").rename(images / "C3_EndoCV2021_00489_.jpg")
    (masks / "300H0001_mask.jpg").rename(masks / "C3_EndoCV2021_00489_mask.jpg")
    (base / "sequenceData" / "positive" / "seq1" / "masks_seq1" / "1_endocv2021_positive_1.txt").write_text(
        "polyp 1 2 3 4"
    )
    (base / "sequenceData" / "positive" / ".DS_Store").write_bytes(b"")
    (base / "data_C4" / "images_C4" / "._400H0001.jpg").write_bytes(b"")
    shutil.copytree(images, base / "imagesAll_positive")
    cases = polypgen_parts(mini)["training"]
    assert len(cases) == 18
    assert "C3_EndoCV2021_00489_" in {case["case"] for case in cases}
    assert [case["case"] for case in polypgen_parts(base)["training"]] == [case["case"] for case in cases]


def test_single_frames_alone(mini: Path) -> None:
    shutil.rmtree(mini / BASE / "sequenceData")
    assert len(polypgen_parts(mini)["training"]) == 12


def test_errors(mini: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="split is 'x', expected one of by-sequence, by-centre"):
        load_parts(mini, "polypgen", split="x")
    (mini / BASE / "data_C1" / "masks_C1" / "100H0002_mask.jpg").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"(?s)unreadable label files \(1\).*100H0002_mask\.jpg"):
        polypgen_parts(mini)
    (mini / BASE / "data_C1" / "masks_C1" / "100H0002_mask.jpg").unlink()
    with pytest.raises(ValueError, match=r"(?s)images without a label \(1\).*100H0002\.jpg"):
        polypgen_parts(mini)
    shutil.rmtree(mini / BASE / "data_C1" / "masks_C1")
    with pytest.raises(ValueError, match=r"(?s)missing folders \(1\).*masks_C1"):
        polypgen_parts(mini)
    shutil.rmtree(mini / BASE / "data_C1")
    shutil.rmtree(mini / BASE / "data_C6")
    with pytest.raises(ValueError, match="data_C6: no such folder, split 'by-centre' tests on it"):
        polypgen_parts(mini, "by-centre")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="has no folders data_C1 to data_C6"):
        polypgen_parts(tmp_path / "empty")


@pytest.mark.realdata
def test_real_polyps_in_the_original_layout(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "kvasir_polyps"
    images = sorted((source / "images").iterdir())[:12]
    for number, path in enumerate(images):
        centre = f"C{1 + number // 2}"
        for kind, ending in (("images", ""), ("masks", "_mask")):
            folder = tmp_path / f"data_{centre}" / f"{kind}_{centre}"
            folder.mkdir(parents=True, exist_ok=True)
            original = path if kind == "images" else source / "labels" / f"{path.stem}.png"
            with Image.open(original) as image:
                image.save(folder / f"{path.stem}{ending}.jpg", quality=85)
    test = load_datalist(tmp_path, "test", "polypgen", split="by-centre", in_channels=3)
    assert [case["case"] for case in test] == [f"C6_{path.stem}" for path in images[10:]]
    for case, path in zip(test, images[10:], strict=True):
        truth = read_label(source / "labels" / f"{path.stem}.png") == 255
        found = read_label(case["label"]) == 255
        assert 2 * (truth & found).sum() / (truth.sum() + found.sum()) > 0.999  # what JPEG leaves of the border
