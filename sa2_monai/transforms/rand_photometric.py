# SPDX-License-Identifier: Apache-2.0
"""Random blur, brightness, contrast and colour, as SvANet was trained, on tensors with values in [0, 1].

The operators are those of Pillow (``GaussianBlur``, ``ImageEnhance``, a shift of the hue), without its rounding to 8
bits after each step.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.networks.layers import gaussian_1d, separable_filtering
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import convert_to_dst_type, convert_to_tensor

from sa2_monai.slices.bicubic_resize import image_size

__all__ = ["RandBlurd", "RandPhotometricd", "shift_hue"]

# ITU-R 601-2, as Pillow converts to grey.
LUMA = (0.299, 0.587, 0.114)


class RandBlurd(RandomizableTransform, MapTransform):
    """Blur images with a Gaussian of random width, the same along both sides; outside is the border pixel.

    MONAI's ``RandGaussianSmoothd`` draws a width for each side and has 0 outside.

    Args:
        keys: images (C, H, W).
        prob: probability of a blur.
        sigma: least and largest standard deviation, in pixels.
        allow_missing_keys: do not complain about absent keys.

    Raises:
        ValueError: for widths that are none; when called, for an array that is no image.
    """

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.5,
        sigma: tuple[float, float] = (0.0, 1.0),
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        if not 0 <= sigma[0] <= sigma[1]:
            raise ValueError(f"sigma is {tuple(sigma)}, expected the least and the largest width in pixels.")
        self.sigma = (float(sigma[0]), float(sigma[1]))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with blurred images, ``float32``."""
        d = dict(data)
        self.randomize(None)
        sigma = float(self.R.uniform(*self.sigma))  # drawn in any case: the stream does not depend on what happens
        if not self._do_transform:
            return d
        for key in self.key_iterator(d):
            image_size(d[key], key)
            image = convert_to_tensor(d[key], track_meta=False, dtype=torch.float32)
            kernel = gaussian_1d(torch.tensor(max(sigma, 1e-3)), truncated=4.0, approx="erf", normalize=True)
            blurred = separable_filtering(image[None], [kernel, kernel], mode="replicate")[0]
            d[key] = convert_to_dst_type(blurred, dst=d[key], dtype=torch.float32)[0]
        return d


class RandPhotometricd(RandomizableTransform, MapTransform):
    """Change brightness, contrast and colours of images at random; each step comes with a probability of its own.

    The order is: brightness, contrast in half of the cases, saturation, hue, contrast in the other half, permutation
    of the channels. Brightness multiplies; contrast and saturation mix with the mean grey and with the grey image.
    Images with other than three channels have no colours: for them saturation, hue and permutation are left out,
    which for a grey image is what happens to it as RGB; the grey of several channels is their mean. After each step
    values are clipped to [0, 1].

    Args:
        keys: images (C, H, W), values in [0, 1]; all get the same change.
        prob: probability of each step.
        brightness: least and largest factor.
        contrast: least and largest factor.
        saturation: least and largest factor.
        hue: least and largest shift, in turns of the colour circle.
        allow_missing_keys: do not complain about absent keys.

    Raises:
        ValueError: for ranges that are none; when called, for an array that is no image.
    """

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.5,
        brightness: tuple[float, float] = (0.875, 1.125),
        contrast: tuple[float, float] = (0.5, 1.5),
        saturation: tuple[float, float] = (0.5, 1.5),
        hue: tuple[float, float] = (-0.05, 0.05),
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob=1.0)
        if not 0 <= prob <= 1:
            raise ValueError(f"prob is {prob}, expected a probability from 0 to 1.")
        factors = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
        for name, (low, high) in factors.items():
            if not 0 <= low <= high:
                raise ValueError(f"{name} is {(low, high)}, expected the least and the largest factor, 0 or more.")
        if not -0.5 <= hue[0] <= hue[1] <= 0.5:
            raise ValueError(f"hue is {tuple(hue)}, expected the least and the largest shift from -0.5 to 0.5.")
        self.step_prob = prob
        self.ranges = {**factors, "hue": hue}
        self.steps: list[tuple[str, Any]] = []

    def randomize(self, data: Any = None) -> None:
        """Draw :attr:`steps`, a list of names with their factor, shift or order; always as many numbers."""
        values = {name: float(self.R.uniform(*bounds)) for name, bounds in self.ranges.items()}
        early = self.R.random_sample() < 0.5
        order = ["brightness", *["contrast"] * early, "saturation", "hue", *["contrast"] * (not early), "permutation"]
        drawn: dict[str, Any] = {**values, "permutation": self.R.permutation(3).tolist()}
        happens = self.R.random_sample(len(order)) < self.step_prob
        self.steps = [(name, drawn[name]) for name, does in zip(order, happens, strict=True) if does]

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with changed images, ``float32``."""
        d = dict(data)
        self.randomize(None)
        for key in self.key_iterator(d):
            image_size(d[key], key)
            image = convert_to_tensor(d[key], track_meta=False, dtype=torch.float32)
            for name, value in self.steps:
                image = _apply(image, name, value)
            d[key] = convert_to_dst_type(image, dst=d[key], dtype=torch.float32)[0]
        return d


def shift_hue(image: torch.Tensor, shift: float) -> torch.Tensor:
    """Turn the colour circle of an RGB image; saturation and value of the HSV model stay.

    Args:
        image: (3, H, W), values in [0, 1].
        shift: in turns.

    Returns:
        (3, H, W), values in [0, 1].
    """
    value, lowest = image.amax(dim=0), image.amin(dim=0)
    chroma = value - lowest
    red, green, blue = (image - lowest) / chroma.clamp(min=torch.finfo(image.dtype).tiny)
    hue = torch.where(  # in sixths of a turn
        red == 1, green - blue, torch.where(green == 1, 2 + blue - red, 4 + red - green)
    )
    # Each channel is the value less a piecewise linear part of the chroma, the same one at three places of the circle.
    places = torch.tensor([5.0, 3.0, 1.0], dtype=image.dtype, device=image.device)[:, None, None]
    k = (places + hue + 6 * shift) % 6
    return value - chroma * torch.minimum(k, 4 - k).clamp(0, 1)


def _apply(image: torch.Tensor, name: str, value: Any) -> torch.Tensor:
    if name == "brightness":
        return (image * value).clamp(0, 1)
    if name == "contrast":
        return _mix(image, _grey(image).mean(), value)
    if image.shape[0] != 3:
        return image
    if name == "saturation":
        return _mix(image, _grey(image), value)
    return shift_hue(image, value) if name == "hue" else image[value]


def _mix(image: torch.Tensor, other: torch.Tensor, factor: float) -> torch.Tensor:
    return (image * factor + other * (1 - factor)).clamp(0, 1)


def _grey(image: torch.Tensor) -> torch.Tensor:
    weights: Sequence[float] = LUMA if image.shape[0] == 3 else [1 / image.shape[0]] * image.shape[0]
    return sum(weight * channel for weight, channel in zip(weights, image, strict=True))[None]  # type: ignore[index]
