# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai datasets``: list, check, prepare, split, calibrate."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from sa2_monai.bundle.dataset_overlays import describe_datasets
from sa2_monai.cli.datasets.listing import text
from sa2_monai.cli.main import main
from sa2_monai.data import DATASETS, SYNAPSE_TABLES
from sa2_monai.data.dataset import DataSet, Job, ListOptions, Preparation, report_counts
from sa2_monai.data.layouts.cases import Case, Parts
from tests.data.layouts.discovery.lab_folders import build, grey


def datasets(*arguments: object) -> int:
    return main(["datasets", *map(str, arguments)])


def copy(job: Job, folder: Path) -> list[Case]:
    """One image as image and label."""
    with Image.open(job.sources[0]) as drawn:
        drawn.save(folder / f"{job.name}.png")
    return [{"section": "training", "image": f"{job.name}.png", "label": f"{job.name}.png", "case": job.name}]


def jobs(number: int, directory: Path, options: ListOptions) -> list[Job]:
    return [Job(path.stem, (path,), copy) for path in sorted((directory / "images").iterdir())[:number]]


# ---- list


def test_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert datasets() == 0
    alone = capsys.readouterr().out
    assert datasets("list") == 0
    printed = capsys.readouterr().out
    assert printed == alone
    for name, entry in DATASETS.items():
        assert f"{name}: {entry.title}"[:80] in printed
    assert max(map(len, printed.splitlines())) <= 120

    assert datasets("list", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert sorted(document) == sorted(DATASETS)
    assert document["acdc"] == {
        "title": "ACDC: ventricles and myocardium in short-axis cine MR",
        "files": "volumes",
        "classes": ["background", "right ventricle", "myocardium", "left ventricle"],
        "splits": ["mtunet", "ssl4mis", "official"],
        "preparations": {},
        "licence": "research use, see the homepage",
        "homepage": "https://www.creatis.insa-lyon.fr/Challenge/acdc/",
        "citation": "Bernard et al., IEEE Transactions on Medical Imaging 37 (2018) 2514-2525",
        "overlays": document["acdc"]["overlays"],
    }
    assert document["acdc"]["overlays"]["daeformer"] == ["acdc"]
    assert document["folder"]["classes"] is None


def test_list_of_chosen_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert datasets("list", "glas", "monuseg", "--json") == 0
    assert list(json.loads(capsys.readouterr().out)) == ["glas", "monuseg"]
    with pytest.raises(SystemExit) as stopped:
        datasets("list", "none")
    assert stopped.value.code == 2
    assert "NAME is 'none', expected one of" in capsys.readouterr().err


def test_every_published_set_states_its_terms() -> None:
    for name, entry in DATASETS.items():
        own = entry.title.startswith(("images", "volumes")) or not entry.classes
        assert entry.title, name
        assert own or (entry.licence and entry.homepage.startswith("https://") and entry.citation), name


def test_overlays_are_told_by_their_layout(tmp_path: Path) -> None:
    configs = tmp_path / "mynet" / "configs"
    configs.mkdir(parents=True)
    (configs / "train.yaml").write_text("layout: glas\n")
    (configs / "hearts.yaml").write_text("# hearts\nkind: volumes\nlayout: acdc   # as downloaded\n")
    (configs / "paper.yaml").write_text("x#layout: glas\n")
    document = describe_datasets(["acdc", "glas"], tmp_path)
    assert {name: entry["overlays"] for name, entry in document.items()} == {"acdc": {"mynet": ["hearts"]}, "glas": {}}
    assert "  bundles:   mynet (hearts)" in text(document)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list", "--help"], ["list"], ["list", "--json"], ["check", "--help"]]
)
def test_neither_torch_nor_monai_is_imported(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom sa2_monai.cli import main\n"
        "try:\n    main(['datasets', *sys.argv[1:]])\nexcept SystemExit as stopped:\n    assert not stopped.code\n"
        "slow = {'torch', 'monai', 'ignite'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---- check


def test_check_of_data_in_order(sample_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert datasets("check", "folder", sample_dir) == 0
    printed = capsys.readouterr().out
    assert (
        f"folder in {sample_dir}\n  training:    8 cases\n  validation:  4 cases\n  test:        4 cases\n" in printed
    )
    assert "  sizes:       128 x 128 (height x width)\n" in printed
    assert printed.endswith("in order\n")
    assert datasets("check", "folder", sample_dir, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert list(report["label_values"]) == ["0", "255"]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Six images of three patients with the label values 0 and 3."""
    for kind in ("images", "labels"):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for number in range(6):
            array = np.full((4, 5 + number), 0, dtype=np.uint8)
            array[0] = 3
            Image.fromarray(array).save(tmp_path / "data" / kind / f"patient{number // 2}_{number}.png")
    return tmp_path / "data"


def test_check_names_what_is_left_out(sample_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data"
    shutil.copytree(sample_dir, folder)
    (folder / "README.md").unlink()
    assert datasets("check", "folder", folder) == 0
    assert "left out" not in capsys.readouterr().out
    for name in ("images/x.svs", "images/sub/y.png", "images/.hidden.png", "extra.svs"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert datasets("check", "folder", folder) == 0
    assert capsys.readouterr().out.endswith("left out: 2 .svs, 1 .png\nin order\n")


def test_check_of_data_that_are_not(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert datasets("check", "folder", images) == 1
    printed = capsys.readouterr().out
    assert "  sizes:       4 x 5..10 (height x width)\n  values:      0 (75.00%), 3 (25.00%)\n" in printed
    assert "problem: " in printed
    assert f"{images / 'labels' / 'patient0_0.png'}: 3" in printed
    assert printed.endswith("NOT in order\n")
    named = ("--class-names", "background, cell", "--label-values")
    assert datasets("check", "folder", images, *named, '{"0": 0, "3": 1}') == 0
    assert "  classes:     background, cell\n" in capsys.readouterr().out
    assert datasets("check", "folder", images, *named, "nonzero") == 0
    capsys.readouterr()
    (images / "labels" / "patient1_2.png").unlink()
    assert datasets("check", "folder", images, *named, "nonzero", "--json") == 1
    assert "patient1_2.png" in json.loads(capsys.readouterr().out)["problems"][0]
    assert datasets("check", "folder", images / "nowhere") == 1
    assert "nowhere: no such folder" in capsys.readouterr().err


def test_check_of_a_path_alone(sample_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "d", {f"scans/{n}.png": f"masks/{n}_seg.png" for n in "abcd"})
    assert datasets("check", tmp_path / "d") == 0
    assert capsys.readouterr().out == (
        f"folder in {tmp_path / 'd'}\n  training:    4 cases\n"
        "  layout:      scans/ and masks/, paired by name with '*_seg'\n"
        "  pair:        scans/a.png <-> masks/a_seg.png\n"
        "  pair:        scans/b.png <-> masks/b_seg.png\n"
        "  pair:        scans/c.png <-> masks/c_seg.png\n"
        "  sizes:       12 x 10 (height x width)\n  values:      0 (83.33%), 1 (16.67%)\n"
        "  classes:     background, foreground\nin order\n"
    )
    assert datasets("check", sample_dir, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["dataset"], report["layout"]) == ("folder", "listed in dataset.json")
    assert len(report["pairs"]) == 3
    # The answer to a question, by its options.
    build(tmp_path / "d", {f"scans/{n}.png": f"gt/{n}.png" for n in "abcd"})
    assert datasets("check", tmp_path / "d") == 1
    error = capsys.readouterr().err
    assert "gt/ and masks/ pair with all images, which are the labels?" in error
    assert "Give --labels 'gt/*.png' or 'masks/*.png', with --images 'scans/*.png'" in error
    assert datasets("check", tmp_path / "d", "--images", "scans/*.png", "--labels", "gt/*.png") == 0
    assert "pair:        scans/a.png <-> gt/a.png" in capsys.readouterr().out
    assert datasets("check", tmp_path / "d", "--images", "scans/*.png") == 1
    assert "--images needs --labels as well" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        datasets("check", "glas", tmp_path / "d", "--images", "*", "--labels", "*")
    assert stopped.value.code == 2
    assert "are for data of your own, and 'glas' is published" in capsys.readouterr().err


def test_check_shows_colours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "d", {f"images/{n}.png": f"masks/{n}.png" for n in "ab"})
    for name in "ab":
        array = np.zeros((12, 10, 3), np.uint8)
        array[:3] = (0, 0, 255)
        grey(tmp_path / "d" / "masks" / f"{name}.png", array)
    assert datasets("check", tmp_path / "d") == 1
    assert "the labels hold colours (#000000, #0000ff), which are which class?" in capsys.readouterr().err
    table = tmp_path / "table.csv"
    table.write_text("name,color\nbackground,#000000\nsky,#0000ff\n")
    assert datasets("check", tmp_path / "d", "--colours", table) == 0
    printed = capsys.readouterr().out
    assert "  values:      #000000 (75.00%), #0000ff (25.00%)\n  classes:     background, sky\n" in printed


def test_check_counts_classes_that_nobody_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path, {f"{n}.nii.gz": f"{n}_seg.nii.gz" for n in "abc"})
    array = np.zeros((12, 10), np.uint8)
    array[:3], array[5:7] = 1, 2
    for name in "abc":
        grey(tmp_path / f"{name}_seg.nii.gz", array)
    assert datasets("check", tmp_path) == 0
    assert "  classes:     background, class 1, class 2\n" in capsys.readouterr().out


def test_check_says_what_is_missing_of_a_published_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2, 101):
        folder = tmp_path / ("training" if number < 101 else "testing") / f"patient{number:03d}"
        folder.mkdir(parents=True)
        (folder / "Info.cfg").write_text("ED: 1\nES: 2\n")
        for frame in ("frame01", "frame01_gt", "frame02", "frame02_gt"):
            array = np.zeros((3, 4, 2), dtype=np.uint8)
            if number < 101 or not frame.endswith("gt"):
                nib.save(nib.Nifti1Image(array, np.eye(4)), folder / f"{folder.name}_{frame}.nii.gz")
    assert datasets("check", "acdc", tmp_path, "--split", "official") == 1
    printed = capsys.readouterr().out
    assert f"acdc in {tmp_path}, split official\n  training:    4 cases, 2 patients or groups\n" in printed
    assert "  test:        2 cases, 2 without a label, 1 patients or groups\n" in printed
    assert "differs: 3 patients, the split 'official' of the published data set has 150\n" in printed
    (tmp_path / "training" / "patient002" / "patient002_frame02_gt.nii.gz").unlink()
    assert datasets("check", "acdc", tmp_path) == 1
    assert "patient002_frame02_gt.nii.gz" in capsys.readouterr().out


def test_check_of_what_is_to_be_prepared(
    images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def parts(directory: Path, options: ListOptions) -> Parts:
        if (directory / "images").is_dir():
            raise ValueError(f"{directory}: prepare it first")
        report_counts(directory, {"training": []}, {"training": (4, 6)})
        return {"training": []}

    entry = DataSet(parts, preparations={"all": Preparation("", "images", partial(jobs, 6))})
    monkeypatch.setitem(DATASETS, "copies", entry)
    assert datasets("check", "copies", images) == 0
    assert capsys.readouterr().out == (
        f"copies in {images}\n  as downloaded: 6 files; to be prepared in 6 jobs\n"
        f"  next: sa2-monai datasets prepare copies {images} OUT\n  classes:     background, foreground\nin order\n"
    )
    assert datasets("check", "copies", images / "labels") == 1
    printed = capsys.readouterr().out
    assert "  training:    0 cases\n  published:   4 or 6 training cases, found 0\n" in printed
    assert "differs: 0 training images, the published data set has 4 or 6\nproblem: " in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "none", "."], "NAME is 'none', expected one of"),
        (["check", "glas", ".", "--split", "s"], "--split is 's', 'glas' has one only; leave it out"),
        (["check", "acdc", ".", "--split", "s"], "--split is 's', 'acdc' has mtunet, ssl4mis, official"),
        (
            ["check", "folder", ".", "--label-values", "{1"],
            "--label-values is '{1', expected nonzero, threshold, or JSON",
        ),
        (["prepare", "none", ".", "out"], "NAME is 'none'"),
        (["prepare", "glas", ".", "out", "--form", "f"], "--form is 'f', 'glas' has none"),
        (["prepare", "kits23", ".", "out", "--workers", "-1"], "--workers is -1, expected 0 or more"),
        (["split", "none", ".", "out"], "NAME is 'none'"),
        (["check"], "the following arguments are required: DATA"),
        (["turn"], "invalid choice: 'turn'"),
    ],
)
def test_wrong_use(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        datasets(*arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


# ---- prepare


def test_prepare(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    preparations = {name: Preparation("copies", "images", partial(jobs, n)) for name, n in (("all", 6), ("two", 2))}
    entry = DataSet(lambda directory, options: {}, title="copies", preparations=preparations)
    monkeypatch.setitem(DATASETS, "copies", entry)
    out = tmp_path / "out"
    assert datasets("prepare", "copies", images, out) == 0
    captured = capsys.readouterr()
    assert captured.out == (
        f"{out}: 6 jobs done, 0 were finished already\n6 training, 0 validation, 0 test cases of the form 'all'\n"
    )
    assert "copies: all: 100%" in captured.err
    (out / "patient0_1.png").unlink()
    assert datasets("prepare", "copies", images, out, "--form", "all", "--workers", "0") == 0
    assert "1 jobs done, 5 were finished already" in capsys.readouterr().out
    assert datasets("prepare", "copies", images, out, "--form", "two") == 1
    assert "holds another preparation (dataset 'copies', form 'all'), expected" in capsys.readouterr().err
    assert datasets("list", "copies") == 0
    assert "  prepare:   all: copies; two: copies" in capsys.readouterr().out


# ---- split


def test_split(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    options = ("--patient-pattern", r"patient\d", "--num-folds", 2, "--test-fraction", 0.34, "--seed", 3)
    folds = []
    for fold in range(2):
        assert datasets("split", "folder", images, out / str(fold), *options, "--fold", fold) == 0
        parts = {
            name: (out / str(fold) / f"{name}.txt").read_text().split() for name in ("training", "validation", "test")
        }
        assert sorted(case for cases in parts.values() for case in cases) == sorted(
            path.stem for path in (images / "images").iterdir()
        )
        # Each part is one patient, as there are three.
        assert [len({case.split("_")[0] for case in cases}) for cases in parts.values()] == [1, 1, 1]
        folds.append(parts)
    assert folds[0]["training"] == folds[1]["validation"]
    assert folds[0]["test"] == folds[1]["test"]
    printed = capsys.readouterr().out.splitlines()
    assert printed[1] == f"{out / '0' / 'validation.txt'}: 2 cases of 1 patients or groups"

    assert datasets("split", "folder", images, out, *options, "--fold", 2) == 1
    assert "fold is 2, expected 0 to 1" in capsys.readouterr().err
    assert datasets("split", "folder", images, out / "0", "--num-folds", 2, "--test-fraction", 0) == 0
    assert "test.txt: 0 cases" in capsys.readouterr().out


# ---- calibrate


def test_calibrate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An archive whose slices are the transposed ones of the volume, from the feet up, in a file of LPS order."""
    h5py = pytest.importorskip("h5py")
    random = np.random.RandomState(0)
    image = random.randint(-300, 500, (5, 6, 4)).astype(np.int16)
    label = random.randint(0, 14, image.shape).astype(np.uint8)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])  # to the left, to the back, to the head
    for name, array in (("img0008", image), ("label0008", label)):
        nib.save(nib.Nifti1Image(array, affine), tmp_path / f"{name}.nii.gz")
    scaled = (np.clip(image.astype(np.float32), -125, 275) + 125) / 400
    mapped = np.vectorize(SYNAPSE_TABLES["raw"].get)(label).astype(np.uint8)
    with h5py.File(tmp_path / "case0008.npy.h5", "w") as file:
        file["image"], file["label"] = scaled.transpose(2, 1, 0), mapped.transpose(2, 1, 0)
    files = [tmp_path / name for name in ("case0008.npy.h5", "img0008.nii.gz", "label0008.nii.gz")]
    output = tmp_path / "raw" / "orientation.json"
    assert datasets("calibrate", *files, "--output", output) == 0
    assert json.loads(output.read_text()) == {"transpose": True, "flip": [], "reverse_z": False, "relative_to": "LPS"}
    assert capsys.readouterr().out.startswith(f"{output}: {{")
    nib.save(nib.Nifti1Image(image[::-1] // 2, affine), files[1])
    assert datasets("calibrate", *files[:2], "--output", tmp_path / "other.json") == 1
    assert "none of 16 orientations" in capsys.readouterr().err
    assert not (tmp_path / "other.json").exists()
