# SPDX-License-Identifier: Apache-2.0
"""check_writable: folders that are made, and folders that cannot be."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import pytest

from sa2_monai.inference import check_writable


def test_makes_the_folder_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert check_writable(folder) == folder
    assert check_writable(str(folder)) == folder
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("inside", ["", "deeper"])
def test_a_file_in_the_way(tmp_path: Path, inside: str) -> None:
    (tmp_path / "out").write_text("not a folder")
    with pytest.raises(OSError, match=r"cannot write to the output folder .*out.* \(.+\)\. Choose another"):
        check_writable(tmp_path / "out" / inside)


def test_a_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated, because the tests may run as root, to whom every folder is open."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    with pytest.raises(PermissionError, match=rf"{tmp_path} \(Permission denied\)"):
        check_writable(tmp_path)
