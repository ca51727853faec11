# SPDX-License-Identifier: Apache-2.0
"""The two names that MONAI Label 0.8.5 imports when it starts; the monaibundle app calls neither."""

from __future__ import annotations

from typing import Any, NoReturn


def make_grid(*_: Any, **__: Any) -> NoReturn:
    raise NotImplementedError("this environment has no torchvision; tools/lib/label_environment.sh says why")


save_image = make_grid
