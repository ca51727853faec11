# SPDX-License-Identifier: Apache-2.0
"""Whose probabilities are averaged in a prediction: test-time augmentation, ensembles and dropout, one after another.

running_mean adds them up; symmetries are the flips and quarter turns of what a network sees; dropout makes thinned
networks of one; members puts the three together.
"""

from sa2_monai.inference.members.members import Members
from sa2_monai.inference.members.running_mean import RunningMean
from sa2_monai.inference.members.symmetries import Symmetry, symmetries

__all__ = ["Members", "RunningMean", "Symmetry", "symmetries"]
