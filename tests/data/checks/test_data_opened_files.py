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
from sa2_monai.data.checks import opened_files
from sa2_monai.data.checks.opened_files import OpenedFiles
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
