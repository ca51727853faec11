# SPDX-License-Identifier: Apache-2.0
"""``python tools/lib/benchmark SUITE``: the folder of suites stands first on the path and would hide modules."""

import sys
from pathlib import Path

_LIB = Path(__file__).resolve().parents[1]
sys.path[0] = str(_LIB)
sys.path.insert(1, str(_LIB.parents[1]))  # tests.reference: the published order of operations

from benchmark.frame.command import main  # noqa: E402

if __name__ == "__main__":
    raise SystemExit(main())
