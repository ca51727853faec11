# SPDX-License-Identifier: Apache-2.0
"""Programs that tests run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path


def run_untraced(
    command: Sequence[str], cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program whose lines are measured by other tests: without the tracer it takes half of the time."""
    inherited = {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_START"}
    return subprocess.run(command, cwd=cwd, env={**inherited, **environment}, capture_output=True, text=True)
