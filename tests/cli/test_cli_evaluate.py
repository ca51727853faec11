# SPDX-License-Identifier: Apache-2.0
"""The command ``evaluate``: exit codes, folders of nnU-Net, comparison, patients, limits, record of the run."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from sa2_monai.cli.main import main

AFFINE = np.diag([-1.5, -1.5, 3.0, 1.0])


def volume(shift: int = 0, spleen: bool = True) -> np.ndarray:
    labels = np.zeros((20, 18, 8), np.uint8)
    labels[4 + shift : 14, 3:15, 1:7] = 1
    if spleen:
        labels[16:19, 5:9, 2:5] = 2
    return labels


def save(path: Path, labels: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(labels, affine), path)


@pytest.fixture
def nnunet(tmp_path: Path) -> Path:
    """Folders as nnU-Net leaves them: raw data set, and two prediction folders with their JSON files."""
    raw = tmp_path / "Dataset001_Abdomen"
    table = {"background": 0, "liver": 1, "spleen": 2}
    for index in range(4):
        name = f"abd_{index:03d}"
        save(raw / "labelsTr" / f"{name}.nii.gz", volume())
        save(raw / "imagesTr" / f"{name}_0000.nii.gz", (volume() * 50).astype(np.int16))
        save(tmp_path / "first" / f"{name}.nii.gz", volume(1, spleen=index != 2))
        save(tmp_path / "second" / f"{name}.nii.gz", volume(3))
    content = {"channel_names": {"0": "CT"}, "labels": table, "numTraining": 4, "file_ending": ".nii.gz"}
    (raw / "dataset.json").write_text(json.dumps(content))
    for folder in ("first", "second"):
        (tmp_path / folder / "dataset.json").write_text(json.dumps(content))
        (tmp_path / folder / "plans.json").write_text("{}")
        (tmp_path / folder / "predict_from_raw_data_args.json").write_text("{}")
        (tmp_path / folder / "abd_000.npz").write_bytes(b"")
        (tmp_path / folder / "postprocessed").mkdir()
    return tmp_path


def run(root: Path, *options: str, predictions: str = "first") -> int:
    words = ["-p", str(root / predictions), "-r", str(root / "Dataset001_Abdomen" / "labelsTr")]
    return main(["evaluate", *words, "--bootstrap", "50", *options])


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_folders_of_nnunet_work_as_they_are(nnunet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = nnunet / "out"
    images = nnunet / "Dataset001_Abdomen" / "imagesTr"
    assert run(nnunet, "-o", str(out), "--images", str(images), "--overlays", "1") == 0
    summary = read(out / "metrics_summary.json")
    assert summary["classes"] == {"1": "liver", "2": "spleen"}
    assert summary["protocol"]["unit"] == "mm"
    assert summary["per_class"]["spleen"]["counts"] == {"ok": 3, "missed": 1, "spurious": 0, "absent": 0}
    assert summary["per_class"]["liver"]["hd95"]["mean"] == 1.5
    printed = capsys.readouterr().out
    assert f"Report:    {out / 'report.html'}" in printed
    assert "Images:  3 in" in printed
    assert "data:image/jpeg" in (out / "report.html").read_text()
    record = read(out / "run_evaluate.json")
    assert record["status"] == "completed"
    entry = record["inputs"]["abd_001"]
    content = (nnunet / "first" / "abd_001.nii.gz").read_bytes()
    assert entry["prediction"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert set(entry) == {"prediction", "reference", "image"}
    assert record["configuration"]["classes"] == {"0": "background", "1": "liver", "2": "spleen"}
    assert set(record["timings"]) == {"evaluate", "report"}


def test_names_on_the_command_line_come_before_those_of_the_file(nnunet: Path) -> None:
    assert run(nnunet, "-o", str(nnunet / "out"), "--overlays", "0", "--classes", "background,a,b") == 0
    assert read(nnunet / "out" / "metrics_summary.json")["classes"] == {"1": "a", "2": "b"}


def test_a_bad_case_is_listed_and_the_exit_code_tells(nnunet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = nnunet / "first" / "abd_001.nii.gz"
    bad.write_bytes(bad.read_bytes()[:-6])
    out = nnunet / "out"
    assert run(nnunet, "-o", str(out), "--overlays", "0") == 1
    summary = read(out / "metrics_summary.json")
    assert [entry["case"] for entry in summary["failed"]] == ["abd_001"]
    assert summary["cases"] == 3
    assert "Failed (1), in no mean:\n  abd_001: " in capsys.readouterr().out
    assert read(out / "run_evaluate.json")["status"] == "failed"
    assert "<h2>Failed cases</h2>" in (out / "report.html").read_text()


LIMITS = [
    (["--fail-under", "dice=0.7"], 0),
    (["--fail-under", "dice=0.99"], 1),
    (["--fail-under", "dice:liver=0.9", "--fail-under", "nsd=0.5"], 0),
    (["--fail-under", "dice:liver=0.9,dice:spleen=0.9"], 1),
    (["--fail-over", "hd95=2"], 0),
    (["--fail-over", "hd95:liver=1"], 1),
    (["--empty", "worst", "--fail-over", "hd95_worst=2"], 1),
]


@pytest.mark.parametrize(("options", "code"), LIMITS)
def test_limits_of_a_pipeline(options: list[str], code: int, nnunet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(nnunet, *options, "-o", str(nnunet / "out"), "--overlays", "0") == code
    assert ("NOT PASSED" in capsys.readouterr().out) == bool(code)
    limits = read(nnunet / "out" / "metrics_summary.json")["limits"]
    assert all(limit["passed"] for limit in limits) == (code == 0)


WRONG = [
    (["--fail-under", "hd95=2"], "hd95 is better when smaller; use --fail-over"),
    (["--fail-over", "dice=2"], "use --fail-under"),
    (["--fail-under", "dice"], "expected METRIC=NUMBER"),
    (["--fail-under", "dice:heart=0.9"], "there is no class 'heart', expected one of"),
    (["--instances", "many"], "invalid choice"),
    (["--compare", "x", "-p", "a", "b"], "one folder of predictions on either side"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_use(options: list[str], message: str, nnunet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(nnunet, *options)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


FAILURES = [
    (["--groups", "{root}/none.csv"], "none.csv"),
    (["--groups", "{root}/groups.csv"], "groups names no group for the cases abd_001"),
    (["--fail-under", "panoptic_quality=0.5"], "this evaluation has no panoptic_quality"),
    (["--instances", "numbers"], "needs exactly one class"),
]


@pytest.mark.parametrize(("options", "message"), FAILURES)
def test_failures_end_with_one_line(
    options: list[str], message: str, nnunet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (nnunet / "groups.csv").write_text("case,patient\nabd_000,p\n")
    assert run(nnunet, *[option.format(root=nnunet) for option in options]) == 1
    error = capsys.readouterr().err
    assert error.startswith("sa2-monai evaluate: error: ")
    assert message in error
    assert "Traceback" not in error


def test_comparison_of_two_models_by_patient(nnunet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (nnunet / "groups.csv").write_text("case,patient\n" + "".join(f"abd_{i:03d},p{i // 2}\n" for i in range(4)))
    out = nnunet / "out"
    options = ["--compare", str(nnunet / "second"), "--groups", str(nnunet / "groups.csv")]
    assert run(nnunet, *options, "-o", str(out), "--overlays", "0") == 0
    comparison = read(out / "comparison.json")
    liver = comparison["per_class"]["liver"]["dice"]
    counts = [(np.count_nonzero(volume(s) == 1), np.count_nonzero(volume() == 1)) for s in (1, 3)]
    dice = [2 * p / (p + r) for p, r in counts]
    assert (liver["a"], liver["b"]) == pytest.approx(dice)
    assert liver["difference"] == pytest.approx(dice[0] - dice[1])
    assert liver["p_value"] == 0.5  # two patients: 2 of 4 exchanges
    assert comparison["test"]["unit"] == "group"
    assert read(out / "metrics_summary.json")["protocol"]["bootstrap"]["unit"] == "group"
    assert "Comparison of 4 cases" in capsys.readouterr().out
    record = read(out / "run_evaluate.json")
    assert Path(record["inputs"]["abd_000"]["compared"]["path"]).parent.name == "second"


def test_resampling_must_be_asked_for(nnunet: Path) -> None:
    moved = AFFINE.copy()
    moved[2, 3] += 3
    for index in range(4):
        save(nnunet / "moved" / f"abd_{index:03d}.nii.gz", volume(), moved)
    assert run(nnunet, predictions="moved") == 1
    assert run(nnunet, "--resample", "-o", str(nnunet / "out"), "--overlays", "0", predictions="moved") == 0
    assert read(nnunet / "out" / "metrics_summary.json")["warnings"][0].startswith("resampled: ")


def test_single_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = np.zeros((20, 20), np.uint8)
    reference[2:6, 2:6], reference[10:15, 10:15] = 4, 7
    for folder, array in (("p", (reference == 4) * np.uint8(255)), ("r", reference)):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "a.png")
    words = ["evaluate", "-p", str(tmp_path / "p"), "-r", str(tmp_path / "r"), "-o", str(tmp_path / "o"), "--instances"]
    assert main([*words, "--fail-under", "detection_f1=0.6"]) == 0
    assert "1 found, 1 missed, 0 false" in capsys.readouterr().out
    assert (tmp_path / "o" / "instances_per_case.csv").is_file()
    assert "<h2>Single objects</h2>" in (tmp_path / "o" / "report.html").read_text()
    assert main([*words, "numbers", "--fail-under", "panoptic_quality=0.7"]) == 1


@pytest.mark.realdata
def test_real_hippocampus(real_data: Path, tmp_path: Path) -> None:
    """References moved by one voxel; the names of the parts come from the data set's dataset.json."""
    folder = real_data / "msd_hippocampus"
    if not (folder / "labels").is_dir():
        pytest.skip(f"no volumes in {folder}")
    for file in sorted((folder / "labels").glob("*.nii.gz"))[:3]:
        image = nibabel.load(file)
        labels = np.roll(np.asarray(image.dataobj), 1, axis=0)
        (tmp_path / "r").mkdir(exist_ok=True)
        (tmp_path / "r" / file.name).symlink_to(file)
        save(tmp_path / "p" / file.name, labels, image.affine)
    (tmp_path / "dataset.json").write_text((folder / "dataset.json").read_text())
    words = ["-p", str(tmp_path / "p"), "-r", str(tmp_path / "r"), "--images", str(folder / "images")]
    assert main(["evaluate", *words, "-o", str(tmp_path / "o"), "--overlays", "1", "--fail-under", "dice=0.5"]) == 0
    summary = read(tmp_path / "o" / "metrics_summary.json")
    assert len(summary["classes"]) == 2
    assert all(block["hd95"]["max"] <= 1.5 for block in summary["per_class"].values())
    assert len(list((tmp_path / "o" / "overlays").iterdir())) == 3


