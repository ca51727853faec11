# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai stress``: how a model bears images of worse quality, at five strengths of each corruption.

* ``corruptions``: the table: names, parameters, units, kinds of images; ``functions``: what is done to an array.
* ``files``: images of a data list as corrupted files, the same ones for every model.
* ``run``: from the weights to ``stress.json``; ``conditions``: one corruption at one strength, kept when it is through.
* ``scores``: means, losses and their intervals, the strength at which a model loses 5 points; ``table``: as text, CSV.
* ``examples``, ``page``, ``curves``: images of one case, ``report.html``, and its curves, of several models, too.
"""
