# SPDX-License-Identifier: Apache-2.0
"""Zip files of bundles: what may come out of them, and that they are the same for the same content."""

from __future__ import annotations

import os
import stat
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from sa2_monai.bundle import extract_bundle, find_bundle, open_bundle
from sa2_monai.bundle.packaging.zipping import zip_folder

GOOD = "b/configs/inference.json"
LINK = (stat.S_IFLNK | 0o777) << 16
DEVICE = (stat.S_IFCHR | 0o666) << 16

# Names of further entries beside a good one, their attributes, and what is said about them.
EVIL = [
    ("../outside.txt", 0, "leads out of the folder"),
    ("b/../../outside.txt", 0, "leads out of the folder"),
    ("b/./x", 0, "leads out of the folder"),
    ("b//x", 0, "leads out of the folder"),
    ("/outside.txt", 0, "an absolute path"),
    ("C:/outside.txt", 0, "an absolute path"),
    ("b\\..\\..\\outside.txt", 0, "a backslash"),
    ("b/models", LINK, "is a link"),
    ("b/models/model.pt", LINK, "is a link"),
    ("b/models/zero", DEVICE, "is a special file"),
    ("b/configs/INFERENCE.json", 0, "is there twice"),
]


def make_zip(path: Path, *entries: tuple[str, int]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, attributes in entries:
            info = zipfile.ZipInfo("x")
            info.filename = info.orig_filename = name
            info.create_system, info.external_attr = 3, attributes
            archive.writestr(info, b"../../outside.txt")
    return path


def test_a_bundle_is_extracted(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "b.zip", ("b/", 0), (GOOD, 0), ("b/models/model.pt", 0))
    folder = extract_bundle(archive, tmp_path / "out")
    assert folder == tmp_path / "out" / "b"
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()) == [
        *("configs/inference.json", "models/model.pt")
    ]
    flat = make_zip(tmp_path / "flat.zip", ("configs/inference.yaml", 0))
    assert extract_bundle(flat, tmp_path / "flat") == tmp_path / "flat"


@pytest.mark.parametrize(("name", "attributes", "message"), EVIL)
def test_dangerous_entries_are_refused_before_anything_is_written(
    name: str, attributes: int, message: str, tmp_path: Path
) -> None:
    archive = make_zip(tmp_path / "b.zip", (GOOD, 0), (name, attributes))
    with pytest.raises(ValueError, match=message):
        extract_bundle(archive, tmp_path / "in" / "out")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["b.zip"]


def test_what_is_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with pytest.raises(FileNotFoundError, match="no such file"):
        extract_bundle(tmp_path / "no.zip", out)
    with pytest.raises(ValueError, match="holds no bundle"):
        extract_bundle(make_zip(tmp_path / "x.zip", ("b/readme", 0)), out)
    with pytest.raises(ValueError, match="holds 2 bundles"):
        extract_bundle(make_zip(tmp_path / "y.zip", (GOOD, 0), ("c/configs/inference.json", 0)), out)
    good = make_zip(tmp_path / "b.zip", (GOOD, 0))
    (tmp_path / "bad.zip").write_bytes(good.read_bytes().replace(b"outside", b"0utside", 1))
    with pytest.raises(ValueError, match=r"is damaged \(Bad CRC"):
        extract_bundle(tmp_path / "bad.zip", out)
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(ValueError, match="is no zip file"):
        extract_bundle(tmp_path / "text.zip", tmp_path / "other")
    with pytest.raises(ValueError, match="is not empty"):
        extract_bundle(good, out)
    locked = bytearray(good.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(mark) + offset] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)
    with pytest.raises(ValueError, match="is encrypted"):
        extract_bundle(tmp_path / "locked.zip", tmp_path / "other")
    monkeypatch.setattr("sa2_monai.bundle.unzip._MAX_FILES", 0)
    with pytest.raises(ValueError, match="1 entries"):
        extract_bundle(good, tmp_path / "other")


def test_room_is_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=3))
    with pytest.raises(ValueError, match=r"17 bytes, but .* has room for 3"):
        extract_bundle(make_zip(tmp_path / "b.zip", (GOOD, 0)), tmp_path / "out")


def test_zip_files_depend_on_the_content_alone(tmp_path: Path) -> None:
    for number, names in enumerate((["a", "configs/b"], ["configs/b", "a"])):
        folder = tmp_path / str(number) / "bundle"
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
            os.utime(folder / name, (time.time() - 1e6 * number,) * 2)
            os.chmod(folder / name, 0o600 + 0o44 * number)
        zip_folder(folder, tmp_path / f"{number}.zip")
    assert (tmp_path / "0.zip").read_bytes() == (tmp_path / "1.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "0.zip") as archive:
        assert archive.namelist() == ["bundle/a", "bundle/configs/b"]
        assert archive.testzip() is None


def test_where_bundles_are(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_bundle("sa2net") == find_bundle(repository / "bundles" / "sa2net") == repository / "bundles" / "sa2net"
    archive = make_zip(tmp_path / "b.zip", (GOOD, 0))
    assert find_bundle("b.zip") == archive
    with open_bundle("b.zip") as folder:
        assert (folder / "configs" / "inference.json").is_file()
    assert not folder.exists()
    with pytest.raises(FileNotFoundError, match=r"sa3net: no such bundle.* daeformer, hsaunet"):
        find_bundle("sa3net")
    with pytest.raises(ValueError, match="is not a bundle: it has no configs"):
        find_bundle(tmp_path)
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(ValueError, match="neither the folder nor the zip file"):
        find_bundle("x.txt")
