# SPDX-License-Identifier: Apache-2.0
"""Settings of objects: from a switch, from the file beside weights, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sa2_monai.inference.instances import SplitSettings, settings_of
from sa2_monai.weights import save_weights

NAMES = ["background", "nucleus", "gland"]


def weights(folder: Path, **info: Any) -> Path:
    file = folder / "model.pt"
    save_weights({"w": torch.zeros(1)}, file, info)
    return file


def test_where_settings_come_from(tmp_path: Path) -> None:
    defaults = {name: SplitSettings() for name in NAMES[1:]}
    assert settings_of(True, NAMES) == (defaults, False)
    assert settings_of(True, NAMES, tmp_path / "none.pt") == (defaults, False)
    assert settings_of(True, NAMES, weights(tmp_path)) == (defaults, False)
    beside = weights(tmp_path, instances={"gland": {"depth": 0.3, "chosen": {"score": 0.5}}})
    assert settings_of(True, NAMES, [beside]) == ({**defaults, "gland": SplitSettings(depth=0.3)}, True)
    everywhere = SplitSettings("distance", sigma=2, min_area=7)
    table = {"method": "distance", "sigma": 2, "min_area": 7}
    assert settings_of(table, NAMES, beside) == (dict.fromkeys(NAMES[1:], everywhere), True)
    assert settings_of({"nucleus": table}, NAMES) == ({**defaults, "nucleus": everywhere}, True)


BAD: list[tuple[Any, str]] = [
    ({"treshold": 0.5}, "unknown treshold, expected method, threshold, sigma, depth, min_area"),
    ({"threshold": 1}, "threshold is 1, expected a number between 0 and 1"),
    ({"threshold": True}, "threshold is True"),
    ({"depth": 1.0}, r"depth is 1.0, expected a number from 0 to below 1"),
    ({"sigma": -1}, "sigma is -1, expected a number of pixels from 0, or null"),
    ({"min_area": "much"}, "min_area is 'much'"),
    ({"method": "watershed"}, "method is 'watershed', expected one of distance"),
    ({"cell": {}}, "instances names cell, expected classes of nucleus, gland"),
    ("yes", "expected true, false or a table"),
]


@pytest.mark.parametrize(("switch", "message"), BAD)
def test_what_is_refused(switch: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^the switch instances: .*{message}"):
        settings_of(switch, NAMES)
    file = weights(tmp_path, instances=switch)
    with pytest.raises(ValueError, match=message) as refused:
        settings_of(True, NAMES, file)
    assert str(refused.value).startswith(str(file))
