# SPDX-License-Identifier: Apache-2.0
"""The switch ``SA2_PLAIN=1``: the suite without its shortcuts.

Why: a failure that the shortcuts cause, or hide, must be told from one of the package. With the switch programs are
started by ``subprocess`` in fresh interpreters, groups of processes are spawned, files are flushed to the disk, PyYAML
and MONAI parse as they are, nothing is kept from the garbage collector, tests run in the order of pytest, every line is
measured, and TorchScript is written by a process of its own. Tests take up to ten times as long.
"""

from __future__ import annotations

import os

__all__ = ["PLAIN"]

PLAIN = os.environ.get("SA2_PLAIN", "0") not in ("", "0")
