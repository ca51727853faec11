# SPDX-License-Identifier: Apache-2.0
"""What a killed program left beside its output is removed by the next one that writes there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sa2_monai.bundle import copy_bundle, find_bundle, package_bundle
from sa2_monai.data.samples.folder import make_folder
from sa2_monai.io import ownership
from tests.support.small_models import GLANDS, save_model


def _package(output: Path) -> None:
    weights = save_model(output / "weights" / "model.pt", GLANDS)
    package_bundle(find_bundle("sa2net"), weights, output, "glas", name="made", make_zip=True)


def _write(folder: Path) -> str:
    (folder / "image").write_text("pixels")
    return "checksum"


# What makes "made" in a folder, and what it leaves under another name when it is killed.
TEST_CASES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "package": (_package, [".made.0a.partial", ".made_v0.1.0.zip.1-0a.tmp"]),
    "bundles": (lambda output: copy_bundle("sa2net", output / "made"), [".made.0a.partial"]),
    "sample": (lambda output: make_folder(output / "made", {"seed": 0}, _write), [".made.0a.partial"]),
}


@pytest.mark.parametrize(("make", "left"), TEST_CASES.values(), ids=list(TEST_CASES))
def test_it_goes(
    make: Callable[[Path], object],
    left: list[str],
    tmp_path: Path,
    glands_bundle: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = glands_bundle[0] / "models" / "model.ts"
    monkeypatch.setattr(
        "sa2_monai.bundle.packaging.package.script_bundle",
        lambda folder: shutil.copy(made, folder / "models" / "model.ts"),
    )
    version = json.loads((find_bundle("sa2net") / "configs" / "metadata.json").read_text())["version"]
    for name in (one.replace("v0.1.0", f"v{version}") for one in left):
        if name.endswith(".partial"):
            (tmp_path / name).mkdir()
            owner = {**ownership._process(os.getpid()), "pid": 2**30}
            (tmp_path / name / ".sa2_monai.1.0a.lock").write_text(json.dumps(owner))
        else:
            (tmp_path / name).write_text("half")
    make(tmp_path)
    assert not list(tmp_path.glob(".*"))
    assert (tmp_path / "made").is_dir()


def test_a_sample_that_was_killed_while_it_was_moved_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder that was there before, where its files come one by one."""
    folder, real = tmp_path / "made", os.replace

    def write(made: Path) -> str:
        for name in ("a", "b"):
            (made / name).write_text(name)
        return "checksum"

    def killed(source: Path, target: Path) -> None:
        if Path(target).name == "b":
            raise KeyboardInterrupt
        real(source, target)

    folder.mkdir()
    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        make_folder(folder, {"seed": 0}, write)
    monkeypatch.undo()
    assert sorted(path.name for path in folder.iterdir()) == [".sa2_monai_sample.json", "a"]
    make_folder(folder, {"seed": 0}, write)
    assert {path.name for path in folder.iterdir()} == {".sa2_monai_sample.json", "a", "b"}
    (folder / "b").unlink()
    with pytest.raises(FileExistsError, match="holds a damaged sample"):
        make_folder(folder, {"seed": 0}, write)
