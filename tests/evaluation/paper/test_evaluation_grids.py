# SPDX-License-Identifier: Apache-2.0
"""The paper families on files as the bundles leave them: references of their own size, nuclei of images, archives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import zoom

from sa2_monai import metrics
from sa2_monai.cli import main
from sa2_monai.evaluation import evaluate, write_report
from sa2_monai.evaluation.paper.grids import RULES_BACK, nearest_samples, resize_labels
from sa2_monai.slices.spline_resize import nearest_index

GOLDENS = Path(__file__).parents[2] / "goldens"
SET = json.loads((GOLDENS / "metrics.json").read_text())["image_sets"][0]
ARRAYS = dict(np.load(GOLDENS / "metrics.npz"))
TWO = ["background", "lesion"]
# 276 and 332 are among the sizes where PyTorch's single precision matters, 288 and 512 where Pillow's sums do
SIZES = [(767, 1022), (288, 384), (512, 512), (276, 332), (100, 61), (224, 300), (1, 5)]


def drawn(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(shape[0]).integers(0, 5, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", SIZES)
def test_each_family_has_the_nearest_neighbour_of_its_library(shape: tuple[int, int]) -> None:
    array, grid = drawn(shape), (224, 224)
    tensor = torch.from_numpy(array)[None, None].float()
    torchs = torch.nn.functional.interpolate(tensor, size=grid, mode="nearest")[0, 0].numpy()
    assert np.array_equal(resize_labels(array, grid, "floor"), torchs)
    pillows = np.asarray(Image.fromarray(array).resize((224, 224), Image.Resampling.NEAREST))
    assert np.array_equal(resize_labels(array, grid, "centre"), pillows)
    scipys = zoom(array, (224 / shape[0], 224 / shape[1]), order=0)
    assert np.array_equal(resize_labels(array, grid, "zoom"), scipys)
    assert resize_labels(torchs, grid, "floor") is torchs


@pytest.mark.parametrize("size", [224, 225, 290, 384, 512, 767, 1022, 2048])
def test_what_the_paper_view_enlarges_comes_back(size: int) -> None:
    # as PaperView goes from the grid to the slice after a spline, and after a bilinear or bicubic resize
    there = nearest_index(224, size, "constant")
    back = there[nearest_samples(size, 224, RULES_BACK["image_2d"])]
    lost = back < 0  # the border defect takes the last row of some sizes away
    assert np.array_equal(back[~lost], np.arange(224)[~lost])
    assert lost.sum() <= 1
    exact = torch.nn.functional.interpolate(torch.arange(224.0)[None, None], size=size, mode="nearest-exact")[0, 0]
    for family in ("pooled", "cell", "size_range"):
        assert np.array_equal(exact.numpy()[nearest_samples(size, 224, RULES_BACK[family])], np.arange(224))


def test_a_reference_of_another_size_comes_onto_the_grid() -> None:
    reference = drawn((90, 70)) % 2
    for family, rule in (("pooled", "floor"), ("image_2d", "zoom"), ("size_range", "centre")):
        on_grid = resize_labels(reference, (32, 40), rule)
        options: dict[str, Any] = {"family": family, "paper": {"grid": [32, 40]}, "bootstrap_samples": 5}
        result = evaluate({"a": on_grid}, {"a": reference * 255}, TWO, "paper", label_values="nonzero", **options)
        assert result.headline == 1
        # rows of the background come first in image_2d
        assert result.per_case[-1]["voxels_ref"] == on_grid.sum()
        with pytest.raises(ValueError, match=rf"family '{family}' compares at 32x40; .*set resize_predictions"):
            evaluate({"a": reference}, {"a": reference}, TWO, "paper", **options)
        with pytest.raises(ValueError, match=rf"shape \(9, 70\), family '{family}' compares at 32x40; .*set grid"):
            evaluate({"a": reference[:9]}, {"a": reference}, TWO, "paper", **options)
        with pytest.raises(ValueError, match=r"compares images \(H, W\)"):
            evaluate({"a": np.ones((3, 3, 3), int)}, {"a": np.ones((3, 3, 3), int)}, TWO, "paper", **options)


def test_predictions_of_the_references_size_when_asked_for() -> None:
    reference = np.zeros((96, 120), np.uint8)
    reference[20:60, 30:90] = 1
    small = np.zeros((32, 40), np.uint8)
    small[6:20, 10:30] = 1
    aligned = zoom(small, (96 / 32, 120 / 40), order=0, mode="mirror")
    centred = small.repeat(3, axis=0).repeat(3, axis=1)
    options: dict[str, Any] = {"grid": [32, 40], "resize_predictions": True}
    for family in ("pooled", "image_2d", "size_range"):
        direct, resized = (
            evaluate({"a": p}, {"a": reference}, TWO, "paper", family=family, paper=options)
            for p in (small, aligned if family == "image_2d" else centred)
        )
        assert resized.summary["paper"] == direct.summary["paper"]
        assert resized.per_case[-1]["voxels_pred"] == small.sum()
        assert any("predictions of another size" in line for line in resized.summary["deviations"])
    with pytest.raises(ValueError, match=r"save predictions at the size of the reference, \(96, 120\)"):
        evaluate({"a": small[:9]}, {"a": reference}, TWO, "paper", family="pooled", paper=options)


def test_the_size_of_an_object_is_that_in_the_file() -> None:
    """Three of 19 200 pixels: the object is lost on the grid, but not its size."""
    reference = np.zeros((120, 160), np.uint8)
    reference[60, 80:83] = 1
    options: dict[str, Any] = {"family": "size_range", "paper": {"grid": 16, "sizes": [0.01, 0.02, 100]}}
    result = evaluate({"a": np.zeros((16, 16), int)}, {"a": reference}, TWO, "paper", **options)
    block = result.summary["paper"]
    assert block["images"]["a"]["object_percent"] == pytest.approx(300 / 19200)
    assert [block["below_percent"][limit]["images"] for limit in ("0.01", "0.02", "100")] == [0, 1, 1]
    assert not any("measured on the grid" in line for line in result.summary["deviations"])
    same = evaluate({"a": reference}, {"a": reference}, TWO, "paper", **{**options, "paper": {"grid": [120, 160]}})
    assert any("measured on the grid" in line for line in same.summary["deviations"])


def test_size_range_has_the_foreground_measures_of_every_subset(tmp_path: Path) -> None:
    predictions = {str(i): p for i, p in enumerate(ARRAYS["image_set.pred"])}
    references = {str(i): r for i, r in enumerate(ARRAYS["image_set.ref"])}
    options = {"grid": list(ARRAYS["image_set.pred"].shape[1:]), "sizes": [1, 100]}
    data = [{"label": r, "case": case} for case, r in references.items()]
    names = ["background", "a", "b"]
    result = write_report(
        predictions, data, names, tmp_path, overlays=0, protocol="paper", family="size_range", paper=options
    )
    block = result.summary["paper"]
    masks = [(p > 0, (r > 0) & (r != 255)) for p, r in zip(predictions.values(), references.values(), strict=True)]
    s_values = [metrics.s_measure(*pair) for pair in masks]
    assert block["s_measure"] == pytest.approx(np.mean(s_values))
    assert block["e_measure"] == block["below_percent"]["100"]["e_measure"]
    below, chosen = block["below_percent"]["1"], SET["size_below_percent"]["1"]["images"]
    assert [int(case) for case in below["cases"]] == chosen
    assert below["s_measure"] == pytest.approx(np.mean([s_values[i] for i in chosen]))
    assert below["e_measure"] == pytest.approx(np.mean([SET["e_measure_per_image"][i] for i in chosen]))
    assert below["mean_absolute_error"] == pytest.approx(np.mean([SET["absolute_error_per_image"][i] for i in chosen]))
    stacks = [np.stack([masks[i][k] for i in chosen]) for k in (0, 1)]
    assert below["e_measure_whole_batch"] == pytest.approx(metrics.e_measure(*stacks))
    assert block["e_measure_whole_batch"] == pytest.approx(0.8506, abs=5e-5)  # Q9
    golden = SET["pooled_classes"]["micro"]
    assert [block[name] for name in ("dice", "iou", "precision", "recall", "f2")] == pytest.approx(
        [golden[name] for name in ("dice", "iou", "precision", "recall", "f2")]
    )
    assert any("S-measure is not published" in line for line in result.summary["deviations"])
    html = (tmp_path / "report.html").read_text()
    assert "Sizes of objects" in html
    assert f'<th scope="row">&lt; 1 %</th><td>3</td><td>{below["micro"]["dice"]:.3f}</td>' in html
    assert "< 100 %" in (tmp_path / "table.txt").read_text()


def cells() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    reference, prediction, nucleus = np.zeros((3, 48, 60), np.uint8)
    reference[10:40, 10:50] = 1
    prediction[10:40, 15:50] = 1
    nucleus[20:30, 20:40] = 255
    return prediction, reference, nucleus


def test_the_nucleus_is_the_last_channel_of_the_image(tmp_path: Path) -> None:
    prediction, reference, nucleus = cells()
    colour = np.zeros((48, 60, 3), np.uint8)
    np.save(tmp_path / "four.npy", np.dstack([colour, nucleus]))
    Image.fromarray(colour).save(tmp_path / "rgb.png")
    Image.fromarray(nucleus).save(tmp_path / "nucleus.png")
    images = {
        "file": tmp_path / "four.npy",
        "list": [str(tmp_path / "rgb.png"), str(tmp_path / "nucleus.png")],
        "array": np.dstack([colour, nucleus]),
    }
    grid = (24, 30)
    small = resize_labels(prediction, grid, "floor")
    expected = (resize_labels(m, grid, "floor") for m in (prediction, reference, nucleus))
    p, r, outside = (m > 0 for m in expected)
    wanted = metrics.counts(p & ~outside, r & ~outside)
    for case, image in images.items():
        data = [{"image": image, "label": reference, "case": case}]
        paper = {"grid": list(grid), "nuclei": "image"}
        options: dict[str, Any] = {"protocol": "paper", "family": "cell", "paper": paper}
        result = write_report({case: small}, data, ["background", "cytoplasm"], tmp_path / case, **options)
        assert result.summary["paper"]["counts"] == wanted._asdict()
    with pytest.raises(ValueError, match="case x: has no image, from whose last channel"):
        evaluate({"x": small}, {"x": reference}, TWO, **options)
    with pytest.raises(ValueError, match=r"image of case x: has shape \(48, 60\), expected .H, W, C. with the nucleus"):
        evaluate({"x": small}, {"x": reference}, TWO, images={"x": nucleus}, **options)


def test_the_options_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prediction, reference, nucleus = cells()
    for folder, array in (("p", prediction), ("r", reference), ("n", nucleus)):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "a.png")
    words = ["evaluate", "-p", str(tmp_path / "p"), "-r", str(tmp_path / "r"), "--protocol", "paper"]
    on_grid = ["--grid", "24", "30", "--resize-predictions"]
    assert main([*words, *on_grid, "--family", "cell", "--nuclei", str(tmp_path / "n")]) == 0
    assert "dice: 0.9" in capsys.readouterr().out
    assert main([*words, *on_grid, "--family", "size_range", "--contour-size"]) == 0
    assert "largest object" in capsys.readouterr().out
    assert main([*words, "--family", "volume", "--with-background"]) == 0
    assert "background" in capsys.readouterr().out


def test_volume_with_the_background_as_a_class() -> None:
    reference, prediction = np.zeros((2, 9, 9, 4), np.uint8)
    reference[2:6, 2:6, 1:3] = 1
    prediction[2:6, 3:7, 1:3] = 1
    run = {"family": "volume", "bootstrap_samples": 5}
    organs = evaluate({"a": prediction}, {"a": reference}, TWO, "paper", **run)
    nine = evaluate({"a": prediction}, {"a": reference}, TWO, "paper", **run, paper={"background": True})
    background = 2 * (324 - 40) / (2 * (324 - 32))
    assert organs.headline == 0.75
    assert nine.headline == pytest.approx((0.75 + background) / 2)
    assert [row["class_name"] for row in nine.per_case] == TWO
    lesion = nine.summary["paper"]["per_class"]["lesion"]
    shares = {name: lesion.pop(name) for name in ("sensitivity", "specificity", "accuracy")}
    assert lesion == organs.summary["paper"]["per_class"]["lesion"]
    assert shares == pytest.approx({"sensitivity": 24 / 32, "specificity": 284 / 292, "accuracy": 308 / 324})
    assert nine.summary["paper"]["accuracy"] == pytest.approx(308 / 324)
    # the one class' sensitivity is the other's specificity
    assert nine.summary["paper"]["sensitivity"] == nine.summary["paper"]["specificity"]
    assert "sensitivity" not in organs.summary["paper"]
    assert nine.per_case[1]["sensitivity"] == 24 / 32
    assert nine.summary["classes"] == {"0": "background", "1": "lesion"}
    assert nine.summary["protocol"]["background"]


@pytest.mark.parametrize("depth", [0, 4])
def test_references_in_archives(tmp_path: Path, depth: int) -> None:
    """A volume as (D, H, W) in HDF5, a slice in NPZ; predictions as the bundles write them, with a stand-in affine."""
    label = np.zeros((depth or 1, 20, 24), np.float32)
    label[:, 4:12, 6:16] = 2
    if depth:
        h5py = pytest.importorskip("h5py", reason="extra `archives` is not installed")
        path = tmp_path / "case0001.npy.h5"
        with h5py.File(path, "w") as file:
            file["label"], file["image"] = label, label / 2
    else:
        path = tmp_path / "case0001.npz"
        np.savez(path, label=label[0], image=label[0] / 2)
    guess = label.transpose(1, 2, 0).astype(np.uint8)
    guess[4, 6:16] = 0
    (tmp_path / "p").mkdir()
    nibabel.save(nibabel.Nifti1Image(guess, np.eye(4)), tmp_path / "p" / "case0001.nii.gz")
    data = [{"image": str(path), "label": str(path), "case": "case0001"}]
    names = ["background", "a", "b"]
    result = write_report(tmp_path / "p", data, names, tmp_path / "out", protocol="paper", family="volume")
    dice = 2 * 70 / 150
    assert [row["dice"] for row in result.per_case] == [0, pytest.approx(dice)]
    assert result.per_case[1]["hd95"] == 1
    assert len(list((tmp_path / "out" / "overlays").glob("*.png"))) == 1
    clinical = evaluate(tmp_path / "p", [path], names)
    assert clinical.per_case[1]["unit"] == "px"
    assert clinical.per_case[1]["dice"] == pytest.approx(dice)
    (tmp_path / "r").mkdir()
    path.rename(tmp_path / "r" / path.name)
    assert evaluate(tmp_path / "p", tmp_path / "r", names).cases == ["case0001"]
    with pytest.raises(ValueError, match="holds no prediction files"):
        evaluate(tmp_path / "r", tmp_path / "r", names)
