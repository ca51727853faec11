# SPDX-License-Identifier: Apache-2.0
"""Names that have moved are found where packaged bundles look for them."""

from __future__ import annotations

import importlib
import sys

import pytest

from sa2_monai.aliases import moved_names

# What configurations of earlier versions name as a `_target_`: module, name, where it is now.
TEST_CASES = [
    ("sa2_monai.transforms", "AntialiasedResized", "sa2_monai.slices.bicubic_resize"),
    ("sa2_monai.transforms", "BicubicResized", "sa2_monai.slices.bicubic_resize"),
    ("sa2_monai.transforms", "CheckSameSized", "sa2_monai.slices.labels"),
    ("sa2_monai.transforms", "MapLabelsd", "sa2_monai.slices.labels"),
    ("sa2_monai.transforms", "RandSliced", "sa2_monai.slices.draw"),
    ("sa2_monai.transforms", "ScaleSliceMaximumd", "sa2_monai.slices.intensity"),
    ("sa2_monai.transforms", "SliceOrientationd", "sa2_monai.slices.orientation"),
    ("sa2_monai.transforms", "SplineResized", "sa2_monai.slices.spline_resize"),
    ("sa2_monai.transforms", "StrictLoadImaged", "sa2_monai.slices.loading"),
    ("sa2_monai.inference", "check_roi_size", "sa2_monai.slices.windows"),
]


@pytest.mark.parametrize(("module", "name", "now"), TEST_CASES)
def test_old_names_work_and_say_where_they_are_now(module: str, name: str, now: str) -> None:
    with pytest.warns(DeprecationWarning, match=rf"{module}\.{name} has moved: use sa2_monai\.slices\.{name}"):
        found = getattr(importlib.import_module(module), name)
    assert found is getattr(importlib.import_module(now), name)


def test_names_that_nobody_had() -> None:
    find = moved_names("here", {"old": "json:loads"})
    with pytest.raises(AttributeError, match=r"module 'here' has no attribute 'new'"):
        find("new")


def test_nothing_is_imported_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    find = moved_names("here", {"old": "colorsys:hsv_to_rgb"})
    assert "colorsys" not in sys.modules
    with pytest.warns(DeprecationWarning, match=r"here\.old has moved: use colorsys\.hsv_to_rgb"):
        assert find("old")(0.0, 0.0, 1.0) == (1.0, 1.0, 1.0)
