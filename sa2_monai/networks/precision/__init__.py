# SPDX-License-Identifier: Apache-2.0
"""In which numbers a network calculates: the switch ``precision``.

choose says which one is meant and refuses what a device cannot; units looks for the bfloat16 units of a processor;
autocast opens the region in which a network is called; training keeps gradients in bfloat16 right.
"""

from sa2_monai.networks.precision.autocast import autocast
from sa2_monai.networks.precision.choose import PRECISIONS, choose_precision

__all__ = ["PRECISIONS", "autocast", "choose_precision"]
