# SPDX-License-Identifier: Apache-2.0
"""What makes an evaluation network fast, put into it from outside: on a CPU other modules, on a GPU another layout."""

from __future__ import annotations

import torch
from torch import nn

from sa2_monai.networks import blocks, daeformer, hsaunet, sa2net
from sa2_monai.networks.accelerate import batches, bfloat16, linear
from sa2_monai.networks.blocks import channels_last, conv_units
from sa2_monai.networks.scale_aware import attention

__all__ = ["FASTER", "accelerate"]

FASTER: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: bfloat16.Conv2d,
    channels_last.ChannelsLastConv: bfloat16.ChannelsLastConv,
    conv_units.ConvNormReLU: bfloat16.ConvNormReLU,
    attention.ConvMLP: bfloat16.ConvMLP,
    nn.Linear: linear.PlainLinear,
    blocks.Linear: linear.Linear,
    blocks.MergedLinear: linear.MergedLinear,
    blocks.PointwiseConv: linear.PointwiseConv,
    daeformer.DAEFormer: batches.DAEFormer,
    hsaunet.HSAUNet: batches.HSAUNet,
    sa2net.SA2Net: batches.SA2Net,
}
"""Module and what takes its place: a subclass of it that differs in ``__call__`` alone."""


def accelerate(network: nn.Module) -> nn.Module:
    """Make a network whose weights are loaded faster in evaluation; its numbers change in the last digits.

    Modules of exactly the classes of :data:`FASTER` get the faster class, in place: parameters, their names and
    ``forward`` stay. In training, where gradients are wanted, on GPUs, and for tracing, scripting and export the
    network is what it was. On a GPU kernels are laid out with their channels last, as tensor cores take them, and maps
    follow their kernels; values stay.

    Args:
        network: changed in place, on the device where it is going to run.

    Returns:
        ``network``.
    """
    for module in network.modules():
        if faster := FASTER.get(type(module)):
            module.__class__ = faster
    if any(parameter.device.type != "cpu" for parameter in network.parameters()):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
