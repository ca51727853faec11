# SPDX-License-Identifier: Apache-2.0
"""What train and inference repeat must be the same, and the metadata must say what the configurations do."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundle_tools import (
    BUNDLES,
    PICTURE_BUNDLES,
    ROOT,
    VOLUME_BUNDLES,
    WIDTH,
    Merge,
    configs,
    datasets,
    metadata,
    resolved,
)
from monai.bundle import ConfigParser, verify_metadata
from monai.transforms import Compose, OneOf, Randomizable, SpatialPadd
from PIL import Image

import sa2_monai
from sa2_monai.networks import create_network

WITH_DATASETS = [(bundle, dataset) for bundle in BUNDLES for dataset in (None, *datasets(bundle))]
EVERY_BUNDLE = pytest.mark.parametrize("bundle", BUNDLES)
EVERY_PICTURE_DATASET = pytest.mark.parametrize(
    ("bundle", "dataset"), [pair for pair in WITH_DATASETS if pair[0] in PICTURE_BUNDLES]
)
EVERY_DATASET = pytest.mark.parametrize(("bundle", "dataset"), WITH_DATASETS)
SCHEMA = Path(os.environ.get("SA2_SCHEMA", ROOT.parents[1] / "shared" / "schema")) / "meta_schema_20240725.json"
# What is not shared: where things lie, and how much work is done at a time.
APART = {"dataset_dir", "output_dir", "ckpt_dir", "ckpt_path", "batch_size", "run", "initialize", "load_pretrain"}
# Labels have no slice_axis of their own, and only inference is asked for more than class numbers.
ONLY_INFERENCE = {"output", "orientations"}


def load(bundle: str, base: str, dataset: str | None, *overlays: str) -> dict[str, Any]:
    return Merge(bundle, (base, *([dataset] if dataset else []), *overlays)).load()


@EVERY_DATASET
def test_shared_ids_have_one_value(bundle: str, dataset: str | None) -> None:
    train, inference = load(bundle, "train", dataset), load(bundle, "inference", dataset)
    shared = sorted((set(train) & set(inference)) - APART)
    assert {"network_def", "network", "model_info", "class_names", "roi_size", "view"} <= set(shared)
    train["network_def"].pop("use_checkpoint", None)  # changes memory and time of a training, and nothing else
    assert {name: train[name] for name in shared} == {name: inference[name] for name in shared}


@EVERY_BUNDLE
def test_weights_carry_what_inference_needs(bundle: str) -> None:
    """Whatever decides how the network sees an image is written beside the weights and compared when they are read."""
    train, inference = load(bundle, "train", None), load(bundle, "inference", None)
    assert train["model_info"] == inference["model_info"]
    assert train["model_info"]["network"] == bundle
    used = set(re.findall(r"@(\w+)", json.dumps([inference["preprocessing"], inference["network_def"]])))
    assert used - {"dropout"} <= set(train["model_info"])


def image_part(transforms: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The transforms of ``image`` alone, as text."""
    part = []
    for transform in transforms:
        keys = transform["keys"] if isinstance(transform["keys"], list) else [transform["keys"]]
        if "image" in keys and not transform["_target_"].endswith("CheckSameSized"):
            part.append({**transform, "keys": "image"})
    return part


@EVERY_BUNDLE
def test_validation_and_inference_prepare_an_image_alike(bundle: str) -> None:
    train, inference = load(bundle, "train", None), load(bundle, "inference", None)
    ours = image_part(train["validate"]["preprocessing"]["transforms"])
    theirs = image_part(inference["preprocessing"]["transforms"])
    if bundle in VOLUME_BUNDLES:  # training and validation can read the slices of the literature as well
        ours[0]["reader"] = train[ours[0]["reader"].split()[-1].lstrip("@")]
        for transform in ours:
            disabled = transform.pop("_disabled_", None)
            if isinstance(disabled, str) and disabled != "@is_slices":
                transform["_disabled_"] = disabled.replace("@is_slices or ", "")
    assert ours == theirs
    assert len(ours) >= 4


@EVERY_BUNDLE
def test_validation_and_inference_use_one_inferer(bundle: str) -> None:
    train, inference = load(bundle, "train", None), load(bundle, "inference", None)
    theirs = {key: value for key, value in inference["inferer"].items() if key not in ONLY_INFERENCE}
    assert train["validate"]["inferer"] == theirs


