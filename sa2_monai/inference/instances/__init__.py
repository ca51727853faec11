# SPDX-License-Identifier: Apache-2.0
"""Single objects from the probabilities of 2D images: nuclei, cells, glands.

settings are the values that decide, as they stand beside weights (``model.json``) and in the switch ``instances``;
split makes objects of probabilities; fit chooses the settings; transform and saving are the steps of a bundle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sa2_monai.aliases import lazy_names
from sa2_monai.inference.instances.saving import InstanceSaveImaged
from sa2_monai.inference.instances.settings import METHODS, SplitSettings, settings_of
from sa2_monai.inference.instances.split import split_image, split_objects
from sa2_monai.inference.instances.transform import SplitInstancesd, outlined

if TYPE_CHECKING:
    from sa2_monai.inference.instances.fit import Choice, FitCase, fit_settings

__all__ = [
    "METHODS",
    "Choice",
    "FitCase",
    "InstanceSaveImaged",
    "SplitInstancesd",
    "SplitSettings",
    "fit_settings",
    "outlined",
    "settings_of",
    "split_image",
    "split_objects",
]

# Needs the metrics of objects, which a prediction does not.
__getattr__ = lazy_names(__name__, dict.fromkeys(("Choice", "FitCase", "fit_settings"), f"{__name__}.fit"))
