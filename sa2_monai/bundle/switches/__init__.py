# SPDX-License-Identifier: Apache-2.0
"""The switches of the bundles: one schema of names, types, ranges and choices, checked wherever a value comes from.

``schema.yaml`` says what each switch may be, ``rules.py`` what switches say together, ``unknown.py`` which ids are no
switches, ``renamed.py`` which have another name now.
"""

from sa2_monai.bundle.switches.check import SwitchError, check_config, check_values, close_match
from sa2_monai.bundle.switches.running import check_switches

__all__ = ["SwitchError", "check_config", "check_switches", "check_values", "close_match"]
