# SPDX-License-Identifier: Apache-2.0
"""Synthetic microscopy: painted nuclei with exact masks, on stained tissue, dark and light backgrounds.

Shapes are ellipses whose boundary and axis are bent by a few harmonics; they touch and overlap. The three kinds follow
the look of BBBC038: ``he`` stained tissue (RGB), ``fluo`` fluorescence (grey, dark background), ``bf`` light background
(grey, whole cells with small nuclei). Uneven stain and illumination, blur and noise are part of every image, and so
are things that are no nuclei: out-of-focus smears, specks, fibres, red cells, cytoplasm.

Random numbers come from ``numpy.random.RandomState`` only, whose streams are frozen; pixels are rounded to 8 bit last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import RandomState
from scipy.ndimage import gaussian_filter

__all__ = ["KINDS", "paint"]

#: Kinds of images.
KINDS = ("he", "fluo", "bf")

_MIN_PIXELS = 14  # smaller remainders of a nucleus at the border of the image are not drawn


@dataclass
class _Shape:
    """A shape inside the image: its window and the depth below its outline in pixels (negative outside)."""

    window: tuple[slice, slice]
    depth: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        return self.depth > 0


def paint(kind: str, size: tuple[int, int], rng: RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Paint one image.

    Args:
        kind: one of :data:`KINDS`.
        size: (H, W) in pixels.
        rng: source of all random numbers.

    Returns:
        Image uint8 (H, W, 3) or (H, W), and instances uint16 (H, W): 0 background, one number per nucleus.
    """
    painter = {"he": _paint_tissue, "fluo": _paint_fluorescence, "bf": _paint_light_background}[kind]
    image, nuclei = painter(size, rng)
    instances = np.zeros(size, dtype=np.uint16)
    for number, nucleus in enumerate(nuclei, start=1):
        part = instances[nucleus.window]
        part[nucleus.mask & (part == 0)] = number
    return np.rint(image.clip(0, 255)).astype(np.uint8), instances


# --- shapes -----------------------------------------------------------------------------------------------------------


def _shape(
    size: tuple[int, int],
    rng: RandomState,
    centre: tuple[float, float],
    axes: tuple[float, float],
    angle: float,
    roughness: float,
) -> _Shape | None:
    """Ellipse with harmonic perturbation; ``None`` if (nearly) nothing of it lies in the image."""
    row, column = centre
    long, short = axes
    bend = rng.uniform(-0.25, 0.25) * (1 - short / long)
    harmonics = [(order, rng.uniform(0, roughness) / (order - 1), rng.uniform(0, 2 * math.pi)) for order in range(2, 7)]
    reach = math.ceil(long * 1.5) + 2
    top, left = max(0, math.floor(row) - reach), max(0, math.floor(column) - reach)
    bottom, right = min(size[0], math.floor(row) + reach + 1), min(size[1], math.floor(column) + reach + 1)
    if bottom <= top or right <= left:
        return None
    dy = np.arange(top, bottom)[:, None] - row
    dx = np.arange(left, right)[None, :] - column
    cos, sin = round(math.cos(angle), 6), round(math.sin(angle), 6)
    u = (dx * cos + dy * sin) / long
    v = (dy * cos - dx * sin) / short + bend * u * u * 2
    radius = np.sqrt(u * u + v * v) + 1e-9
    # cos(k t) and sin(k t) of the polar angle t by complex powers: no trigonometry per pixel.
    unit_re, unit_im = u / radius, v / radius
    re, im = unit_re, unit_im
    outline = np.ones_like(radius)
    for _, amplitude, phase in harmonics:
        re, im = re * unit_re - im * unit_im, re * unit_im + im * unit_re
        outline += amplitude * (re * round(math.cos(phase), 6) + im * round(math.sin(phase), 6))
    shape = _Shape((slice(top, bottom), slice(left, right)), (outline - radius) * short)
    return shape if int(shape.mask.sum()) >= _MIN_PIXELS else None


