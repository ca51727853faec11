# SPDX-License-Identifier: Apache-2.0
"""What train and inference repeat must be the same, and the metadata must say what the configurations do."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_tools import (
    BUNDLES,
    ROOT,
    VOLUME_BUNDLES,
    WIDTH,
    Merge,
    configs,
    datasets,
    metadata,
    resolved,
)
from config_rules import references
from monai.bundle import ConfigParser, verify_metadata
from monai.transforms import Compose, Identityd, Invertd, OneOf, Randomizable, SpatialPadd
from PIL import Image

import sa2_monai
from sa2_monai.inference import CaseSaveImaged, VolumeSaveImaged
from sa2_monai.networks import create_network

WITH_DATASETS = [(bundle, dataset) for bundle in BUNDLES for dataset in (None, *datasets(bundle))]
EVERY_BUNDLE = pytest.mark.parametrize("bundle", BUNDLES)
EVERY_DATASET = pytest.mark.parametrize(("bundle", "dataset"), WITH_DATASETS)
SCHEMA = Path(os.environ.get("SA2_SCHEMA", ROOT.parents[1] / "shared" / "schema")) / "meta_schema_20240725.json"
# What is not shared: where things lie, and how much work is done at a time.
APART = {"dataset_dir", "output_dir", "ckpt_dir", "ckpt_path", "batch_size", "run", "initialize", "load_pretrain"}
APART |= {"precision", "chosen_precision"}  # a training has one of its own
# Labels have no slice_axis of their own, and only inference is asked for more than class numbers.
ONLY_INFERENCE = {"output", "orientations", "batches"}  # batches: of slice_batch_size


def load(bundle: str, base: str, dataset: str | None, *overlays: str) -> dict[str, Any]:
    return Merge(bundle, (base, *([dataset] if dataset else []), *overlays)).load()


@EVERY_DATASET
def test_shared_ids_have_one_value(bundle: str, dataset: str | None) -> None:
    train, inference = load(bundle, "train", dataset), load(bundle, "inference", dataset)
    shared = sorted((set(train) & set(inference)) - APART)
    assert {"network_def", "network", "model_info", "class_names", "roi_size", "view"} <= set(shared)
    inference["network_def"].pop("deep_supervision", None)  # changes what training mode returns, and no parameter
    if inference["overlap"] is None:  # as the weights were validated
        inference["overlap"] = load(bundle, "train", None)["overlap"]
        assert inference["overlap"] == inference["as_validated"]["default_overlap"]
        shared.remove("overlap")  # a data set's own travels with its weights
    shared.remove("clean_up")  # the same, which the test of the files below compares
    train["slice_view"].pop("label_resize", None)  # there are no labels
    # What is predicted may be of another kind than what was trained on.
    inference["slice_view"] = {k: str(v).replace("@input_kind", "@kind") for k, v in inference["slice_view"].items()}
    train["slice_view"] = {name: str(value) for name, value in train["slice_view"].items()}
    assert {name: train[name] for name in shared} == {name: inference[name] for name in shared}


@EVERY_BUNDLE
def test_weights_carry_what_inference_needs(bundle: str) -> None:
    """Whatever decides how the network sees an image is written beside the weights and compared when they are read."""
    train, inference = load(bundle, "train", None), load(bundle, "inference", None)
    assert train["model_info"] == inference["model_info"]
    assert train["model_info"]["network"] == bundle
    derived = {"stretched"} & set(inference)
    used = references([inference[name] for name in ("preprocessing", "slice_view", "network_def", *derived)])
    # Which series of a folder is the image is not how the network sees it.
    assert used - {"dropout", "input_kind", "series", *derived} <= set(train["model_info"])
    assert inference["input_kind"]["kind"] == "@kind"  # from the kind and the files to predict


@pytest.mark.parametrize("kind", ["images", "volumes"])
@EVERY_BUNDLE
def test_validation_and_inference_use_one_inferer(bundle: str, kind: str) -> None:
    ours, theirs = (
        vars(resolved({**load(bundle, base, None), "kind": kind, "batch_size": 4}, name)[0])
        for base, name in (("train", "validate#inferer"), ("inference", "inferer"))
    )
    assert {k: v for k, v in ours.items() if k not in ONLY_INFERENCE} == {
        k: v for k, v in theirs.items() if k not in ONLY_INFERENCE
    }
    assert len(ours) > 5


@pytest.mark.parametrize("kind", ["images", "volumes", "preprocessed"])
@EVERY_BUNDLE
def test_one_way_from_label_maps_to_files(bundle: str, kind: str) -> None:
    """The inferer gives class numbers; they are turned back, cleaned and written, in evaluation as in inference."""
    inference, evaluate = load(bundle, "inference", None), load(bundle, "train", None, "evaluate")
    ((ours,), (theirs,)) = (
        resolved({**config, "kind": kind, "image_source": "any.h5"}, name)
        for config, name in ((evaluate, "validate#postprocessing"), (inference, "postprocessing"))
    )
    assert [type(step) for step in ours.transforms] == [type(step) for step in theirs.transforms[:5]]
    assert isinstance(ours.transforms[0], Invertd if kind == "volumes" else Identityd)
    assert type(ours.transforms[3]) is (CaseSaveImaged if kind == "images" else VolumeSaveImaged)
    assert len(theirs.transforms) == 6
    # both leave objects undivided unless they are told to
    assert [step.settings for step in (ours.transforms[1], theirs.transforms[1])] == [None, None]
    # Where labels of 2D images stay on the network's grid is said to the inferer: the rest is the same.
    evaluate = load(bundle, "train", None, "evaluate")
    paper = load(bundle, "train", None, "paper", "evaluate", "evaluate_paper")
    for config in (paper, evaluate):
        config["validate"]["inferer"].pop("output", None)
    assert paper["validate"] == evaluate["validate"]


@EVERY_BUNDLE
def test_monai_label_gets_what_it_expects(bundle: str) -> None:
    inference = load(bundle, "inference", None)
    form = inference["postprocessing"]["transforms"][-1]
    assert form == {"_target_": "sa2_monai.inference.ServedLabelsd", "keys": "pred", "kind": "@kind"}
    assert inference["bundle_root"] == "."


def ways_of_seeing() -> Iterator[tuple[str, str | None]]:
    """Of each bundle the first data set for each way of reading and seeing an image; inference reads no archives."""
    found = set()
    for bundle, dataset in WITH_DATASETS:
        config = load(bundle, "inference", dataset)
        way = tuple(
            str(config.get(name)) for name in ("kind", "intensity", "view", "resize", "slice_axis", "in_channels")
        )
        if (bundle, way) not in found and config.get("kind") != "preprocessed":
            found.add((bundle, way))
            yield bundle, dataset


def write_case(kind: str, channels: int, folder: Path) -> dict[str, str]:
    """Image and label of 64 x 96 pixels, a volume of two slices whose axes are not in the canonical order."""
    rng = np.random.default_rng(0)
    case = {"image": str(folder / "image"), "label": str(folder / "label"), "case": "image"}
    if kind == "images":
        image = rng.integers(0, 200, (64, 96, channels), dtype=np.uint8)
        image, label = image[:, :, 0] if channels == 1 else image, rng.integers(0, 2, (64, 96), dtype=np.uint8)
        names = (
            [str(folder / f"image_{k:04d}.png") for k in range(channels)] if channels > 3 else [case["image"] + ".png"]
        )
        for k, name in enumerate(names):
            Image.fromarray(image[:, :, k] if channels > 3 else image).save(name)
        Image.fromarray(label).save(case["label"] + ".png")
        return {**case, "image": names if channels > 3 else names[0], "label": case["label"] + ".png"}
    affine = np.diag([-1.5, 1.2, 3.0, 1.0])
    for key, high in (("image", 300), ("label", 2)):
        volume = rng.integers(0, high, (64, 96, 2)).astype(np.int16)
        nib.save(nib.Nifti1Image(volume, affine), case[key] + ".nii.gz")
    return {**case, "image": case["image"] + ".nii.gz", "label": case["label"] + ".nii.gz"}


@pytest.mark.parametrize(("bundle", "dataset"), list(ways_of_seeing()))
def test_training_sees_what_inference_sees(bundle: str, dataset: str | None, tmp_path: Path) -> None:
    """What reaches the network, from a real file, without the random transforms of training."""
    train, inference = load(bundle, "train", dataset), load(bundle, "inference", dataset)
    kind, view, channels = resolved(inference, "kind", "view", "in_channels")
    small = {**WIDTH[bundle], "roi_size": [32, 64] if view == "whole" else [64, 96], "label_values": "nonzero"}
    # augment: the random size of SvANet takes the place of the resize
    small.update(class_names=["background", "foreground"], device="cpu", num_workers=0, augment=False)
    train, inference = ({**c, **{k: v for k, v in small.items() if k in c}} for c in (train, inference))
    case = write_case(kind, channels, tmp_path)
    expected, inferer, outputs = (
        *resolved(inference, "preprocessing", "inferer"),
        resolved(inference, "out_channels")[0],
    )
    image = expected(case)["image"]
    per_slice, per_case, validation = resolved(
        train, "train#random_transforms", "train#deterministic_transforms", "validate#preprocessing"
    )
    assert torch.equal(torch.as_tensor(validation(case)["image"]), torch.as_tensor(image))
    assert image.dtype == {"images": torch.uint8, "volumes": torch.int16}[kind]  # as the file has it
    seen: list[torch.Tensor] = []

    def network(x: torch.Tensor) -> torch.Tensor:
        seen.append(torch.as_tensor(x))
        return torch.zeros(len(x), outputs, *x.shape[2:])

    inferer(image[None], network)
    slices = torch.cat(seen)
    assert tuple(slices.shape[1:]) == (channels, *small["roi_size"])

    random = (Randomizable, OneOf, SpatialPadd)  # with nothing to pad
    before, after = (Compose([t for t in part if not isinstance(t, random)]) for part in (per_case, per_slice))
    item = before(case)
    for k, wanted in enumerate(slices):
        cut = {key: item[key][..., k] if kind == "volumes" else item[key] for key in ("image", "label")}
        torch.testing.assert_close(torch.as_tensor(after(cut)["image"]), wanted, atol=1e-6, rtol=0)
    assert len(slices) == (2 if kind == "volumes" else 1)


@EVERY_DATASET
def test_the_metadata_describe_the_network(bundle: str, dataset: str | None) -> None:
    meta = metadata(bundle, dataset)
    for base in ("train", "inference"):
        config = load(bundle, base, dataset)
        names, inputs, outputs, view = resolved(config, "class_names", "in_channels", "out_channels", "view")
        image = meta["network_data_format"]["inputs"]["image"]
        pred = meta["network_data_format"]["outputs"]["pred"]
        assert pred["channel_def"] == {str(index): name for index, name in enumerate(names)}
        assert names[0] == "background"
        assert (image["num_channels"], pred["num_channels"]) == (inputs, outputs)
        assert len(image["channel_def"]) == inputs
        assert image["is_patch_data"] == (view == "windows")
        assert image["dtype"] == pred["dtype"] == "float32"
    for name in names[1:]:
        assert name in meta["label_classes"], name


@EVERY_BUNDLE
def test_spatial_shape_is_legal_for_the_network(bundle: str) -> None:
    meta = metadata(bundle)["network_data_format"]
    shape = meta["inputs"]["image"]["spatial_shape"]
    assert shape == meta["outputs"]["pred"]["spatial_shape"]
    assert len(shape) == 2
    width = {key: value for key, value in WIDTH[bundle].items() if key != "window_size"}  # decides on the sizes
    network = create_network(bundle, in_channels=3, out_channels=1, **width).eval()
    for n in (2, 3):
        rows, columns = (eval(str(side), {"__builtins__": {}}, {"n": n}) for side in shape)
        with torch.no_grad():
            assert network(torch.zeros(1, 3, rows, columns)).shape == (1, 1, rows, columns)
    inference = load(bundle, "inference", None)
    (divisor,) = resolved(inference, "slice_view::divisor")
    assert shape[0] == f"{divisor}*n"


def pins() -> dict[str, str]:
    lines = (ROOT.parent / "tools" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = dict(line.split(";")[0].strip().split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {name.lower().replace("_", "-"): version for name, version in found.items()}


@EVERY_BUNDLE
def test_versions_are_those_that_were_tested(bundle: str) -> None:
    meta = metadata(bundle)
    assert meta["version"] == sa2_monai.__version__
    assert next(iter(meta["changelog"])) == meta["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", meta["version"])
    tested = pins()
    assert meta["monai_version"] == tested["monai"]
    assert meta["pytorch_version"] == tested["torch"]
    assert meta["numpy_version"] == tested["numpy"]
    required = dict(meta["required_packages_version"])
    assert required.pop("sa2_monai") == sa2_monai.__version__
    assert required == {name: tested[name.lower().replace("_", "-")] for name in required}
    assert {"pytorch-ignite", "tensorboard", "nibabel" if bundle in VOLUME_BUNDLES else "pillow"} <= set(required)
    assert "optional_packages_version" not in meta  # MONAI overwrites the required ones with it
    assert meta["supported_apps"] == {"monai-label": ""}


@EVERY_BUNDLE
def test_the_name_of_the_folder(bundle: str) -> None:
    assert re.fullmatch(r"\w+", bundle)
    for word in ("deepedit", "deepgrow", "detection", "classification"):
        assert word not in bundle


@EVERY_DATASET
def test_the_official_schema(bundle: str, dataset: str | None, tmp_path: Path) -> None:
    if not SCHEMA.is_file():
        pytest.skip(f"the schema of bundle metadata is not here: {SCHEMA} (set SA2_SCHEMA to the folder that has it)")
    meta = metadata(bundle, dataset)
    merged, schema = tmp_path / "metadata.json", tmp_path / "schema.json"
    merged.write_text(json.dumps(meta))
    schema.write_bytes(SCHEMA.read_bytes())  # a file that is there is not downloaded
    digest = hashlib.sha256(SCHEMA.read_bytes()).hexdigest()  # without one, MONAI warns
    verify_metadata(meta_file=str(merged), filepath=str(schema), hash_val=digest, hash_type="sha256")
    meta.pop("task")
    merged.write_text(json.dumps(meta))
    with pytest.raises(ValueError, match="'task' is a required property"):
        verify_metadata(meta_file=str(merged), filepath=str(schema), hash_val=digest, hash_type="sha256")


@EVERY_BUNDLE
def test_several_metadata_files_are_merged_as_monai_does(bundle: str) -> None:
    for dataset in datasets(bundle):
        parser = ConfigParser({})
        parser.read_meta([str(configs(bundle) / "metadata.json"), str(configs(bundle) / f"{dataset}_meta.json")])
        assert parser["_meta_"] == metadata(bundle, dataset)
