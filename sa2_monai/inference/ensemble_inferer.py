# SPDX-License-Identifier: Apache-2.0
"""Inference by networks that each see an image in their own way: the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.transforms import Compose
from monai.utils import convert_to_dst_type

from sa2_monai.inference.ensemble import EnsembleNetwork
from sa2_monai.inference.slice_inferer import VolumeInferer, inferer_for
from sa2_monai.slices import orient_slices, restore_orientation, scale_intensity
from sa2_monai.slices.slice_view import SliceView
from sa2_monai.slices.views import first_maximum

__all__ = ["EnsembleInferer"]

_IMAGE, _PRED = "image", "pred"


class EnsembleInferer(Inferer):
    """Let each network of an :class:`~sa2_monai.inference.EnsembleNetwork` look at a volume with its own eyes.

    The volume comes as the file has it, channels and slices in place, intensities as stored. Each member scales it,
    turns it to its own slices and sees it in its own window; the probabilities come back to the voxels of the volume
    and are averaged there. One member after the other: memory does not grow with their number. It takes twice
    ``4 * K`` bytes per voxel for the K classes.

    Args:
        members: how each network sees, plain values: ``view`` (arguments of :class:`~sa2_monai.slices.SliceView`),
            ``scale`` (of :func:`~sa2_monai.slices.scale_intensity` but the kind), ``slice_axis``, ``overlap``,
            ``sigmoid`` (one output channel), ``reverse_channels`` (its channels come in the other order), and of
            calibrated ones ``temperature``, which an option of that name overrules.
        kind: of the files, see :func:`~sa2_monai.slices.load_image`.
        batch_size: slices, or windows, that go through a network together; changes no result.
        orientations: slices of one axis, or of all, for the members with windows.
        output: ``"labels"`` or ``"probabilities"``.
        uncertainty: not for such members; ``None``.
        options: further ones of :func:`~sa2_monai.inference.inferer_for`, for all members.

    Raises:
        ValueError: options that a view does not have, or an uncertainty.
    """

    def __init__(
        self,
        members: Sequence[Mapping[str, Any]],
        kind: str,
        batch_size: int = 8,
        orientations: str = "slices",
        output: str = "labels",
        uncertainty: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        if output not in ("labels", "probabilities"):
            raise ValueError(f"output is {output!r}, expected 'labels' or 'probabilities'")
        if uncertainty is not None:
            raise ValueError(
                f"uncertainty is {uncertainty!r}, but the members of this ensemble see an image in different ways, of "
                "which no map is made; leave it out"
            )
        self.output = output
        self.eyes = [_Eyes(member, kind, batch_size, orientations, options) for member in members]

    def __call__(self, inputs: torch.Tensor, network: EnsembleNetwork, *_: Any, **__: Any) -> torch.Tensor:
        """Infer one volume.

        Args:
            inputs: ``MetaTensor`` (1, C, X, Y, Z).
            network: the ensemble.

        Returns:
            labels (1, 1, X, Y, Z), or probabilities (1, K, X, Y, Z), with the metadata of the input; K is 2 or more.

        Raises:
            ValueError: an ensemble of another number of networks, or what a member cannot look at.
        """
        networks = self.members(network)
        mean = torch.zeros(0)
        for eyes, member in zip(self.eyes, networks, strict=True):
            found = eyes.probabilities(inputs, member)
            mean = found.div_(len(networks)) if mean.numel() == 0 else mean.add_(found, alpha=1 / len(networks))
        if self.output == "labels":
            mean = first_maximum(mean.split(1), len(mean))
        return convert_to_dst_type(mean[None], inputs, dtype=mean.dtype, device=inputs.device)[0]

    def members(self, network: EnsembleNetwork) -> list[torch.nn.Module]:
        """The networks, one for each way to see.

        Raises:
            ValueError: there are more or fewer.
        """
        networks = list(network.networks)
        if len(networks) != len(self.eyes):
            raise ValueError(f"the ensemble has {len(networks)} networks, but {len(self.eyes)} ways to see are said")
        return networks


class _Eyes:
    """How one member sees."""

    def __init__(
        self, member: Mapping[str, Any], kind: str, batch_size: int, orientations: str, options: Mapping[str, Any]
    ) -> None:
        self.steps = Compose(
            [
                orient_slices(kind, member["slice_axis"], keys=_IMAGE),
                scale_intensity(kind, **member["scale"]),
            ]
        )
        self.restore = restore_orientation(kind, self.steps, key=_PRED, orig_key=_IMAGE)
        self.reverse = bool(member["reverse_channels"])
        if options.get("temperature") is None:
            options = {**options, "temperature": member.get("temperature")}
        self.inferer: VolumeInferer = inferer_for(
            SliceView(**member["view"]),
            batch_size,
            member["overlap"],
            orientations if member["view"]["view"] == "windows" else "slices",
            "probabilities",
            member["sigmoid"],
            **options,
        )

    def probabilities(self, inputs: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
        """Probabilities (K, X, Y, Z), K at least 2, on the voxels of the input (1, C, X, Y, Z)."""
        image = inputs[0].clone() if isinstance(inputs, MetaTensor) else MetaTensor(inputs[0].clone())
        data: dict[str, Any] = self.steps({_IMAGE: image.flip(0) if self.reverse else image})
        data[_PRED] = self.inferer(data[_IMAGE][None], network)[0]
        found: torch.Tensor = self.restore(data)[_PRED]
        values = found.as_tensor() if isinstance(found, MetaTensor) else found
        return torch.cat([1 - values, values]) if len(values) == 1 else values
