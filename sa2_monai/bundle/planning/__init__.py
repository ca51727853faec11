# SPDX-License-Identifier: Apache-2.0
"""Plans: from the fingerprint of a data set to the switches of a training, each with its reason.

============ ==========================================================================================================
make         ``make_plan``: all decisions in their order
plan         ``Plan``, ``Choice``: the result as values, table, overlay
draft        what is known while a plan is made
networks     which network; start: network and width of the weights that a training starts from
task         layout, classes, label values, channels
intensity    how intensities come to [0, 1]
view         whole slices or windows, their size, the axis of the slices
width        width of the network
batch        batch size, memory, cache, worker processes
sampling     which slices, augmentation
learning     loss, optimizer, learning rate, schedule
length       epochs, validations, patience; speed measures real steps
clean_up     clean-up of the label maps, only where the labels are that way without exception
published    published protocols of public data sets
============ ==========================================================================================================
"""

from __future__ import annotations

from sa2_monai.bundle.planning.make import make_plan
from sa2_monai.bundle.planning.plan import Choice, Plan

__all__ = ["Choice", "Plan", "make_plan"]
