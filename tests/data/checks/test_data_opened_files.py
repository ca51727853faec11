# SPDX-License-Identifier: Apache-2.0
"""Every check of a data set asks for the same facts of its files: each file is decoded once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from sa2_monai.data import make_sample
from sa2_monai.data.checks import opened_files, remembered
from sa2_monai.data.checks.opened_files import OpenedFiles
from sa2_monai.data.checks.remembered import RememberedFacts
from sa2_monai.data.examine import examine_dataset

READERS = ("read_image", "read_label", "load_volume", "read_preprocessed")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Number of times that each file was decoded by the checks."""
    counts: Counter[str] = Counter()

    def counted(read: Callable[..., Any]) -> Callable[..., Any]:
        def work(path: str, *args: Any, **kwargs: Any) -> Any:
            counts[str(path)] += 1
            return read(path, *args, **kwargs)

        return work

    for name in READERS:
        monkeypatch.setattr(opened_files, name, counted(getattr(opened_files, name)))
    return counts


def test_images_are_decoded_once(tmp_path: Path, opened: Counter[str]) -> None:
    folder = tmp_path / "sample"
    make_sample(folder, seed=0, num_training=2, num_validation=1, num_test=1, size=(48, 48))
    assert examine_dataset("folder", folder)["ok"]
    files = [str(path) for kind in ("images", "labels") for path in sorted((folder / kind).rglob("*.png"))]
    assert opened == Counter(files)


def test_volumes_are_decoded_once(tmp_path: Path, opened: Counter[str]) -> None:
    rng = np.random.default_rng(0)
    files = []
    for number in range(3):
        for folder, dtype, high in (("imagesTr", np.int16, 900), ("labelsTr", np.uint8, 2)):
            file = tmp_path / folder / f"case{number}.nii.gz"
            file.parent.mkdir(exist_ok=True)
            nib.save(nib.Nifti1Image(rng.integers(0, high, (6, 5, 4)).astype(dtype), np.eye(4)), file)
            files.append(str(file))
    assert examine_dataset("volumes", tmp_path)["ok"]
    assert opened == Counter(files)


def test_a_file_that_cannot_be_read_is_not_tried_again(tmp_path: Path, opened: Counter[str]) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"no image")
    files = OpenedFiles("images")
    messages = set()
    for _ in range(2):
        with pytest.raises(ValueError, match=r"a\.png") as caught:
            files.image(str(path))
        messages.add(str(caught.value))
    assert len(messages) == 1
    assert opened == {str(path): 1}


# A 2D image, and whether it is of one colour, of one value.
TEST_CASES = [
    (np.full((4, 5, 3), 7, np.uint8), True, True),
    (np.full((4, 5, 3), (7, 8, 7), np.uint8), True, False),
    (np.arange(20, dtype=np.uint8).reshape(4, 5), False, False),
]


@pytest.mark.parametrize(("pixels", "one_colour", "constant"), TEST_CASES)
def test_images_of_one_colour_or_value(pixels: np.ndarray, one_colour: bool, constant: bool, tmp_path: Path) -> None:
    Image.fromarray(pixels).save(tmp_path / "a.png")
    facts = OpenedFiles("images").image(str(tmp_path / "a.png"))
    assert (facts.shape[:2], facts.one_colour, facts.constant) == ((4, 5), one_colour, constant)


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set whose checks are remembered, in a cache of its own."""
    monkeypatch.setenv("SA2_MONAI_CHECKED", "1")
    monkeypatch.setenv("SA2_MONAI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remembered, "_YOUNG", -60.0)  # what was just written counts as old
    make_sample(tmp_path / "sample", seed=0, num_training=2, num_validation=1, num_test=1, size=(48, 48))
    return tmp_path / "sample"


def rewrite(file: Path) -> None:
    array = np.asarray(Image.open(file)).copy()
    array[:8, :8] = 255 - array[:8, :8]
    Image.fromarray(array).save(file)


def new_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "__version__", "99")


def young(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "_YOUNG", 60.0)


def switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SA2_MONAI_CHECKED", "0")


FILES = 8
OPENED_AGAIN: list[tuple[str, Callable[..., Any] | None, int]] = [
    ("nothing has changed", None, 0),
    ("another version", new_version, FILES),
    ("files that may still change in the same moment", young, FILES),
    ("switched off", switched_off, FILES),
]


@pytest.mark.parametrize(("change", "count"), [case[1:] for case in OPENED_AGAIN], ids=[c[0] for c in OPENED_AGAIN])
def test_what_was_checked_is_not_opened_again(
    sample: Path, opened: Counter[str], monkeypatch: pytest.MonkeyPatch, change: Any, count: int
) -> None:
    first = examine_dataset("folder", sample)
    assert opened.total() == FILES
    opened.clear()
    if change is not None:
        change(monkeypatch)
    assert examine_dataset("folder", sample) == first
    assert opened.total() == count


def test_a_changed_file_is_opened_again(sample: Path, opened: Counter[str]) -> None:
    first = examine_dataset("folder", sample)
    file = sorted((sample / "labels").rglob("*.png"))[0]
    opened.clear()
    rewrite(file)
    assert examine_dataset("folder", sample)["label_values"] != first["label_values"]
    assert opened == Counter([str(file)])


def test_the_answer_is_that_of_the_settings(sample: Path) -> None:
    """Facts are remembered, not judgements: other label values are another answer, of the same facts."""
    assert examine_dataset("folder", sample)["ok"]
    strict, opened_all = (
        examine_dataset("folder", sample, label_values={0: 0, 1: 1}, remember=known)["problems"]
        for known in (True, False)
    )
    assert strict == opened_all
    assert strict


def test_what_cannot_be_read_is_tried_again(sample: Path, opened: Counter[str]) -> None:
    file = sorted((sample / "images").rglob("*.png"))[0]
    content = file.read_bytes()
    file.write_bytes(content[:100])
    assert not examine_dataset("folder", sample)["ok"]
    opened.clear()
    assert not examine_dataset("folder", sample)["ok"]
    assert opened[str(file)] == 1
    file.write_bytes(content)
    assert examine_dataset("folder", sample)["ok"]


def test_a_damaged_cache_is_none(sample: Path, opened: Counter[str], tmp_path: Path) -> None:
    examine_dataset("folder", sample)
    for file in (tmp_path / "cache" / "checked").iterdir():
        file.write_text("{")
    opened.clear()
    assert examine_dataset("folder", sample)["ok"]
    assert opened.total() == FILES


def test_the_cache_names_no_files(sample: Path, tmp_path: Path) -> None:
    examine_dataset("folder", sample)
    texts = [file.read_text() for file in (tmp_path / "cache" / "checked").iterdir()]
    assert texts
    assert not any(str(sample) in text or ".png" in text for text in texts)


NOT_REMEMBERED = ["a.mhd", "a.hdr", "a.img", "folder", "missing.png"]


@pytest.mark.parametrize("name", NOT_REMEMBERED)
def test_not_remembered(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their content is in other files, too, or there is none."""
    monkeypatch.setenv("SA2_MONAI_CHECKED", "1")
    monkeypatch.setattr(remembered, "_YOUNG", -60.0)
    (tmp_path / "folder").mkdir()
    if "." in name and "missing" not in name:
        (tmp_path / name).write_text("x")
    assert RememberedFacts(tmp_path / "cache").state(str(tmp_path / name)) is None
