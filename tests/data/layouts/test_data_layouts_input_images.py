# SPDX-License-Identifier: Apache-2.0
"""Images to predict: files, folders, lists and text files."""

from __future__ import annotations

from pathlib import Path

import pytest

from sa2_monai.data import list_images


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_single_file_and_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    b, a = touch(tmp_path / "b.PNG"), touch(tmp_path / "a.tiff")
    assert list_images(b) == [{"image": str(b), "case": "b"}]
    assert [c["case"] for c in list_images([b, str(a)])] == ["b", "a"]
    monkeypatch.chdir(tmp_path)
    assert list_images("b.PNG")[0]["image"] == str(b)


def test_folder(tmp_path: Path) -> None:
    for name in ("c.bmp", "a.jpg", "b.jpeg", ".hidden.png", "notes.txt", "Grade.csv"):
        touch(tmp_path / name)
    touch(tmp_path / "labels" / "a.png")
    assert [c["case"] for c in list_images(tmp_path)] == ["a", "b", "c"]


def test_data_set_folder(tmp_path: Path) -> None:
    touch(tmp_path / "images" / "a.png")
    touch(tmp_path / "labels" / "a.png")
    assert [c["image"] for c in list_images(tmp_path)] == [str(tmp_path / "images" / "a.png")]
    touch(tmp_path / "p" / "img" / "x.png")
    assert [c["case"] for c in list_images(tmp_path / "p")] == ["x"]


def test_annotations_beside_images_are_left_out(tmp_path: Path) -> None:
    for name in ("testA_1.bmp", "testA_1_anno.bmp", "lonely_anno.bmp"):
        touch(tmp_path / name)
    assert [c["case"] for c in list_images(tmp_path)] == ["lonely_anno", "testA_1"]


def test_text_file(tmp_path: Path) -> None:
    touch(tmp_path / "d" / "a.png")
    b = touch(tmp_path / "b.png")
    text = tmp_path / "list.txt"
    text.write_text(f"\ufeff# comment\nd/a.png\n\n  {b}  \n", encoding="utf-8")
    assert [c["case"] for c in list_images(text)] == ["a", "b"]
    text.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"list\.txt: is not a text file"):
        list_images(text)
    with pytest.raises(FileNotFoundError, match=r"gone\.txt: no such list of images"):
        list_images(tmp_path / "gone.txt")


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such image: .*gone\.png; check the path"):
        list_images(tmp_path / "gone.png")
    with pytest.raises(ValueError, match=r"no images found, expected \.png"):
        list_images(tmp_path)
    with pytest.raises(ValueError, match=r"list of images: no images found"):
        list_images([])
    with pytest.raises(ValueError, match=r"not an image by its suffix: .*v\.nii\.gz; expected \.png"):
        list_images(touch(tmp_path / "v.nii.gz"))
    with pytest.raises(ValueError, match="not an image by its suffix"):
        list_images([tmp_path])
    first, second = touch(tmp_path / "x" / "a.png"), touch(tmp_path / "x" / "a.jpg")
    with pytest.raises(ValueError, match=r"would get one case name.*\n.*x/a\.png and .*x/a\.jpg\n.*rename one"):
        list_images([first, second])
    with pytest.raises(ValueError, match="would get one case name"):
        list_images([first, first])
