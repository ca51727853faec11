# SPDX-License-Identifier: Apache-2.0
"""Functions of a suite in a fresh process: peak memory and start-up can be measured nowhere else."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["in_fresh_process"]

_LIB = Path(__file__).resolve().parents[2]


def in_fresh_process(module: str, function: str, *arguments: Any, **environment: str) -> Any:
    """Return what a function returns when a fresh interpreter calls it.

    glibc gives freed blocks back at once there (``MALLOC_MMAP_THRESHOLD_``): else holes of its heap, which differ by a
    tenth from run to run, would count as memory.

    Args:
        module: of the function, for instance ``"benchmark.forward"``.
        function: its name; it takes and returns what JSON can say.
        arguments: of the function.
        environment: variables to set for the process.
    """
    path = os.pathsep.join([str(_LIB), str(_LIB.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    variables = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072", "PYTHONPATH": path, **environment}
    command = [sys.executable, "-m", __name__, module, function, json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=variables)
    if done.returncode:
        raise SystemExit(f"{module}.{function} failed in its own process with code {done.returncode}: see above")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    _module, _function, _arguments = sys.argv[1:]
    print("\n" + json.dumps(getattr(importlib.import_module(_module), _function)(*json.loads(_arguments))))
