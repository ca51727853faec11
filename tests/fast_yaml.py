# SPDX-License-Identifier: Apache-2.0
"""MONAI's reader of YAML on libyaml: the tests read configurations some ten thousand times, and the same comes out."""

from __future__ import annotations

from typing import Any

import monai.bundle.config_parser as config_parser
import yaml
from monai.utils.misc import CheckKeyDuplicatesYamlLoader
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

__all__ = ["install"]


def install() -> None:
    """Make MONAI's ``ConfigParser`` use it, where PyYAML has been built with libyaml."""
    if not yaml.__with_libyaml__:
        return
    from yaml.cyaml import CParser

    class Loader(CParser, CheckKeyDuplicatesYamlLoader):  # parsing by libyaml, everything else by MONAI's class
        def __init__(self, stream: Any) -> None:
            CParser.__init__(self, stream)
            SafeConstructor.__init__(self)
            Resolver.__init__(self)

    config_parser.CheckKeyDuplicatesYamlLoader = Loader