def activation(postprocessing: Mapping[str, Any], invert: bool) -> list[dict[str, Any]]:
    wanted = ("Activationsd", "AsDiscreted", *(["Invertd"] if invert else []))
    chain = [dict(transform) for transform in postprocessing["transforms"] if transform["_target_"] in wanted]
    for transform in chain:
        transform.pop("transform", None)  # the name of the preprocessing differs
    return chain


@pytest.mark.parametrize("bundle", PICTURE_BUNDLES)
def test_one_way_from_logits_to_classes(bundle: str) -> None:
    train, inference = load(bundle, "train", None), load(bundle, "inference", None)
    evaluate = load(bundle, "train", None, "evaluate")
    paper = load(bundle, "train", None, "paper", "evaluate", "evaluate_paper")
    wanted = activation(inference["postprocessing"], invert=True)
    assert [t["_target_"] for t in wanted] == ["Activationsd", "Invertd", "AsDiscreted"]
    assert activation(train["validate"]["postprocessing"], invert=True) == wanted
    assert activation(evaluate["validate"]["postprocessing"], invert=True) == wanted
    # The published protocol compares at the network's own grid: nothing is brought back.
    assert activation(paper["validate"]["postprocessing"], True) == activation(inference["postprocessing"], False)


@pytest.mark.parametrize("bundle", VOLUME_BUNDLES)
def test_one_way_from_label_maps_to_files(bundle: str) -> None:
    """The inferer gives class numbers; they are turned back, cleaned and written."""
    inference, evaluate = load(bundle, "inference", None), load(bundle, "train", None, "evaluate")
    chains = [evaluate["validate"]["postprocessing"], inference["postprocessing"]]
    ours, theirs = ([dict(t) for t in chain["transforms"] if "_disabled_" not in t] for chain in chains)
    for chain in (ours, theirs):
        assert chain[0]["_target_"] == "Invertd"
        assert chain[0]["nearest_interp"] is True
        chain[0].pop("transform")  # the name of the preprocessing differs
    assert ours[:2] == theirs[:2]
    assert {key: value for key, value in theirs[2].items() if key in ours[2]} == ours[2]
    # The published protocol counts on the volume's own grid, too.
    assert load(bundle, "train", None, "paper", "evaluate", "evaluate_paper")["validate"] == evaluate["validate"]


@EVERY_BUNDLE
def test_monai_label_gets_what_it_expects(bundle: str) -> None:
    inference = load(bundle, "inference", None)
    assert [t["_target_"] for t in inference["postprocessing"]["transforms"]][-2:] == ["SqueezeDimd", "CastToTyped"]
    assert inference["displayable_configs"]["result_extension"] == (".nii.gz" if bundle in VOLUME_BUNDLES else ".png")
    assert inference["bundle_root"] == "."


@EVERY_PICTURE_DATASET
def test_training_sees_what_inference_sees(bundle: str, dataset: str | None, tmp_path: Path) -> None:
    """On a real file, without the random transforms; patches are cut from an image of the same values."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 200, (80, 70, 3), dtype=np.uint8)).save(tmp_path / "image.png")
    Image.fromarray(rng.integers(0, 2, (80, 70), dtype=np.uint8)).save(tmp_path / "label.png")
    case = {"image": str(tmp_path / "image.png"), "label": str(tmp_path / "label.png"), "case": "image"}
    small = {"roi_size": [32, 48]}
    train = {**load(bundle, "train", dataset), **small}
    inference = {**load(bundle, "inference", dataset), **small}
    (expected,) = (chain(case)["image"] for chain in resolved(inference, "preprocessing"))
    training, validation = resolved(train, "train#preprocessing", "validate#preprocessing")
    fixed = Compose([t for t in training.transforms if not isinstance(t, (Randomizable, OneOf, SpatialPadd))])
    view = train["view"]
    # An image larger than the patch is not padded, so what is left is the whole image.
    assert tuple(expected.shape[1:]) == ((32, 48) if view == "whole" else (80, 70))
    for chain in (fixed, validation):
        image = chain(case)["image"]
        assert image.dtype == torch.float32
        assert torch.equal(torch.as_tensor(image), torch.as_tensor(expected))
    assert float(expected.min()) >= 0
    assert float(expected.max()) <= 1


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
    (divisor,) = resolved(load(bundle, "inference", None), "inferer#roi_size#divisor")
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
