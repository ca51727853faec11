# SPDX-License-Identifier: Apache-2.0
"""Several calls of MONAI's command line in one process."""

from __future__ import annotations

from typing import Any

import pytest

from sa2_monai.bundle.successive import main

WORDS = ["--config_file", "['a.json','b.json']", "--fold", "1", "--then", "--config_file", "c.json", "--tta", "True"]
CALLS = [{"config_file": ["a.json", "b.json"], "fold": 1}, {"config_file": "c.json", "tta": True}]


@pytest.mark.parametrize("fails", [False, True])
def test_one_after_the_other(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values are parsed as MONAI parses them; what fails ends the program."""
    made: list[dict[str, Any]] = []

    def run(**options: Any) -> None:
        made.append(options)
        if fails:
            raise RuntimeError("no such file")

    monkeypatch.setattr("monai.bundle.run", run)
    if fails:
        with pytest.raises(RuntimeError, match="no such file"):
            main(WORDS)
    else:
        main(WORDS)
    assert made == CALLS[: 1 if fails else 2]
