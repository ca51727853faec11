# SPDX-License-Identifier: Apache-2.0
"""What an evaluation writes.

* ``files``: all files of a report in a folder; ``handler``: the same at the end of a MONAI run.
* ``html``: the page ``report.html``, without anything to load; ``templates``: its HTML, style and script.
* ``overlays``, ``planes``: prediction and reference drawn into the image; of a volume into one plane.
* ``validation_image``: such an image for TensorBoard during training.
* ``history``: ``history.csv`` of a training, read.
* ``manifest``: what was evaluated, with what and for how long.
"""