def _scatter(
    size: tuple[int, int], rng: RandomState, radius: float, coverage: float, overlap: float, spread: float = 0.22
) -> list[_Shape]:
    """Place nuclei until they cover a share of the image; later ones may lie over earlier ones by ``overlap``."""
    height, width = size
    occupied = np.zeros(size, dtype=bool)
    clusters = [(rng.uniform(0, height), rng.uniform(0, width)) for _ in range(rng.randint(2, 6))]
    clustered = rng.uniform(0.2, 0.8)
    direction, aligned = rng.uniform(0, math.pi), rng.uniform() < 0.4
    elongation = rng.uniform(0.5, 0.85)
    roughness = rng.uniform(0.03, 0.16)
    reach = radius * rng.uniform(3.0, 6.0)
    shapes: list[_Shape] = []
    for _ in range(60 + int(4 * coverage * height * width / (radius * radius))):
        if len(shapes) >= 3 and occupied.mean() >= coverage:
            break
        if rng.uniform() < clustered:
            middle = clusters[rng.randint(len(clusters))]
            centre = (middle[0] + reach * rng.standard_normal(), middle[1] + reach * rng.standard_normal())
        else:
            centre = (rng.uniform(-2, height + 2), rng.uniform(-2, width + 2))
        long = radius * (1 + spread * float(np.clip(rng.standard_normal(), -2, 3)))
        short = long * float(np.clip(elongation + 0.13 * rng.standard_normal(), 0.35, 1.0))
        angle = direction + 0.3 * rng.standard_normal() if aligned else rng.uniform(0, math.pi)
        shape = _shape(size, rng, centre, (long, short), angle, roughness)
        if shape is None:
            continue
        under = occupied[shape.window]
        if int((under & shape.mask).sum()) > overlap * int(shape.mask.sum()):
            continue
        under |= shape.mask
        shapes.append(shape)
    return shapes


def _profile(shape: _Shape, edge: float) -> np.ndarray:
    """0 outside, 1 inside, with a ramp of ``edge`` pixels around the outline, 0.5 on it."""
    return (shape.depth / edge + 0.5).clip(0, 1)


# --- fields -----------------------------------------------------------------------------------------------------------


