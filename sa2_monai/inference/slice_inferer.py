# SPDX-License-Identifier: Apache-2.0
"""Inference on volumes with networks for slices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer, sliding_window_inference
from monai.utils import convert_to_dst_type
from torch import nn

from sa2_monai.inference.slice_inferer_checks import check_options, check_volume, pixel_spacing, volume_name
from sa2_monai.inference.slice_network import SliceNetwork
from sa2_monai.slices.slice_view import SliceView
from sa2_monai.slices.views import PaperView, PlainView, WholeView, WindowsView, first_maximum
from sa2_monai.slices.windows import check_roi_size

__all__ = ["VolumeInferer", "inferer_for"]


class VolumeInferer(Inferer):
    """Run a network for slices over a volume, in batches of slices, and return a label map or probabilities.

    Slices lie along the last axis; a slice ``[x, y]`` is what the network sees as (H, W). Three views:

    - ``"whole"``: each slice is resized to ``roi_size`` (by default with the cubic spline, proper border), the
      probabilities are resized back bilinearly, then the class is chosen. For networks trained on whole slices, the
      published ones too.
    - ``"windows"``: slices at a chosen pixel size (``pixdim``), overlapping windows of ``roi_size`` blended with
      Gaussian weights by MONAI, probabilities brought back to the pixels of the volume, then the class. For networks
      trained on windows. Slices smaller than the window are padded with the intensity 0, and cut again.
    - ``"paper"``: resize, class, nearest sample back: the label maps of the published loop, its border defect
      included (specification of the evaluation, sections 7.1 and 8).

    An image is a volume of one slice.

    Memory is flat in the number of slices and classes: beside the volume there is its label map and what one batch of
    slices needs. Probabilities, where asked for, take ``4 * K`` bytes per voxel, and so does the average over three
    orientations: 1.9 GB for 9 classes and 512 x 512 x 200 voxels.

    The network is called with slices (B, C, h, w) of ``float32`` and must return logits (B, K, h, w). It is the
    caller's to put it into evaluation mode and to open an autocast region; resizing and probabilities are always
    calculated in single precision or better. No gradients are recorded.

    Args:
        roi_size: rows and columns of the network's input, or one number for both.
        view: ``"whole"``, ``"windows"`` or ``"paper"``.
        slice_batch_size: slices, in ``windows`` windows, per call of the network. Changes no result.
        normalize: mean and standard deviation that are subtracted and divided by *after* resizing, for the published
            networks (0.5, 0.5); ``None`` leaves intensities alone.
        overlap: of neighbouring windows, in units of the window, 0 up to below 1; only for ``windows``.
        pixdim: pixel size in mm to which slices are resampled, as ``Spacingd(pixdim=(a, a, -1))`` does; the distance of
            slices stays. ``None`` keeps the pixels. Only for ``windows``.
        orientations: ``"slices"``, or ``"all"`` to average the probabilities of the slices along all three axes with
            equal weights. Only for ``windows``.
        output: ``"labels"`` or ``"probabilities"``; the latter not for ``paper``, which has none. ``"grid"``: labels of
            ``roi_size`` that are not brought back to the volume's own, where published scores are measured; for
            ``whole`` and ``paper``.
        resize: ``"spline"`` (cubic, corner pixels in place), ``"bilinear"`` (edges in place, no smoothing),
            ``"antialiased"`` (bilinear, edges in place, smoothed where the slice shrinks, as Pillow does) or
            ``"bicubic"`` (the same, cubic), as in training; for ``whole`` and ``paper``.
        sigmoid: the network has one output channel, of which a sigmoid makes the probability of class 1; the label is 1
            where it is at least 0.5. Otherwise there are two or more channels with a softmax.
        stretch: bring each slice, all channels together, from its lowest and highest value to [0, 1] after resizing
            and before ``normalize``; a slice of one value becomes 0. For ``whole`` and ``paper``.
        device: where slices are resized and the network runs; ``None`` is the device of the network's parameters.
        accumulate_on: device of the result; ``None`` is that of the input.

    Raises:
        ValueError: at once for options that contradict each other; when called, for an input that is no volume, more
            than one volume, a network that cannot take it or returns NaN or infinite values, or ``pixdim`` for an
            input without affine. The message names the file where the input knows it.

    Example::

        inferer = VolumeInferer(roi_size=224, normalize=(0.5, 0.5))
        labels = inferer(volume, network)  # (1, C, X, Y, Z) -> (1, 1, X, Y, Z)
    """

    def __init__(
        self,
        roi_size: Sequence[int] | int,
        view: str = "whole",
        slice_batch_size: int = 8,
        normalize: Sequence[float] | None = None,
        overlap: float = 0.25,
        pixdim: float | None = None,
        orientations: str = "slices",
        output: str = "labels",
        resize: str = "spline",
        sigmoid: bool = False,
        stretch: bool = False,
        device: torch.device | str | None = None,
        accumulate_on: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        rows, columns = check_roi_size(roi_size, divisor=1)
        self.roi_size = (rows, columns)
        check_options(view, slice_batch_size, normalize, overlap, pixdim, orientations, output, resize, stretch)
        self.view = view
        self.slice_batch_size = slice_batch_size
        self.normalize = None if normalize is None else (float(normalize[0]), float(normalize[1]))
        self.overlap = overlap
        self.pixdim = pixdim
        self.orientations = orientations
        self.output = output
        self.resize = resize
        self.sigmoid = sigmoid
        self.stretch = stretch
        self.device = device
        self.accumulate_on = accumulate_on

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """Infer one volume.

        Args:
            inputs: volume (1, C, X, Y, Z), tensor or ``MetaTensor`` of any real dtype, on any device.
            network: network for slices.
            args: further arguments of the network.
            kwargs: further named arguments of the network.

        Returns:
            labels (1, 1, X, Y, Z), or (1, 1, h, w, Z) on the ``grid`` of the network, ``uint8`` (``int16`` above 256
            classes), or probabilities (1, K, X, Y, Z), ``float32``; with the metadata of the input if that is a
            ``MetaTensor``.
        """
        check_volume(inputs)
        volume = inputs.as_tensor()[0] if isinstance(inputs, MetaTensor) else inputs[0]
        job = _Job(
            volume=volume,
            spacing=(1.0, 1.0, 1.0) if self.pixdim is None else pixel_spacing(inputs),
            network=SliceNetwork(network, args, kwargs, self.sigmoid, volume_name(inputs)),
            device=_device_of(network, inputs) if self.device is None else torch.device(self.device),
            target=inputs.device if self.accumulate_on is None else torch.device(self.accumulate_on),
        )
        with torch.no_grad():
            if self.orientations == "all":
                out = torch.zeros(0)
                for axis in (0, 1, 2):
                    out = self._add_probabilities(job, axis, out, weight=1 / 3)
                if self.output == "labels":
                    out = self._labels_of(out)
            elif self.output != "probabilities":
                out = self._labels(job)
            else:
                out = self._add_probabilities(job, 2, torch.zeros(0))
        return convert_to_dst_type(out[None], inputs, dtype=out.dtype, device=job.target)[0]

    def _labels(self, job: _Job) -> torch.Tensor:
        """Class indices (1, X, Y, Z) or (1, h, w, Z); nothing but them outlives a batch of slices."""
        out = torch.zeros(0)
        view = self._view(job, 2)
        found = PlainView(self.roi_size) if self.output == "grid" else view
        for start, scores in self._scores(job, 2, view):
            labels = found.labels(scores)
            if start == 0:
                size = (*found.size, job.volume.shape[-1])
                out = torch.zeros((1, *size), dtype=labels.dtype, device=job.target)
            out[..., start : start + len(labels)] = labels.permute(1, 2, 3, 0)
        return out

    def _add_probabilities(self, job: _Job, axis: int, out: torch.Tensor, weight: float = 1.0) -> torch.Tensor:
        """Add the weighted probabilities of the slices along ``axis`` to ``out`` (K, X, Y, Z), made when empty."""
        view = self._view(job, axis)
        for start, scores in self._scores(job, axis, view):
            if out.numel() == 0:
                out = torch.zeros((scores.shape[1], *job.volume.shape[1:]), device=job.target)
            slab = out.movedim(axis + 1, 0)[start : start + len(scores)]  # (b, K, H, W), shares the memory of out
            for index in range(scores.shape[1]):
                slab[:, index].add_(view.leave(scores[:, index : index + 1])[:, 0].to(job.target), alpha=weight)
        return out

    def _labels_of(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Class indices (1, X, Y, Z) from probabilities (K, X, Y, Z), slab by slab."""
        slabs = []
        for slab in probabilities.split(self.slice_batch_size, dim=1):
            if self.sigmoid:
                slabs.append((slab >= 0.5).to(torch.uint8))
            else:
                slabs.append(first_maximum(slab.split(1), len(slab)))
        return torch.cat(slabs, dim=1)

    def _scores(self, job: _Job, axis: int, view: PlainView) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield the first slice of each batch and its probabilities (B, K, h, w) on the grid of the network."""
        slices = job.volume.movedim(axis + 1, 0)  # (Z, C, H, W)
        for start in range(0, len(slices), self.slice_batch_size):
            # Moved as stored, 16 bit as a rule: the floating-point form of the whole volume never exists.
            batch = slices[start : start + self.slice_batch_size].contiguous().to(job.device)
            images = _stretched(view.enter(batch)) if self.stretch else view.enter(batch)
            if self.normalize is not None:
                images = (images - self.normalize[0]) / self.normalize[1]
            logits = self._windows(images, job.network) if self.view == "windows" else job.network(images)
            # The sum tells at once that all is well; a sum that overflows alone is no error.
            if not torch.isfinite(logits.sum()) and not torch.isfinite(logits).all():
                finite = "finite" if torch.isfinite(images).all() else "not finite, too"
                raise ValueError(
                    f"{job.network.name}: the network's output for the slices {start} to {start + len(batch) - 1} "
                    f"along axis {axis} has NaN or infinite values; its input is {finite}. Check the voxels of the "
                    "file and the weights; with mixed precision, try single precision."
                )
            yield start, torch.sigmoid(logits) if self.sigmoid else torch.softmax(logits, dim=1)

    def _windows(self, images: torch.Tensor, network: SliceNetwork) -> torch.Tensor:
        mean, std = self.normalize or (0.0, 1.0)
        return sliding_window_inference(
            images,
            self.roi_size,
            self.slice_batch_size,
            network,
            overlap=self.overlap,
            mode="gaussian",
            cval=-mean / std,  # what the intensity 0 has become: in training, slices are padded before they are scaled
        )

    def _view(self, job: _Job, axis: int) -> PlainView:
        rows, columns = (other for other in (0, 1, 2) if other != axis)
        size = (job.volume.shape[rows + 1], job.volume.shape[columns + 1])
        if self.view == "windows":
            return WindowsView(size, (job.spacing[rows], job.spacing[columns]), self.pixdim)
        return (PaperView if self.view == "paper" else WholeView)(size, self.roi_size, self.resize)


def inferer_for(
    view: SliceView,
    batch_size: int = 8,
    overlap: float = 0.25,
    orientations: str = "slices",
    output: str = "labels",
    sigmoid: bool = False,
) -> VolumeInferer:
    """Inferer that sees slices as a training with the same view did, and brings their labels back.

    Args:
        view: how the model sees a slice.
        batch_size: slices, or windows, that go through the network together; changes no result.
        overlap: see :class:`VolumeInferer`, as all that follows.
        orientations: slices of one axis, or of all.
        output: labels or probabilities.
        sigmoid: the network has one output channel.

    Raises:
        ValueError: for options that the view does not have.
    """
    return VolumeInferer(
        view.roi_size,
        view.view,
        batch_size,
        view.normalize,
        overlap,
        view.pixdim,
        orientations,
        output,
        view.resize,
        sigmoid,
        view.stretched,
    )


@dataclass(frozen=True)
class _Job:
    """What one call works on: volume (C, X, Y, Z), mm per axis, network, where it runs, where the result goes."""

    volume: torch.Tensor
    spacing: tuple[float, float, float]
    network: SliceNetwork
    device: torch.device
    target: torch.device


def _stretched(images: torch.Tensor) -> torch.Tensor:
    """Each of the images (B, C, H, W) from its lowest to its highest value, as ``ScaleIntensityd`` does in training."""
    lowest, highest = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    return (images - lowest) / torch.where(highest > lowest, highest - lowest, torch.ones_like(highest))


def _device_of(network: Callable[..., Any], inputs: torch.Tensor) -> torch.device:
    parameter = next(network.parameters(), None) if isinstance(network, nn.Module) else None
    return inputs.device if parameter is None else parameter.device
