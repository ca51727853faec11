# SPDX-License-Identifier: Apache-2.0
"""MONAI's reader of configurations, faster: the same comes out.

Why: the tests of the bundles read some ten thousand files of YAML, and each of MONAI's parsers searches all modules of
MONAI for its classes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import monai.bundle.config_parser as config_parser
import yaml
from monai.bundle.config_item import ComponentLocator
from monai.utils.misc import CheckKeyDuplicatesYamlLoader
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from tests.support.plain import PLAIN

__all__ = ["install"]


@cache
def install() -> None:
    """Make MONAI's ``ConfigParser`` parse YAML with libyaml, where PyYAML has it, and list MONAI's classes once."""
    if PLAIN:
        return
    # Each parser would search all modules of MONAI anew.
    search = ComponentLocator._find_classes_or_functions
    once = cache(lambda names: search(ComponentLocator(), names))
    ComponentLocator._find_classes_or_functions = lambda self, modnames: once(tuple(modnames))
    if not yaml.__with_libyaml__:
        return
    from yaml.cyaml import CParser

    class Loader(CParser, CheckKeyDuplicatesYamlLoader):  # parsing by libyaml, everything else by MONAI's class
        def __init__(self, stream: Any) -> None:
            CParser.__init__(self, stream)
            SafeConstructor.__init__(self)
            Resolver.__init__(self)

    config_parser.CheckKeyDuplicatesYamlLoader = Loader
