# SPDX-License-Identifier: Apache-2.0
"""What makes an evaluation network fast: applied from outside, after the weights are loaded."""

from sa2_monai.networks.accelerate.apply import accelerate

__all__ = ["accelerate"]
