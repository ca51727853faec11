# SPDX-License-Identifier: Apache-2.0
"""Data sets that cannot be listed as downloaded are prepared by themselves, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from sa2_monai.data import DATASETS, load_parts, prepare_dataset
from tests.support.miniatures import MINI


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files if ".prepare" not in p.parts}


@pytest.mark.parametrize("name", ["segpc", "tissuenet"])
def test_a_download_is_prepared_by_itself_once(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    raw = tmp_path / "download"
    MINI[f"{name}_raw"](raw)
    with caplog.at_level("INFO"):
        parts = load_parts(raw, name)
    form = next(iter(DATASETS[name].preparations))
    made = raw / ".sa2_monai" / f"{name}_{form}"
    assert f"{raw} is as downloaded: the form '{form}' is made once, in {made}" in caplog.text
    assert all(parts.values())
    prepare_dataset(name, raw, tmp_path / "by_hand", progress=False)
    by_hand = load_parts(tmp_path / "by_hand", name)
    for part, cases in parts.items():
        assert [case["case"] for case in cases] == [case["case"] for case in by_hand[part]]
    before = content(made)
    written = {path: path.stat().st_mtime_ns for path in made.rglob("*.png")}
    assert load_parts(raw, name, cache_dir=None) == parts
    assert content(made) == before
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*.png")} == written

    other = load_parts(raw, name, cache_dir=tmp_path / "elsewhere")
    assert all(Path(str(tmp_path / "elsewhere")) in Path(c["label"]).parents for cases in other.values() for c in cases)
