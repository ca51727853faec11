# SPDX-License-Identifier: Apache-2.0
"""From the maps of a case to rows, summaries and statistics. The measures themselves lie in :mod:`sa2_monai.metrics`.

* ``case_rows``, ``rows``: the clinical row of a case and class, and its columns; ``tolerances``: of the surface Dice.
* ``extra_metrics``, ``instances``, ``size_strata``: what is measured on request.
* ``summary``: means, intervals, worst cases, ``metrics_summary.json``; ``statistics``: description and bootstrap.
* ``permutation``: the paired test of two models; ``limits``: means that a pipeline asks for.
* ``table``: all of it as text.
"""
