# SPDX-License-Identifier: Apache-2.0
"""Several calls of ``python -m monai.bundle run`` one after the other in one process, which starts once.

.. code-block:: bash

    python -m sa2_monai.bundle.successive --config_file FIRST ... --then --config_file SECOND ...
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence

__all__ = ["THEN", "main"]

#: Between the options of two calls.
THEN = "--then"


def main(words: Sequence[str]) -> None:
    """Make the calls; an error ends the program, and no later one is made.

    Args:
        words: options of ``monai.bundle run``, those of each further call after ``--then``.
    """
    import fire  # type: ignore[import-untyped]
    from monai.bundle import run

    for is_border, options in itertools.groupby(words, THEN.__eq__):
        if not is_border:
            fire.Fire(run, command=list(options))


if __name__ == "__main__":
    main(sys.argv[1:])
