# SPDX-License-Identifier: Apache-2.0
"""``report.html``: one file that needs nothing else, no script, font or image from elsewhere.

* ``page``: the report of an evaluation from its sections. ``environment``: what all pages share; ``templates`` beside
  this package: their HTML, the style, the script.
* ``metrics``, ``numbers``: what a metric is called and means; three significant digits.
* ``images``, ``encoding``: the layers of chosen cases and the thumbnails, within a budget of bytes.
* ``cases``: the table of cases. ``plots``, ``curves``, ``calibration``, ``axis``: what the inline SVG
  shows, and where.
* ``origin``: which model, weights, data and training a report is about, from the records beside it.
"""

from sa2_monai.evaluation.report.html.page import HTML_NAME, html_report

__all__ = ["HTML_NAME", "html_report"]
