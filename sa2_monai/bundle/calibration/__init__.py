# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai calibrate``: one temperature for the weights of a run, so that its probabilities are what they say.

* ``run``: from the weights to their temperature, ``calibration.json``, ``.csv`` and ``.html``.
* ``checks``: which bundles can be calibrated.
* ``forecast``: a case through the network, with the steps of the bundle's evaluation.
* ``fit``: the temperature, from pixels of the validation part.
* ``scores``: reliability, likelihood and uncertainty of the test part, case by case.
* ``table``, ``page``: the results as text, as CSV, as HTML.

The pure functions are :mod:`sa2_monai.metrics.calibration` and :mod:`sa2_monai.metrics.risk_coverage`; the plots are
those of the evaluation report, :mod:`sa2_monai.evaluation.report.html.calibration`.
"""
