# SPDX-License-Identifier: Apache-2.0
"""Class names as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sa2_monai.cli.common import read_class_names
from sa2_monai.cli.main import UsageError, main

# what is typed, the names in the order of their values, or words of the refusal
TEST_CASES: list[tuple[str, list[str] | str]] = [
    ("background,nucleus", ["background", "nucleus"]),
    (" background , left kidney", ["background", "left kidney"]),
    ("0=background,1=nucleus", ["background", "nucleus"]),
    ("1=nucleus", ["background", "nucleus"]),
    ("2=b,1=a", ["background", "a", "b"]),
    ("0=air, 1 = tissue", ["air", "tissue"]),
    ("1=polyp,background", "'background' has no value, the others have"),
    ("background,1=polyp", "'background' has no value, the others have"),
    ("1=a,3=c", "value 2 has no name"),
    ("255=polyp", "value 1 has no name; .*label values"),
    ("1=a,1=b", "value 1 has the names a and b"),
    ("0=a,1=a", "'a' stands twice"),
    ("1=background", "'background' stands twice"),
    ("background,Background", "'Background' stands twice"),
    ("background,", "one is empty"),
    ("1=", "one is empty"),
    ("nucleus=1", "'nucleus=1', expected VALUE=NAME"),
    ("-1=void,1=a", "'-1=void', expected VALUE=NAME"),
    ("0:background,1:nucleus", "'0:background', expected VALUE=NAME"),
]


@pytest.mark.parametrize(("text", "expected"), TEST_CASES)
def test_class_names(text: str, expected: list[str] | str) -> None:
    if isinstance(expected, str):
        with pytest.raises(UsageError, match=expected):
            read_class_names(text)
    else:
        assert read_class_names(text) == expected


def test_evaluate_understands_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = np.zeros((8, 9), np.uint8)
    mask[2:6, 3:7] = 1
    Image.fromarray(mask).save(tmp_path / "a.png")
    both = ["--predictions", str(tmp_path), "--references", str(tmp_path)]
    for names in ("1=polyp", "0=background,1=polyp", "background,polyp"):
        assert main(["evaluate", *both, "--classes", names, "--output", str(tmp_path / "out")]) == 0
        summary = json.loads((tmp_path / "out" / "metrics_summary.json").read_text("utf-8"))
        assert summary["classes"] == {"1": "polyp"}
        assert summary["per_class"]["polyp"]["dice"]["mean"] == 1
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", *both, "--classes", "1=polyp,background"])
    assert stopped.value.code == 2
    assert "'background' has no value" in capsys.readouterr().err
