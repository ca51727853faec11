# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai compare``: several networks on the same folds of somebody's data, and what can be said of them.

=========== =========================================================================================================
request     what the caller asks for
state       ``compare.json``: what was asked for, what has failed
train       each network a cross-validation; trainings says what their runs tell of themselves
run         ``compare_networks``: from the first training to the report
document    all results put together
scores      means with intervals, the table of all cases
costs       seconds, memory, parameters and MACs: measure does it in a process of its own, model is what is measured,
            machine on what
recommend   which network to take, by stated rules; caveats says what the numbers do not say
differences the cases in which networks differ most, as images
robustness  ``sa2-monai stress`` of each network
page        ``report.html``, from templates/; table is ``table.txt``
=========== =========================================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sa2_monai.aliases import lazy_names

if TYPE_CHECKING:
    from sa2_monai.bundle.comparison.request import CompareRequest
    from sa2_monai.bundle.comparison.run import compare_networks

__all__ = ["CompareRequest", "compare_networks"]

__getattr__ = lazy_names(
    __name__,
    {"CompareRequest": f"{__name__}.request", "compare_networks": f"{__name__}.run"},
)
