# SPDX-License-Identifier: Apache-2.0
"""Ensemble of networks by the published protocol: the average of their probability maps."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F

from sa2_monai.networks import create_network
from sa2_monai.weights import load_weights, read_temperature

__all__ = ["EnsembleNetwork", "ensemble_of", "load_ensemble"]


class EnsembleNetwork(nn.Module):
    """Average the probabilities of several networks and return the logits of that average.

    This is the ensemble of the folds of SA2-Net's cross-validation (specification of SA2-Net, section 8.1, b). The
    result is logits again, so that the ensemble stands wherever one network stands: same inferer, same post-processing,
    same export. With one output channel ``x`` the result is ``logit(mean(sigmoid(x)))``, taken as the difference of two
    log-mean-exps of log-sigmoids; with more channels it is ``log(mean(softmax(x)))``, whose softmax is that mean. No
    probability is ever formed, so confident networks lose nothing, and memory does not grow with their number.

    :class:`~sa2_monai.inference.VolumeInferer` takes an ensemble apart and averages what its networks give for whole
    slices, in the running mean that it has for all members of a prediction; this module is for export, and for others.

    Networks of half precision are averaged in single precision. The module can be scripted and traced if its networks
    can. It is meant for evaluation: in training mode networks with deep supervision return lists, which cannot be
    averaged.

    Args:
        networks: one or more networks with the same input and output; each returns logits (N, C, H, W).
        temperatures: by which the logits of each are divided, see :mod:`sa2_monai.metrics.calibration`; ``None`` for 1.

    Raises:
        ValueError: if there is no network, or another number of temperatures.
    """

    def __init__(self, networks: Sequence[nn.Module], temperatures: Sequence[float] | None = None) -> None:
        super().__init__()
        if len(networks) == 0:
            raise ValueError("an ensemble needs at least one network, got none. Give the checkpoints of the folds.")
        self.networks = nn.ModuleList(networks)
        self.temperatures = [1.0] * len(networks) if temperatures is None else [float(one) for one in temperatures]
        if len(self.temperatures) != len(networks):
            raise ValueError(f"{len(networks)} networks have {len(self.temperatures)} temperatures, expected one each")
        self.log_count = math.log(len(networks))
        self.divisor = math.lcm(*(int(getattr(network, "divisor", 1)) for network in networks))  # of height and width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of the averaged probabilities.

        Args:
            x: images (N, C_in, H, W).

        Returns:
            logits (N, C, H, W), ``float32`` or ``float64``.
        """
        channels = 0
        total = torch.zeros(0)  # running sum over the networks, in the log domain
        for index, network in enumerate(self.networks):
            logits = network(x)
            assert isinstance(logits, torch.Tensor), "members must be in evaluation mode, where each returns one map"
            channels = logits.shape[1]
            if logits.dtype == torch.float16 or logits.dtype == torch.bfloat16:
                logits = logits.float()
            if self.temperatures[index] != 1.0:
                logits = logits / self.temperatures[index]
            if channels == 1:  # the same thing as two classes
                log_probability = torch.cat([F.logsigmoid(-logits), F.logsigmoid(logits)], dim=1)
            else:
                log_probability = F.log_softmax(logits, dim=1)
            total = log_probability if index == 0 else torch.logaddexp(total, log_probability)
        if channels == 1:
            return total[:, 1:] - total[:, :1]  # the count of networks cancels
        return total - self.log_count


def load_ensemble(
    network_def: nn.Module,
    checkpoints: Sequence[str | os.PathLike[str]],
    device: torch.device | str = "cpu",
    expected: Mapping[str, Any] | None = None,
) -> EnsembleNetwork:
    """Build an ensemble: one copy of a network for each checkpoint.

    Args:
        network_def: the network, with any weights; it is copied and not changed.
        checkpoints: flat state files (``model.pt``) of trainings of this very network, one per fold.
        device: where the networks live.
        expected: settings that every checkpoint must have been trained with, see
            :func:`~sa2_monai.weights.load_weights`.

    Returns:
        The ensemble in evaluation mode; each network with the temperature that stands beside its weights.

    Raises:
        FileNotFoundError: for a checkpoint that is not there.
        ValueError: if there are none, or if one belongs to another network or was trained with other settings.
    """
    networks = []
    for checkpoint in checkpoints:
        network = copy.deepcopy(network_def)
        load_weights(network, checkpoint, expected)
        networks.append(network.to(device))
    return EnsembleNetwork(networks, [read_temperature(file) or 1.0 for file in checkpoints]).eval()


def ensemble_of(members: Sequence[Mapping[str, Any]], dropout: float | None = None) -> EnsembleNetwork:
    """Build an ensemble from plain values: ``network_def`` of a bundle whose weights are those of all members.

    Args:
        members: for each network its name (``network``) and the arguments of
            :func:`~sa2_monai.networks.create_network`; its ``temperature``, where it is calibrated.
        dropout: of all members, in place of their own; MONAI Label's epistemic scoring sets it.

    Returns:
        The ensemble with untrained weights; those of member ``i`` have names that begin with ``networks.<i>.``.

    Raises:
        ValueError: no member, an unknown network, or one that cannot be built like this.
    """
    thinned = {} if dropout is None else {"dropout": dropout}
    return EnsembleNetwork(
        [create_network(**{"name": member["network"], **_arguments(member), **thinned}) for member in members],
        [member.get("temperature", 1.0) for member in members],
    )


def _arguments(member: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in member.items() if key not in ("network", "temperature")}
