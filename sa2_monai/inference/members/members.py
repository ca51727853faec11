# SPDX-License-Identifier: Apache-2.0
"""The members of a prediction: networks of an ensemble, times samples of dropout, times flips and quarter turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from sa2_monai.inference.ensemble import EnsembleNetwork
from sa2_monai.inference.members.dropout import dropout_modules, dropout_sample
from sa2_monai.inference.members.symmetries import Symmetry, symmetries
from sa2_monai.inference.slice_network import SliceNetwork

__all__ = ["Members"]


class Members:
    """What is asked, one after the other, for the logits of the same images; its items take images (B, C, H, W).

    Args:
        network: a network for slices, or an :class:`~sa2_monai.inference.EnsembleNetwork`, which is taken apart.
        tta: test-time augmentation: each network also sees the flips and quarter turns of an image.
        dropout_samples: each network counts as so many thinned ones; 0 leaves it whole.
        size: rows and columns of what the network sees.
        args: further arguments of the network.
        kwargs: further named arguments of the network.
        sigmoid: the network has one output channel.
        name: of the volume, for messages.
        temperature: by which all logits are divided; ``None`` for those of the networks of an ensemble, else 1.
        precision: in which the networks calculate, see :func:`~sa2_monai.networks.precision.autocast`.
        runtime: what stands for each network, see :class:`~sa2_monai.inference.runtimes.RuntimeNetwork`; ``None`` for
            the network itself.

    Raises:
        ValueError: samples of a network that drops nothing.
    """

    def __init__(
        self,
        network: Callable[..., torch.Tensor],
        tta: bool,
        dropout_samples: int,
        size: Sequence[int],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        sigmoid: bool = False,
        name: str = "the volume",
        temperature: float | None = None,
        precision: str | None = None,
        runtime: Callable[[Any], Callable[..., torch.Tensor]] | None = None,
    ) -> None:
        whole, own = [network], [1.0]
        if isinstance(network, EnsembleNetwork):
            whole, own = list(network.networks), network.temperatures
        called = whole if runtime is None else [runtime(one) for one in whole]
        self.networks = [
            SliceNetwork(
                one, args, kwargs or {}, sigmoid, name, divisor if temperature is None else temperature, precision
            )
            for one, divisor in zip(called, own, strict=True)
        ]
        self.samples = range(dropout_samples) if dropout_samples else (None,)
        self.symmetries = symmetries(size) if tta else [Symmetry()]
        if dropout_samples and not all(dropout_modules(one) for one in whole):
            raise ValueError(
                f"dropout_samples is {dropout_samples}, but the network drops nothing: set dropout to a rate above 0 "
                "(--dropout 0.1)."
            )

    def __len__(self) -> int:
        return len(self.networks) * len(self.samples) * len(self.symmetries)

    def __iter__(self) -> Iterator[Callable[[torch.Tensor], torch.Tensor]]:
        for network in self.networks:
            for sample in self.samples:
                thinned = network if sample is None else _Thinned(network, sample)
                for symmetry in self.symmetries:
                    yield thinned if symmetry == Symmetry() else _Turned(thinned, symmetry)


class _Thinned:
    """A network without what one sample of dropout takes away."""

    def __init__(self, network: SliceNetwork, sample: int) -> None:
        self.network, self.sample = network, sample

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        with dropout_sample(self.network.network, self.sample):  # type: ignore[arg-type]  # it has modules
            return self.network(images)


class _Turned:
    """A network that sees images turned and flipped; its logits are those of the images as they are."""

    def __init__(self, network: Callable[[torch.Tensor], torch.Tensor], symmetry: Symmetry) -> None:
        self.network, self.symmetry = network, symmetry

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return self.symmetry.undo(self.network(self.symmetry.apply(images)))
