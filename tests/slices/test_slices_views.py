# SPDX-License-Identifier: Apache-2.0
"""From probabilities to classes: one channel is cut at 0.5, which is an object, in every view."""

from __future__ import annotations

import pytest
import torch

from sa2_monai.slices.views import PaperView, PlainView, WholeView, WindowsView

VIEWS: dict[str, PlainView] = {
    "plain": PlainView((2, 2)),
    "whole": WholeView((2, 2), (2, 2)),
    "paper": PaperView((2, 2), (2, 2)),
    "windows": WindowsView((2, 2), (1.0, 1.0), None),
}


@pytest.mark.parametrize("name", VIEWS)
def test_one_half_is_an_object(name: str) -> None:
    half = torch.tensor(0.5)
    below, above = (torch.nextafter(half, torch.tensor(end)) for end in (0.0, 1.0))
    scores = torch.stack([below, half, above, torch.tensor(0.0)]).reshape(1, 1, 2, 2)
    assert VIEWS[name].labels(scores).flatten().tolist() == [0, 1, 1, 0]
