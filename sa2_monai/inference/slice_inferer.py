# SPDX-License-Identifier: Apache-2.0
"""Inference on volumes with networks for slices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from monai.inferers import Inferer, sliding_window_inference
from monai.utils import convert_to_dst_type
from torch import nn

from sa2_monai.inference.finite import FiniteCheck
from sa2_monai.inference.large_images import enter_by_channels, is_large, scores_by_rows
from sa2_monai.inference.layers import Layers, brought_back, numbered
from sa2_monai.inference.members import Members, RunningMean
from sa2_monai.inference.runtimes import EAGER, RuntimeNetwork, check_runtime
from sa2_monai.inference.slice_batches import SliceBatches
from sa2_monai.inference.slice_inferer_checks import (
    check_members,
    check_options,
    check_temperature,
    check_uncertainty,
    check_volume,
    pixel_spacing,
    volume_name,
)
from sa2_monai.inference.uncertainty.maps import map_names
from sa2_monai.networks.precision import PRECISIONS, choose_precision
from sa2_monai.slices.constants import blending_weights
from sa2_monai.slices.slice_view import SliceView
from sa2_monai.slices.stored_volume import StoredVolume
from sa2_monai.slices.transfer import to_device, waits
from sa2_monai.slices.views import PaperView, PlainView, WholeView, WindowsView
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

    Several members can make one prediction: the networks of an ensemble, with ``tta`` flips and quarter turns of what
    the network sees, and thinned networks of ``dropout_samples``, all of them combined. They come one after the other;
    the mean of their probabilities, on the grid of the network, is that of the prediction.

    Memory is flat in the number of slices, classes and members: beside the volume there is its label map and what one
    batch of slices needs. Probabilities, where asked for, take ``4 * K`` bytes per voxel, and so does the average over
    three orientations: 1.9 GB for 9 classes and 512 x 512 x 200 voxels; a map of the uncertainty takes 4.

    The network is called with slices (B, C, h, w) of ``float32`` and must return logits (B, K, h, w). It is the
    caller's to put it into evaluation mode. An autocast region is opened around its call alone (``precision``);
    resizing and probabilities are always calculated in single precision or better. No gradients are recorded.

    Args:
        roi_size: rows and columns of the network's input, or one number for both.
        view: ``"whole"``, ``"windows"`` or ``"paper"``.
        slice_batch_size: slices, in ``windows`` windows, per call of the network; changes no result. ``"auto"``: what
            the memory of an accelerator has room for, see :mod:`sa2_monai.inference.slice_batches`. Where it does not
            suffice, batches are halved, which is told once.
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
        tta: test-time augmentation: average over the 8 flips and quarter turns of a square ``roi_size``, the 4 of any
            other.
        uncertainty: maps behind the labels or probabilities, as further channels: ``"entropy"`` of the mean
            probability in units of ``log(K)``, ``"variance"`` over the members (and the orientations), ``"all"`` for
            both, ``None`` for neither; see :mod:`sa2_monai.inference.uncertainty.maps`. Not for ``paper``.
        dropout_samples: number of thinned networks in place of the whole one; 0 for none.
        temperature: by which the logits of every network are divided before they become probabilities (temperature
            scaling); ``None`` for 1, and of an ensemble for those of its networks.
        precision: ``"fp32"``, ``"bf16"``, ``"fp16"`` or ``"auto"``, see :mod:`sa2_monai.networks.precision`; ``None``
            leaves it to an autocast region of the caller.
        runtime: what calculates the network, a name of :data:`sa2_monai.inference.runtimes.RUNTIMES`; all but
            ``"eager"`` are prepared at the first call, for networks in evaluation mode, and not with
            ``dropout_samples``.
        device: where slices are resized and the network runs; ``None`` is the device of the network's parameters.
        accumulate_on: device of the result; ``None`` is that of the input.

    Raises:
        ImportError: the packages of a runtime are missing.
        RuntimeRefusedError: when called, for a runtime that cannot take the network or does not agree with it.
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
        slice_batch_size: int | str = 8,
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
        tta: bool = False,
        uncertainty: str | None = None,
        dropout_samples: int = 0,
        temperature: float | None = None,
        precision: str | None = None,
        runtime: str = EAGER,
    ) -> None:
        super().__init__()
        rows, columns = check_roi_size(roi_size, divisor=1)
        self.roi_size = (rows, columns)
        check_options(view, slice_batch_size, normalize, overlap, pixdim, orientations, output, resize, stretch)
        self.maps = map_names(uncertainty)
        check_uncertainty(self.maps, view, output, dropout_samples)
        check_temperature(temperature)
        if precision not in (None, *PRECISIONS):
            raise ValueError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}, or None")
        check_runtime(runtime, dropout_samples)
        self.view = view
        self.slice_batch_size = slice_batch_size
        self.batches = SliceBatches(slice_batch_size)
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
        self.tta = tta
        self.dropout_samples = dropout_samples
        self.temperature = temperature
        self.precision = precision
        self.runtime = runtime

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """Infer one volume.

        Args:
            inputs: volume (1, C, X, Y, Z), tensor or ``MetaTensor`` of any real dtype, on any device; of an image that
                was loaded ``as_stored``, slices are scaled when they are cut.
            network: network for slices.
            args: further arguments of the network.
            kwargs: further named arguments of the network.

        Returns:
            labels (1, 1, X, Y, Z), or (1, 1, h, w, Z) on the ``grid`` of the network, ``uint8`` (``int16`` above 256
            classes), or probabilities (1, K, X, Y, Z), ``float32``; with maps of the uncertainty as further channels,
            all of it ``float32``; with the metadata of the input if that is a ``MetaTensor``.
        """
        check_volume(inputs)
        device = self._device_of(network, inputs.device)
        target = inputs.device if self.accumulate_on is None else torch.device(self.accumulate_on)
        job = _Job(
            volume=StoredVolume.of(inputs),
            spacing=(1.0, 1.0, 1.0) if self.pixdim is None else pixel_spacing(inputs),
            members=self.members(network, args, kwargs, volume_name(inputs), inputs.device),
            name=volume_name(inputs),
            device=device,
            layers=Layers(self.output, self.maps, device, target),
        )
        with torch.no_grad():
            out = self._all_axes(job) if self.orientations == "all" else self._slices(job)
        return convert_to_dst_type(out[None], inputs, dtype=out.dtype, device=target)[0]

    def members(
        self,
        network: Callable[..., torch.Tensor],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        name: str = "the volume",
        device: torch.device | str = "cpu",
    ) -> Members:
        """What makes a prediction together; asked before a run, it refuses what cannot be.

        Args:
            network: network for slices, or an ensemble.
            args: further arguments of the network.
            kwargs: further named arguments of the network.
            name: of the volume, for messages.
            device: where a network without parameters runs.

        Raises:
            ValueError: a variance of one member, samples of a network without dropout, or a precision that the device
                does not have.
        """
        eager, where = self.runtime == EAGER, self._device_of(network, device)
        precision = self.precision and choose_precision(self.precision, where, runtime=self.runtime)

        def prepared(one: Any) -> RuntimeNetwork:
            return RuntimeNetwork(one, self.runtime, precision or "fp32", self.batches.size, self.normalize)

        found = Members(
            *(network, self.tta, self.dropout_samples, self.roi_size, args, kwargs, self.sigmoid, name),
            temperature=self.temperature,
            precision=precision if eager else None,  # a runtime has its own way to it
            runtime=None if eager else prepared,
        )
        check_members(self.maps, len(found) * (3 if self.orientations == "all" else 1))
        return found

    def _device_of(self, network: Callable[..., Any], otherwise: torch.device | str) -> torch.device:
        parameter = next(network.parameters(), None) if isinstance(network, nn.Module) else None
        return torch.device(self.device or (otherwise if parameter is None else parameter.device))

    def _slices(self, job: _Job) -> torch.Tensor:
        """Layers (L, X, Y, Z) or (L, h, w, Z); nothing but them outlives a batch of slices."""
        out = torch.zeros(0)
        view = self._view(job, 2)
        if self._goes_by_rows(job, view):
            # all of it again where the memory does not suffice, with fewer windows at a time
            return next(rows for _, rows in self.batches.run(1, job.device, lambda *_: self._rows(job)))
        found = PlainView(self.roi_size) if self.output == "grid" else view
        size = (*found.size, job.volume.shape[-1])
        where = job.layers.collected_on(size)
        for start, scores, layers in self._batches(job, 2, view, lambda scores: job.layers.of(found, scores)):
            out = job.layers.put(out, where, size, start, scores, layers)
        return out

    def _goes_by_rows(self, job: _Job, view: PlainView) -> bool:
        """Whether windows look at the pixels of a single slice that is so large that its scores are not kept."""
        if not isinstance(view, WindowsView) or view.steps != [1.0, 1.0] or job.volume.shape[-1] > 1:
            return False
        return is_large(job.volume, 2) and all(n >= m for n, m in zip(view.size, self.roi_size, strict=True))

    def _rows(self, job: _Job) -> torch.Tensor:
        """Layers (L, X, Y, 1) of an image in windows, band by band."""
        out = torch.zeros(0)
        pixels = job.volume.along(2)
        size, target = job.volume.shape[1:3], job.layers.target
        check = FiniteCheck(job.name, axis=2)

        def cut(down: slice, across: slice) -> torch.Tensor:
            part = to_device(pixels[:, :, down, across], job.device)
            return self._normalised(job.volume.intensities(part, 2, 0).to(torch.float32))

        walks = [
            scores_by_rows(cut, size, self.roi_size, self.batches.size, self.overlap, member) for member in job.members
        ]
        for bands in zip(*walks, strict=True):  # the same rows of all members
            top, scores = bands[0][0], None
            for _, logits in bands:
                check.look(0, pixels, logits)
                scores = self._added(scores, logits)
            assert scores is not None
            rows = PlainView(scores.mean.shape[2:])
            layers = job.layers.of(rows, scores)
            band = job.layers.put(torch.zeros(0), target, (*rows.size, 1), 0, scores, layers)
            if out.numel() == 0:
                out = torch.zeros((len(band), *size, 1), dtype=band.dtype, device=target)
            out[:, top : top + band.shape[1]] = band
        check.finish()
        return out

    def _all_axes(self, job: _Job) -> torch.Tensor:
        """Layers (L, X, Y, Z) from the mean over the slices along the three axes."""
        mean, spread = torch.zeros(0), None
        size, target = job.volume.shape[1:], job.layers.target
        for axis in (0, 1, 2):
            view = self._view(job, axis)
            finish = partial(_mean_brought_back, view)
            for start, scores, planes in self._batches(job, axis, view, finish):
                if mean.numel() == 0:
                    mean = torch.zeros((scores.mean.shape[1], *size), device=target)
                    spread = None if scores.spread is None else torch.zeros_like(mean[:1])
                part = slice(start, start + len(scores.mean))
                # (b, K, H, W) and (b, 1, H, W), which share the memory of the volumes
                slab = mean.movedim(axis + 1, 0)[part]
                apart = None if spread is None else spread.movedim(axis + 1, 0)[part]
                for index, plane in numbered(planes):
                    RunningMean(slab[:, index : index + plane.shape[1]], apart, axis).add(plane.to(target))
                if apart is not None and scores.variance is not None:
                    apart += view.leave(scores.variance).to(target)
        if self.output == "probabilities" and not self.maps:
            return mean
        out = torch.zeros(0)
        whole = PlainView((mean.shape[1], mean.shape[2]))
        for start in range(0, mean.shape[3], self.batches.size):
            part = slice(start, start + self.batches.size)
            slab = mean[..., part].permute(3, 0, 1, 2)
            apart = None if spread is None else spread[..., part].permute(3, 0, 1, 2)
            scores = RunningMean(slab, apart, count=3)
            out = job.layers.put(out, target, size, start, scores, job.layers.of(whole, scores))
        return out

    def _batches(
        self, job: _Job, axis: int, view: PlainView, finish: Callable[[RunningMean], Iterator[torch.Tensor]]
    ) -> Iterator[tuple[int, RunningMean, Iterable[torch.Tensor]]]:
        """Yield the first slice of each batch, its scores, and the layers (b, l, H, W) that ``finish`` makes."""
        check = FiniteCheck(job.name, axis)

        def work(start: int, stop: int) -> tuple[RunningMean, Iterable[torch.Tensor]]:
            scores = self._scores(job, axis, view, start, stop, check)
            layers = finish(scores)
            # On a CPU one layer lives at a time; an accelerator makes all of them before the first is fetched.
            return scores, [torch.cat(list(layers), dim=1)] if waits(job.device) else layers

        for start, (scores, layers) in self.batches.run(job.volume.shape[axis + 1], job.device, work):
            yield start, scores, layers
        check.finish()

    def _scores(self, job: _Job, axis: int, view: PlainView, start: int, stop: int, check: FiniteCheck) -> RunningMean:
        """Probabilities (B, K, h, w) of the slices from ``start`` to before ``stop``, on the grid of the network."""
        if self.view != "windows" and is_large(job.volume, axis):
            images = enter_by_channels(job.volume, view, axis, start, stop, job.device)
        else:
            # Moved as stored, 16 bit as a rule: the floating-point form of the whole volume never exists.
            images = view.enter(job.volume.cut(axis, start, stop, job.device))
        images = self._normalised(_stretched(images) if self.stretch else images)
        scores: RunningMean | None = None
        for member in job.members:
            logits = self._windows(images, member) if self.view == "windows" else member(images)
            check.look(start, images, logits)
            scores = self._added(scores, logits)
        assert scores is not None
        return scores

    def _normalised(self, images: torch.Tensor) -> torch.Tensor:
        return images if self.normalize is None else (images - self.normalize[0]) / self.normalize[1]

    def _added(self, scores: RunningMean | None, logits: torch.Tensor) -> RunningMean:
        """The mean of the probabilities of the members so far, with those of one more."""
        probabilities = torch.sigmoid(logits) if self.sigmoid else torch.softmax(logits, dim=1)
        if scores is None:
            return RunningMean.of(probabilities, "variance" in self.maps)
        scores.add(probabilities)
        return scores

    def _windows(self, images: torch.Tensor, network: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        mean, std = self.normalize or (0.0, 1.0)
        return sliding_window_inference(
            images,
            self.roi_size,
            self.batches.size,
            network,
            overlap=self.overlap,
            mode="gaussian",
            roi_weight_map=blending_weights(self.roi_size, images.device),
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
    batch_size: int | str = 8,
    overlap: float = 0.25,
    orientations: str = "slices",
    output: str = "labels",
    sigmoid: bool = False,
    tta: bool = False,
    uncertainty: str | None = None,
    dropout_samples: int = 0,
    temperature: float | None = None,
    precision: str | None = None,
    runtime: str = EAGER,
) -> VolumeInferer:
    """Inferer that sees slices as a training with the same view did, and brings their labels back.

    Args:
        view: how the model sees a slice.
        batch_size: slices, or windows, that go through the network together, or ``"auto"``; changes no result.
        overlap: see :class:`VolumeInferer`, as all that follows.
        orientations: slices of one axis, or of all.
        output: labels or probabilities.
        sigmoid: the network has one output channel.
        tta: also average over flips and quarter turns.
        uncertainty: maps behind the labels or probabilities.
        dropout_samples: number of thinned networks.
        temperature: by which logits are divided.
        precision: in which the network calculates.
        runtime: what calculates the network.

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
        tta=tta,
        uncertainty=uncertainty,
        dropout_samples=dropout_samples,
        temperature=temperature,
        precision=precision,
        runtime=runtime,
    )


@dataclass(frozen=True)
class _Job:
    """What one call works on.

    Attributes:
        volume: (C, X, Y, Z), of which slices are cut.
        spacing: mm per voxel.
        members: whose probabilities are averaged.
        name: of the volume, for messages.
        device: where they run.
        layers: what is told of each voxel, and where it goes.
    """

    volume: StoredVolume
    spacing: tuple[float, float, float]
    members: Members
    name: str
    device: torch.device
    layers: Layers


def _stretched(images: torch.Tensor) -> torch.Tensor:
    """Each of the images (B, C, H, W) from its lowest to its highest value, as ``ScaleIntensityd`` does in training."""
    lowest, highest = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    return (images - lowest) / torch.where(highest > lowest, highest - lowest, torch.ones_like(highest))


def _mean_brought_back(view: PlainView, scores: RunningMean) -> Iterator[torch.Tensor]:
    return brought_back(view, scores.mean)
