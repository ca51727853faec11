# SPDX-License-Identifier: Apache-2.0
"""Bundles that are too sure by a known factor, and data whose labels are drawn from what they should have said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import torch
from PIL import Image

from sa2_monai import load_bundle
from sa2_monai.io.images.read import read_label
from sa2_monai.weights import read_info, save_weights
from sa2_monai.weights.save import OWN_KEYS

FACTOR, SPREAD = 4.0, 1.5
PARTS = {"training": 2, "validation": 3, "test": 3}


class Calibrated(NamedTuple):
    """A bundle that was calibrated on made data, and what came of it."""

    bundle: Path
    data: Path
    document: dict[str, Any]


def sure(source: Path, folder: Path) -> Path:
    """A copy of a bundle whose logits are FACTOR times as large as those from which labels will be drawn."""
    shutil.copytree(source, folder)
    loaded, file = load_bundle(folder, device="cpu"), folder / "models" / "model.pt"
    channels, classes = loaded.settings["in_channels"], loaded.settings["out_channels"]
    network = loaded.network()
    image = torch.rand(1, channels, 4, 4, generator=torch.Generator().manual_seed(1))
    image = torch.nn.functional.interpolate(image, size=(32, 32), mode="bicubic").clamp(0, 1)
    with torch.no_grad():
        logits = network(image)
        for name, bias in network.named_parameters():
            if name.endswith("bias") and len(bias) == classes:
                bias += 1
                last = torch.allclose(network(image), logits + 1, atol=1e-3)
                bias -= 1
                if last:
                    break
        by = FACTOR * SPREAD / float(logits.std())
        weights = torch.load(file, weights_only=True)
        for tensor in (name, f"{name.removesuffix('bias')}weight"):
            weights[tensor] = weights[tensor] * by
    about = {key: value for key, value in read_info(file).items() if key not in OWN_KEYS}
    save_weights(weights, file, about)
    return folder


def probabilities_of(bundle: Path, image: Path, temperature: float, out: Path) -> np.ndarray:
    """(K, ...) as they are written: 16 bit."""
    loaded = load_bundle(bundle, device="cpu")
    loaded.predict([image], out, save_probabilities=True, temperature=temperature)
    if not loaded.sees_volumes:
        of_one = read_label(out / f"{image.stem}_prob.png") / 65535
        return np.stack([1 - of_one, of_one]).clip(1e-5, 1)
    names = [name.replace(" ", "_") for name in loaded.class_names]
    files = [out / f"{image.name.split('.')[0]}_prob_{name}.nii.gz" for name in names]
    return np.stack([nib.load(file).get_fdata() for file in files]).clip(1e-5, 1)


def write_image(path: Path, rng: np.random.Generator) -> Path:
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    coarse.resize((72, 60), Image.Resampling.BICUBIC).save(path.with_suffix(".png"))
    return path.with_suffix(".png")


def write_volume(path: Path, rng: np.random.Generator) -> Path:
    coarse = Image.fromarray(rng.random((8, 8), dtype=np.float32))
    plane = np.asarray(coarse.resize((40, 40), Image.Resampling.BICUBIC))
    volume = np.stack([np.roll(plane, 3 * index) for index in range(4)], axis=-1)
    nib.save(nib.Nifti1Image(1000 * volume, np.diag([1.5, 1.5, 8, 1])), path.with_suffix(".nii"))
    return path.with_suffix(".nii")


def made_data(bundle: Path, folder: Path, write: Callable[[Path, np.random.Generator], Path]) -> None:
    """Images, and labels drawn from what the bundle says of them when its logits are divided by FACTOR."""
    rng = np.random.default_rng(0)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    document: dict[str, Any] = {"labels": {"0": "background", "1": "object"}}
    for part, count in PARTS.items():
        document[part] = []
        for index in range(count):
            image = write(folder / "images" / f"{part}{index}", rng)
            found = probabilities_of(bundle, image, FACTOR, folder / "scratch")
            drawn = (rng.random(found.shape[1:]) > found.cumsum(axis=0)).sum(axis=0).clip(0, len(found) - 1)
            if image.suffix == ".png":
                Image.fromarray(drawn.astype(np.uint8)).save(folder / "labels" / image.name)
            else:
                affine = nib.load(image).affine
                nib.save(nib.Nifti1Image(drawn.astype(np.uint8), affine), folder / "labels" / image.name)
            document[part].append({kind: f"{kind}s/{image.name}" for kind in ("image", "label")})
    shutil.rmtree(folder / "scratch")
    (folder / "dataset.json").write_text(json.dumps(document))
