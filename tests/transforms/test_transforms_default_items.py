# SPDX-License-Identifier: Apache-2.0
"""DefaultItemsd: what is missing is added, what is there stays."""

from __future__ import annotations

from typing import Any

import pytest

from sa2_monai.transforms import DefaultItemsd

CASES = [
    pytest.param({"pred": 1}, {"pred": 1, "result_extension": ".png"}, id="missing"),
    pytest.param({"result_extension": None}, {"result_extension": ".png"}, id="none"),
    pytest.param({"result_extension": ".nrrd"}, {"result_extension": ".nrrd"}, id="asked for"),
]


@pytest.mark.parametrize(("data", "expected"), CASES)
def test_items(data: dict[str, Any], expected: dict[str, Any]) -> None:
    before = dict(data)
    assert DefaultItemsd({"result_extension": ".png"})(data) == expected
    assert data == before
