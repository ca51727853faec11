# SPDX-License-Identifier: Apache-2.0
"""A browser without a window, for pages that the package writes.

Why: the browser is a program of the system (Chromium, 0.3 GB), which not every machine has; the tests that need it are
skipped with the reason then. tools/test installs it in the background where it can (SA2_BROWSER=1 waits for that).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.data_folders import REPOSITORY

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A running Chromium, driven by playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (sa2_monai[dev])")
    if os.environ.get("SA2_BROWSER") == "1":
        subprocess.run(["bash", str(REPOSITORY / "tools" / "lib" / "browser.sh"), "--wait"], capture_output=True)
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"there is no browser: none of {', '.join(NAMES)} is in PATH")
    with sync_api.sync_playwright() as playwright:
        # as root Chromium refuses to start with its sandbox
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        running = playwright.chromium.launch(executable_path=path, args=options)
        yield running
        running.close()
