# SPDX-License-Identifier: Apache-2.0
"""A training from a folder of data to a run, which is a bundle: the one road by which anything starts a training.

========== ============================================================================================================
request    what the caller asks for
setup      from the request to the configurations: what the data are, the plan, overlays, overrides, all checked
resume     the same for a training that goes on
ids        bundle, overlays and ids by their names; target says which folder a training may begin in
folder     the files that make the run a bundle
train      ``train_run``; training does the work of a request that is in order
processes  several of them under torchrun
observers  those who look on while it trains, without a part in it
watch      the facts of each epoch; console shows them, history writes ``history.csv``, curves draws ``curves.png``
baseline   what a constant prediction would score, so that a network that has learned nothing is told apart
log        everything that MONAI, Ignite and this package say goes to ``logs/train.log``
results    what a package takes over from a run
ending     what was reached, and the next commands; shell quotes commands
evaluate   ``evaluate_run``: the run's test part
========== ============================================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sa2_monai.aliases import lazy_names

if TYPE_CHECKING:
    from sa2_monai.bundle.run.ending import RunResult
    from sa2_monai.bundle.run.evaluate import evaluate_run
    from sa2_monai.bundle.run.request import TrainRequest
    from sa2_monai.bundle.run.train import train_run

__all__ = ["RunResult", "TrainRequest", "evaluate_run", "train_run"]

__getattr__ = lazy_names(
    __name__,
    {
        "RunResult": f"{__name__}.ending",
        "TrainRequest": f"{__name__}.request",
        "evaluate_run": f"{__name__}.evaluate",
        "train_run": f"{__name__}.train",
    },
)
