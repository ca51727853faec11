# SPDX-License-Identifier: Apache-2.0
"""Which cases are hard for a model: scores by size, spread of sizes and crowding of the objects, and image quality.

* ``properties``: what is measured of a case, by the strata that are asked for; ``measure``: measures it.
* ``thirds``: cases with a low, middle and high value, each third with its means; ``trend``: rank correlation.

The measures themselves lie in :mod:`sa2_monai.metrics`. The published limits of size are ``scores.size_strata``.
"""
