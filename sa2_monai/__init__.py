# SPDX-License-Identifier: Apache-2.0
"""Published 2D segmentation networks as MONAI bundles: exact, fast, deployable, honestly evaluated.

Importing this package imports nothing heavy; ``sa2_monai.networks`` and the other rooms import torch and MONAI when
they are asked for.
"""

from sa2_monai.version import __version__

__all__ = ["__version__"]
