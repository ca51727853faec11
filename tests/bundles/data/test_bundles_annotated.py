# SPDX-License-Identifier: Apache-2.0
"""Labels that MONAI Label hands in: class indices, also where the files of the data set have values of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from bundle_tools import BUNDLES, error_chain, make_workflow
from PIL import Image

from sa2_monai.data import SYNAPSE_CLASSES, SYNAPSE_TABLES

# A table that can be told from class indices by the values, and one that is a permutation of them.
GREY = {"class_names": ["background", "gland", "lumen"], "label_values": {0: 0, 85: 1, 170: 2}}
ORGANS = {"class_names": list(SYNAPSE_CLASSES), "label_values": SYNAPSE_TABLES["raw"]}
SMALL: dict[str, Any] = {"roi_size": [64, 64], "augment": False}


def study(kind: str, values: list[int], folder: Path) -> dict[str, str]:
    """Image and label as MONAI Label names them, stripes of the values."""
    label = np.resize(np.repeat(values, 8), 64).repeat(64).reshape(64, 64).astype(np.uint8)
    image = np.random.default_rng(0).integers(0, 200, (64, 64), dtype=np.uint8)
    if kind == "folder":
        names = [str(folder / f"{name}.png") for name in ("image", "label")]
        Image.fromarray(np.stack([image] * 3, axis=-1)).save(names[0])
        Image.fromarray(label).save(names[1])
    else:
        names = [str(folder / f"{name}.nii.gz") for name in ("image", "label")]
        for array, name in zip((image, label), names, strict=True):
            nib.save(nib.Nifti1Image(np.stack([array] * 2, axis=-1), np.diag([-1.5, 1.2, 3.0, 1.0])), name)
    return dict(zip(("image", "label"), names, strict=True))


def seen(bundle: str, overlay: str, case: dict[str, str], task: dict[str, Any]) -> list[list[int]]:
    """Classes that training and validation see, with the data lists replaced as MONAI Label does it."""
    overrides = {f"{part}#dataset#data": [case] for part in ("train", "validate")}
    small = {**SMALL, "roi_size": [224, 224]} if bundle == "hsaunet" else SMALL
    workflow = make_workflow(bundle, "train", overlay, **small, **task, **overrides)
    samples = [workflow.parser.get_parsed_content(f"{part}#dataset")[0] for part in ("train", "validate")]
    return [sample["label"].unique().int().tolist() for sample in samples]


@pytest.mark.parametrize(("overlay", "task"), [("folder", GREY), ("nifti_folder", ORGANS)])
@pytest.mark.parametrize("bundle", BUNDLES)
def test_class_indices_of_annotators_are_not_mapped_again(
    bundle: str, overlay: str, task: dict[str, Any], tmp_path: Path
) -> None:
    given = [1, 2] if overlay == "folder" else [1, 2, 6, 8]  # the table of Synapse would make 2, 4, 5, 7 of them
    assert seen(bundle, overlay, study(overlay, [0, *given], tmp_path), task) == [[0, *given]] * 2


@pytest.mark.parametrize("bundle", BUNDLES[:1])
def test_values_of_the_data_set_among_the_studies(bundle: str, tmp_path: Path) -> None:
    assert seen(bundle, "folder", study("folder", [0, 85, 170], tmp_path), GREY) == [[0, 1, 2]] * 2
    volume = study("nifti_folder", [0, 1, 13], tmp_path)
    with pytest.raises(Exception) as caught:  # MONAI wraps it  # noqa: PT011
        seen(bundle, "nifti_folder", volume, ORGANS)
    assert f"label {volume['label']} is not from the data list of the data set" in error_chain(caught.value)
    assert seen(bundle, "nifti_folder", {**volume, "case": "a"}, ORGANS) == [[0, 7]] * 2
