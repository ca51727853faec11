# SPDX-License-Identifier: Apache-2.0
"""How a model sees a slice, said once: the steps of training, and what its inference needs to do the same."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from monai.transforms import (
    Compose,
    Identityd,
    NormalizeIntensityd,
    RandSpatialCropd,
    Resized,
    ScaleIntensityd,
    Spacingd,
    SpatialPadd,
    Transform,
)

from sa2_monai.slices.bicubic_resize import AntialiasedResized
from sa2_monai.slices.spline_resize import SplineResized
from sa2_monai.slices.views import RESIZES
from sa2_monai.slices.windows import check_roi_size

__all__ = ["VIEWS", "SliceView"]

VIEWS = ("whole", "windows", "paper")


class SliceView:
    """How a model sees a slice: its size, its resize and its last intensities.

    The methods give the steps of a training, each one transform; :func:`sa2_monai.inference.inferer_for` does the same
    with the slices that are predicted, and brings their labels back.

    Args:
        view: ``"whole"``, the slice resized to ``roi_size``; ``"windows"``, patches of ``roi_size``; ``"paper"``, as
            ``"whole"`` with the published arithmetic, see :class:`~sa2_monai.inference.VolumeInferer`.
        roi_size: rows and columns that the network sees.
        divisor: the network halves its input until this divides it.
        resize: of ``whole`` and ``paper``, a name of :data:`~sa2_monai.slices.views.RESIZES`.
        label_resize: of labels, where ``resize`` is ``"bilinear"``: ``"nearest-exact"``, ``"nearest"``, or
            ``"bilinear"``, which blends values: the labels are class numbers again after a threshold.
        pixdim: of ``windows``, size of a pixel in mm; ``None`` keeps it.
        normalize: mean and divisor, ``(x - mean) / divisor``, behind the resize; ``None`` leaves intensities alone.
        stretch: bring each slice from its lowest and highest value to [0, 1] behind the resize, before ``normalize``.
        image: entry with the image.
        label: entry with the label map.

    Raises:
        ValueError: another view, resize or size; the message names what is allowed.
    """

    def __init__(
        self,
        view: str,
        roi_size: Sequence[int],
        divisor: int = 1,
        resize: str = "spline",
        label_resize: str = "nearest-exact",
        pixdim: float | None = None,
        normalize: Sequence[float] | None = None,
        stretch: bool = False,
        image: Hashable = "image",
        label: Hashable = "label",
    ) -> None:
        for name, value, known in (("view", view, VIEWS), ("resize", resize, tuple(RESIZES))):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}.")
        self.view = view
        self.roi_size = check_roi_size(roi_size, divisor)
        self.resize = resize
        self.label_resize = label_resize
        self.pixdim = pixdim
        self.normalize = None if normalize is None else (float(normalize[0]), float(normalize[1]))
        self.stretched = stretch
        self.image = image
        self.label = label

    def resample(self) -> Transform:
        """Of a whole case: windows are cut at ``pixdim``; image linear, label nearest."""
        if self.view != "windows" or self.pixdim is None:
            return Identityd(self._keys)
        return Spacingd(self._keys, [self.pixdim, self.pixdim, -1], mode=["bilinear", "nearest"])

    def enter(self, now: bool = True) -> Transform:
        """Of a slice (C, H, W): the size of the network, by resizing, or by a random window, padded with 0.

        A resize is no random step: what stands before the first random one is kept for 2D images.

        Args:
            now: ``False`` for nothing, where the network's published order has this step in another place.
        """
        if not now:
            return Identityd(self._keys)
        if self.view == "windows":
            pad = SpatialPadd(self._keys, self.roi_size)
            return Compose([pad, RandSpatialCropd(self._keys, self.roi_size, random_size=False)])
        if self.resize == "spline":
            border = "constant" if self.view == "paper" else "mirror"
            return SplineResized(self._keys, self.roi_size, mode=["spline", "nearest"], border=border)
        if self.resize == "antialiased":
            return AntialiasedResized(self._keys, self.roi_size, mode=["bilinear", "nearest"])
        if self.resize == "bicubic":
            return AntialiasedResized(self._keys, self.roi_size, mode=["bicubic", "nearest"])
        aligned = [False, False if self.label_resize == "bilinear" else None]
        return Resized(self._keys, self.roi_size, mode=["bilinear", self.label_resize], align_corners=aligned)

    def stretch(self) -> Transform:
        """Of a slice that has entered: from its lowest and highest value to [0, 1], where that was asked for."""
        return ScaleIntensityd(self.image, 0.0, 1.0) if self.stretched else Identityd(self.image)

    def normalise(self) -> Transform:
        """Of a slice that has entered: ``(x - mean) / divisor``."""
        return Identityd(self.image) if self.normalize is None else NormalizeIntensityd(self.image, *self.normalize)

    @property
    def _keys(self) -> list[Hashable]:
        return [self.image, self.label]