def _smooth(size: tuple[int, int], rng: RandomState, sigma: float) -> np.ndarray:
    """Smooth random field of about unit variance and correlation length ``sigma`` pixels."""
    step = max(1, int(sigma // 3))
    coarse = rng.standard_normal((size[0] // step + 3, size[1] // step + 3))
    narrow = sigma / step
    coarse = gaussian_filter(coarse, narrow, mode="reflect", truncate=3.0) * (2 * math.sqrt(math.pi) * narrow)
    if step == 1:
        return coarse[: size[0], : size[1]]
    rows, columns = np.arange(size[0]) / step, np.arange(size[1]) / step
    r, c = rows.astype(int), columns.astype(int)
    fr, fc = (rows - r)[:, None], (columns - c)[None, :]
    lines = coarse[r] * (1 - fr) + coarse[r + 1] * fr
    return lines[:, c] * (1 - fc) + lines[:, c + 1] * fc


def _fibres(size: tuple[int, int], rng: RandomState) -> np.ndarray:
    """Wavy, interrupted strands in [0, 1], as of connective tissue."""
    angle, period = rng.uniform(0, math.pi), rng.uniform(8, 20)
    cos, sin = round(math.cos(angle), 6), round(math.sin(angle), 6)
    along = np.arange(size[0])[:, None] * cos + np.arange(size[1])[None, :] * sin
    phase = along / period + 1.0 * _smooth(size, rng, 26) + 0.35 * _smooth(size, rng, 7)
    strands = np.abs(2 * (phase - np.floor(phase)) - 1) ** 3
    return strands * (0.35 + 0.5 * _smooth(size, rng, 12)).clip(0, 1)


def _illumination(size: tuple[int, int], rng: RandomState, strength: float) -> np.ndarray:
    """Factor around 1: a slope and a slow field."""
    slope_y, slope_x = rng.uniform(-strength, strength, 2)
    y = (np.arange(size[0]) / size[0] - 0.5)[:, None]
    x = (np.arange(size[1]) / size[1] - 0.5)[None, :]
    return 1 + slope_y * y + slope_x * x + 0.25 * strength * _smooth(size, rng, 60)


def _blur(image: np.ndarray, rng: RandomState, low: float, high: float) -> np.ndarray:
    """Blur by a random amount; in a third of the images the focus changes over the field."""
    sigma, uneven = rng.uniform(low, high), rng.uniform() < 0.33

    def blurred(amount: float) -> np.ndarray:
        return gaussian_filter(image, (amount, amount, 0)[: image.ndim], mode="reflect", truncate=3.0)

    sharp = blurred(sigma)
    if not uneven:
        return sharp
    share = (0.5 + 0.6 * _smooth(image.shape[:2], rng, 50)).clip(0, 1)
    share = share if image.ndim == 2 else share[:, :, None]
    return sharp * (1 - share) + blurred(sigma + 1.3) * share


def _specks(
    field: np.ndarray, rng: RandomState, number: int, radius: tuple[float, float], level: tuple[float, float]
) -> None:
    """Add small irregular debris to a field, in place."""
    size = (field.shape[0], field.shape[1])
    for _ in range(number):
        long = rng.uniform(*radius)
        centre = (rng.uniform(0, size[0]), rng.uniform(0, size[1]))
        speck = _shape(size, rng, centre, (long, long * rng.uniform(0.4, 1)), rng.uniform(0, math.pi), 0.3)
        strength = rng.uniform(*level)
        if speck is not None:
            field[speck.window] += strength * _profile(speck, 1.5)


def _smears(field: np.ndarray, rng: RandomState, number: int, radius: float, level: tuple[float, float]) -> None:
    """Add out-of-focus, unlabelled blobs to a field, in place."""
    size = (field.shape[0], field.shape[1])
    for _ in range(number):
        long = radius * rng.uniform(0.8, 2.2)
        centre = (rng.uniform(0, size[0]), rng.uniform(0, size[1]))
        blob = _shape(size, rng, centre, (long, long * rng.uniform(0.4, 0.9)), rng.uniform(0, math.pi), 0.2)
        strength = rng.uniform(*level)
        if blob is not None:
            field[blob.window] += strength * (_profile(blob, 1.6 * long) ** 2)


# --- kinds ------------------------------------------------------------------------------------------------------------

# Absorption (optical density of R, G, B) of the nuclear dye and of the counterstain, and the share of dye in the
# background, in three common looks: violet section, smear on white, pink section.
_LOOKS = (
    ((0.95, 1.90, 0.36), (0.30, 0.46, 0.16), 0.12),
    ((0.95, 1.95, 0.85), (0.10, 0.22, 0.16), 0.02),
    ((1.05, 1.45, 0.62), (0.10, 0.42, 0.22), 0.06),
)


def _paint_tissue(size: tuple[int, int], rng: RandomState) -> tuple[np.ndarray, list[_Shape]]:
    """Stained tissue by transmitted light: optical densities of two dyes add up, the camera sees their exponential."""
    look = rng.randint(3)
    dye, counter, base = _LOOKS[look]
    dye_vector = np.array(dye) * rng.uniform(0.88, 1.12, 3)
    counter_vector = np.array(counter) * rng.uniform(0.85, 1.15, 3)
    radius = rng.uniform(6.5, 13.0) if rng.uniform() < 0.8 else rng.uniform(14.0, 24.0)
    nuclei = _scatter(size, rng, radius, rng.uniform(0.10, 0.34), rng.uniform(0.02, 0.22), 0.25)

    nuclear = base * (1 + 0.3 * _smooth(size, rng, 30)).clip(0, None)
    stroma = (0.55 + 0.25 * _smooth(size, rng, 35) + rng.uniform(0.1, 0.7) * _fibres(size, rng)).clip(0.05, None)
    clumps = _smooth(size, rng, rng.uniform(1.0, 2.2))
    stain = rng.uniform(0.62, 0.9)
    for nucleus in nuclei:
        level = stain * rng.uniform(0.7, 1.3)
        vesicular = rng.uniform(0, 0.5)  # pale inside, dark rim
        inside = (nucleus.depth / (0.35 * radius)).clip(0, 1)
        texture = 1 - vesicular * inside + rng.uniform(0.05, 0.28) * clumps[nucleus.window]
        nuclear[nucleus.window] += level * _profile(nucleus, 1.4) * texture.clip(0.25, 1.8)
    _smears(nuclear, rng, rng.randint(0, 7), radius, (0.08, 0.25))
    _specks(nuclear, rng, rng.randint(2, 12), (2.0, 3.2), (0.2, 0.7))
    if look:  # red cells take the counterstain only
        _specks(stroma, rng, rng.randint(0, 14), (4.0, 6.5), (0.4, 1.4))

    density = nuclear[:, :, None] * dye_vector + stroma[:, :, None] * counter_vector
    density *= _illumination(size, rng, 0.25)[:, :, None]  # uneven thickness of the section
    light = rng.uniform(226, 246) * _illumination(size, rng, 0.12)
    image = _blur(light[:, :, None] * np.exp(-density), rng, 0.5, 1.3)
    return image + rng.uniform(1.5, 4.0) * rng.standard_normal(image.shape), nuclei


def _paint_fluorescence(size: tuple[int, int], rng: RandomState) -> tuple[np.ndarray, list[_Shape]]:
    """DNA dye on a dark background, at exposures from dim to saturated."""
    radius = rng.uniform(6.0, 12.0) if rng.uniform() < 0.75 else rng.uniform(13.0, 24.0)
    nuclei = _scatter(size, rng, radius, rng.uniform(0.06, 0.28), rng.uniform(0.0, 0.15), 0.2)
    exposure = math.exp(rng.uniform(math.log(55), math.log(215)))
    glow = np.zeros(size)
    texture = _smooth(size, rng, rng.uniform(1.2, 3.0))
    grain = rng.uniform(0.04, 0.2)
    for nucleus in nuclei:
        level = rng.uniform(0.55, 1.15) if rng.uniform() > 0.05 else rng.uniform(1.4, 2.0)  # mitoses are bright
        dome = 0.75 + 0.25 * (nucleus.depth / (0.6 * radius)).clip(0, 1)
        glow[nucleus.window] += (
            level * _profile(nucleus, 1.5) * dome * (1 + grain * texture[nucleus.window]).clip(0.3, 2)
        )
    _smears(glow, rng, rng.randint(0, 5), 1.3 * radius, (0.05, 0.2))
    _specks(glow, rng, rng.randint(2, 14), (2.0, 2.8), (0.15, 1.2))
    # Light of the nuclei scattered around them, and the background of medium and camera.
    haze = gaussian_filter(glow, 9.0, mode="reflect", truncate=2.5)
    background = rng.uniform(0.01, 0.09) * _illumination(size, rng, 0.8).clip(0.1, None)
    signal = exposure * (
        (glow + rng.uniform(0.02, 0.18) * haze) * _illumination(size, rng, 0.5).clip(0.4, None) + background
    )
    signal = _blur(signal, rng, 0.6, 1.8) + rng.uniform(1, 9)
    noise = rng.uniform(0.15, 0.45) * np.sqrt(signal.clip(0, None)) + rng.uniform(0.4, 1.5)
    return signal + noise * rng.standard_normal(size), nuclei


def _paint_light_background(size: tuple[int, int], rng: RandomState) -> tuple[np.ndarray, list[_Shape]]:
    """Whole grey cells on a light background, each with a small dark nucleus."""
    density = 0.02 * _smooth(size, rng, 30).clip(0, None)
    folds = _smooth(size, rng, 3.0)
    nuclei: list[_Shape] = []
    taken = np.zeros(size, dtype=bool)
    for _ in range(max(4, int(size[0] * size[1] * rng.uniform(1.2, 2.8) / 4000))):
        long = rng.uniform(18, 34)
        centre = (rng.uniform(0, size[0]), rng.uniform(0, size[1]))
        cell = _shape(size, rng, centre, (long, long * rng.uniform(0.55, 0.95)), rng.uniform(0, math.pi), 0.2)
        offset = rng.uniform(-0.2, 0.2, 2) * long
        axis = rng.uniform(4.5, 8.0)
        nucleus = _shape(
            size, rng, (centre[0] + offset[0], centre[1] + offset[1]), (axis, axis * rng.uniform(0.6, 1)),
            rng.uniform(0, math.pi), 0.08,
        )  # fmt: skip
        level, dark = rng.uniform(0.12, 0.32), rng.uniform(0.5, 0.95)
        if cell is None or nucleus is None or int((taken[nucleus.window] & nucleus.mask).sum()) > 6:
            continue
        density[cell.window] += level * _profile(cell, 2.0) * (1 + 0.18 * folds[cell.window]).clip(0.5, 1.6)
        density[nucleus.window] += dark * _profile(nucleus, 1.4) * (1 + 0.12 * folds[nucleus.window])
        taken[nucleus.window] |= nucleus.mask
        nuclei.append(nucleus)
    _specks(density, rng, rng.randint(3, 16), (2.0, 3.0), (0.3, 1.6))
    _smears(density, rng, rng.randint(0, 4), 10.0, (0.03, 0.12))
    light = rng.uniform(222, 242) * _illumination(size, rng, 0.08)
    image = _blur(light * np.exp(-density), rng, 0.5, 1.1)
    return image + rng.uniform(0.8, 2.5) * rng.standard_normal(size), nuclei
