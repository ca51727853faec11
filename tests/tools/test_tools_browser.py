# SPDX-License-Identifier: Apache-2.0
"""tools/lib/browser.sh on a system of its own: what it finds, what it installs, and that it can do without either."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

NEEDED = ("bash", "dirname", "mkdir", "flock", "timeout", "chmod")
INSTALLS = (
    '#!/bin/bash\necho "$@" >>"$LOG"\n[[ "$*" != *chromium ]] || { echo >"$BIN/chromium"; chmod +x "$BIN/chromium"; }\n'
)
FAILS = '#!/bin/bash\necho "$@" >>"$LOG"\nexit 100\n'


@pytest.fixture
def system(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in NEEDED:
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    log = tmp_path / "log"
    log.touch()
    return {"PATH": str(folder), "BIN": str(folder), "LOG": str(log), "SA2_VENV": str(tmp_path / "venv")}


def run(system: dict[str, str], repository: Path, *words: str) -> subprocess.CompletedProcess[str]:
    script = str(repository / "tools" / "lib" / "browser.sh")
    return subprocess.run(["bash", script, *words], env=system, capture_output=True, text=True)


def put(system: dict[str, str], name: str, content: str) -> None:
    path = Path(system["BIN"], name)
    path.write_text(content)
    path.chmod(0o755)


def test_a_browser_that_is_there(system: dict[str, str], repository: Path) -> None:
    put(system, "apt-get", FAILS)
    put(system, "google-chrome", "")
    done = run(system, repository)
    assert (done.returncode, done.stdout) == (0, f"{system['BIN']}/google-chrome\n")
    assert Path(system["LOG"]).read_text() == ""


def test_without_apt_get_nothing_happens(system: dict[str, str], repository: Path) -> None:
    assert run(system, repository).returncode == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs")
def test_it_is_installed_where_that_can_be(system: dict[str, str], repository: Path) -> None:
    put(system, "apt-get", INSTALLS)
    assert run(system, repository, "--wait").returncode == 1
    assert Path(system["LOG"]).read_text() == ""
    done = run(system, repository)
    assert (done.returncode, done.stdout) == (0, f"{system['BIN']}/chromium\n")
    update, install = Path(system["LOG"]).read_text().splitlines()
    assert update.endswith(" update")
    assert install.endswith(" install --yes --no-install-recommends chromium")
    assert run(system, repository, "--wait").returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs")
def test_an_installation_that_fails(system: dict[str, str], repository: Path) -> None:
    put(system, "apt-get", FAILS)
    done = run(system, repository)
    assert (done.returncode, done.stdout) == (1, "")
    assert "browser.sh: chromium could not be installed, see above" in done.stderr
