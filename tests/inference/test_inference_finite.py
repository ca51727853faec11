# SPDX-License-Identifier: Apache-2.0
"""Values that are not finite: on a CPU the first bad batch ends it; a sum that overflows alone is no error."""

from __future__ import annotations

import pytest
import torch

from sa2_monai.inference.finite import FiniteCheck

FINE = torch.zeros(4, 1, 2, 2)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_the_bad_slices_are_named(bad: float) -> None:
    check = FiniteCheck("scan.nii", axis=1)
    check.look(0, FINE, FINE)
    logits = FINE.clone()
    logits[3, 0, 1, 1] = bad
    with pytest.raises(ValueError, match=r"scan\.nii: .* slices 4 to 7 along axis 1 .*; its input is finite\."):
        check.look(4, FINE, logits)
    with pytest.raises(ValueError, match="its input is not finite, too"):
        check.look(4, logits, logits)


def test_large_logits_are_fine() -> None:
    check = FiniteCheck("scan.nii", axis=2)
    check.look(0, FINE, FINE + 3e38)
    check.finish()