def test_options_that_messages_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = np.zeros((260, 300), np.uint8)
    mask[40:120, 30:130] = 1
    for folder, array in (("r", mask), ("p", mask[:224, :224])):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "a.png")
    words = [
        "evaluate",
        "-p",
        str(tmp_path / "p"),
        "-r",
        str(tmp_path / "r"),
        "--protocol",
        "paper",
        "--bootstrap",
        "5",
    ]
    found = []
    for options in ([], ["--reference-foreground", "255"], ["--divisor", "14"]):
        out = tmp_path / f"out{len(found)}"
        assert main([*words, "--family", "image", "-o", str(out), "--overlays", "0", *options]) == 0
        found.append(read(out / "metrics_summary.json"))
    hint, grown, divided = found
    assert any("set reference_foreground=255" in line for line in hint["deviations"])
    assert not any("reference_foreground" in line for line in grown["deviations"])
    assert grown["protocol"]["reference_foreground"] == 255
    assert divided["paper"]["dice"] == pytest.approx(hint["paper"]["dice"] / 14)
    assert divided["paper"]["divisor"] == 14
    capsys.readouterr()
    assert main([*words, "--family", "pooled", "--divisor", "14"]) != 0
    assert "paper option divisor is 14, but the family 'pooled' has no such option" in capsys.readouterr().err
