# SPDX-License-Identifier: Apache-2.0
"""What an inferer tells of each voxel: a class or its probabilities, then maps of the uncertainty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from sa2_monai.inference.members import RunningMean
from sa2_monai.inference.uncertainty.maps import entropy_map, variance_map
from sa2_monai.slices.transfer import free_memory, waits
from sa2_monai.slices.views import PlainView

__all__ = ["Layers", "brought_back", "numbered"]


@dataclass(frozen=True)
class Layers:
    """Make the layers of slices from their scores, and put them into the volume.

    Attributes:
        output: ``"labels"``, ``"grid"`` (labels as well) or ``"probabilities"``.
        maps: names of the maps of the uncertainty.
        device: where the scores are.
        target: where the result goes.
    """

    output: str
    maps: Sequence[str]
    device: torch.device
    target: torch.device

    def of(self, view: PlainView, scores: RunningMean) -> Iterator[torch.Tensor]:
        """Layers (b, l, H, W), some at a time.

        Args:
            view: brings scores back to the size of the slices.
            scores: of a batch, on the grid of the network.
        """
        if self.output == "probabilities":
            yield from brought_back(view, scores.mean)
        else:
            yield view.labels(scores.mean)
        classes = scores.mean.shape[1]
        if "entropy" in self.maps:
            planes = (one for some in brought_back(view, scores.mean) for one in some.split(1, dim=1))
            yield entropy_map(planes, classes)
        if scores.variance is not None:
            yield variance_map(view.leave(scores.variance), classes)

    def collected_on(self, size: Sequence[int]) -> torch.device:
        """Where they are put together: labels on an accelerator that has room, so that no batch is waited for.

        Args:
            size: of the volume of labels.
        """
        free = None if self.output == "probabilities" or self.maps else free_memory(self.device)
        needed = 2 * torch.Size(size).numel()  # bytes, of the larger dtype
        return self.target if free is None or needed > free / 8 else self.device

    def put(
        self,
        out: torch.Tensor,
        where: torch.device,
        size: Sequence[int],
        start: int,
        scores: RunningMean,
        layers: Iterable[torch.Tensor],
    ) -> torch.Tensor:
        """Put the layers of a batch into ``out`` (L, X, Y, Z), made when empty; return it.

        Args:
            out: without elements at the first batch.
            where: the device of ``out``.
            size: of the volume.
            start: first slice of the batch.
            scores: of the batch.
            layers: of the batch, from :meth:`of`.
        """
        for index, layer in numbered(layers):
            if out.numel() == 0:
                count = (scores.mean.shape[1] if self.output == "probabilities" else 1) + len(self.maps)
                out = torch.zeros((count, *size), dtype=torch.float32 if self.maps else layer.dtype, device=where)
            part = out[index : index + layer.shape[1], ..., start : start + len(layer)]
            part.copy_(layer.to(where).permute(1, 2, 3, 0))
        return out


def brought_back(view: PlainView, scores: torch.Tensor) -> Iterator[torch.Tensor]:
    """Scores (B, K, h, w) at the size of the slices: class by class on a CPU, together on an accelerator.

    Args:
        view: brings them back.
        scores: of a batch.
    """
    return (view.leave(some) for some in scores.split(scores.shape[1] if waits(scores.device) else 1, dim=1))


def numbered(layers: Iterable[torch.Tensor]) -> Iterator[tuple[int, torch.Tensor]]:
    """Layers (b, l, H, W) with the number of the first of their ``l``.

    Args:
        layers: in their order.
    """
    first = 0
    for some in layers:
        yield first, some
        first += some.shape[1]
