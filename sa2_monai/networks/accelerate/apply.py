# SPDX-License-Identifier: Apache-2.0
"""What makes an evaluation network fast on a CPU, put into it from outside."""

from __future__ import annotations

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
    nn.Linear: linear.Linear,
    blocks.MergedLinear: linear.MergedLinear,
    blocks.PointwiseConv: linear.PointwiseConv,
    daeformer.DAEFormer: batches.DAEFormer,
    hsaunet.HSAUNet: batches.HSAUNet,
    sa2net.SA2Net: batches.SA2Net,
}
"""Module and what takes its place: a subclass of it that differs in ``__call__`` alone."""


def accelerate(network: nn.Module) -> nn.Module:
    """Make a network whose weights are loaded faster in evaluation on a CPU; its numbers change in the last digits.

    Modules of exactly the classes of :data:`FASTER` get the faster class, in place: parameters, their names and
    ``forward`` stay. In training, where gradients are wanted, on GPUs, and for tracing, scripting and export the
    network is what it was.

    Args:
        network: changed in place.

    Returns:
        ``network``.
    """
    for module in network.modules():
        if faster := FASTER.get(type(module)):
            module.__class__ = faster
    return network
