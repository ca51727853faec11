# SPDX-License-Identifier: Apache-2.0
"""Five bundles, one text: where the configurations mean the same they say the same. What may differ stands here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from bundle_tools import BUNDLES, configs
from monai.bundle import ConfigParser

#: Overlays that are one file in all bundles, to the byte.
EQUAL_FILES = ("debug", "disk_cache", "ensemble", "inference_trt", "multi_gpu_evaluate", "multi_gpu_train")
#: Ids whose values each bundle has for itself; with ``::`` one argument of a component, alone the whole item.
SWITCHES = {
    # the published task, and what travels with its weights
    *("dataset_dir", "layout", "kind", "class_names", "label_values", "in_channels", "out_channels", "experiment_name"),
    *("intensity", "intensity_range", "normalize", "roi_size", "resize", "overlap", "label_resize", "model_info"),
    # the network
    *("network_def", "embed_dims", "channel_heads", "window_size", "deep_level", "stem_channels", "encoder_channels"),
    *("encoder_depths", "channel_attention_heads", "encoder", "base_channels", "img_size"),
    # SA2-Net scales 2D images by other percentiles, and to minimum and maximum after the resize
    *("stretched", "scale_intensity::intensity", "scale_intensity::percentiles"),
    *("slice_view::divisor", "slice_view::resize", "slice_view::normalize", "slice_view::stretch"),
    "batch_size",
}
TRAINING = {
    # published losses, optimisers, schedules, and their values
    *("loss", "losses", "loss_name", "optimizer", "schedule", "schedules", "starts_trained"),
    *("learning_rate", "min_learning_rate", "weight_decay", "restart_interval", "max_epochs", "patience"),
    "deep_supervision_weights",  # SA2-Net alone has several outputs
    *("val_interval", "encoder_weights", "published_noise", "cache_rate", "train::random_transforms"),
    # ImageNet weights of MSA2-Net and SvANet
    *("train::handlers::sa2_monai.training.LoadEncoder", "train::handlers::sa2_monai.training.FreezeEncoder"),
    *("train::recorded::encoder_weights", "train::handlers::sa2_monai.training.TrackedRun::pretrained"),
    # by step, by epoch, by what validation finds
    "train::handlers::LrScheduleHandler::epoch_level",
    "train::dataloader::drop_last",  # SvANet: a batch of one has no statistics
    # SA2-Net's published reading of masks, and its published order of resize and augmentation
    *("label_mode", "resized_first", "slice_view::label_resize", "train::deterministic_transforms::@map_labels"),
    "train::deterministic_transforms::sa2_monai.slices.map_labels",
}
ALLOWED = {
    "train": SWITCHES | TRAINING,
    "inference": SWITCHES
    | {"as_validated::default_overlap", "network_def"}
    # in inference.yaml these steps stand in the list itself
    | {f"preprocessing::transforms::sa2_monai.slices.scale_intensity::{name}" for name in ("intensity", "percentiles")},
    "evaluate": {"size_strata", "extra_metrics", "metrics_of"},  # SvANet publishes more of them
}
#: Overlays of several bundles for one data set, beside switches of the training and the network.
OVERLAYS = {
    "evaluate_paper": {"family", "paper_options", "size_options", "validate#inferer#output"},
    "paper": {"view", "channel_order"},
    "acdc": {"view"},
    "isic2018": {"view", "augment"},
    "folder": {"view"},
    "nifti_folder": {"view", "slice_axis", "foreground"},
    # see svanet's: its maps overflow
    "sample": {"augment", "dropout", "num_workers", "view", "gradient_clip", "precise_bn", "warmup_epochs"},
    "sample_volumes": set(),
    "synapse": set(),
    "synapse_archive": set(),
}


def items(config: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Plain values by their ids; of a list, components go by their ``_target_`` and references by their text."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            yield from items(value, f"{where}::{key}" if where else str(key))
    elif isinstance(config, list) and any(isinstance(value, (Mapping, str)) for value in config):
        seen: Counter[str] = Counter()
        for value in config:
            name = str(value.get("_target_", "")) if isinstance(value, Mapping) else str(value)
            seen[name] += 1
            yield from items(value, f"{where}::{name}" + (f" ({seen[name]})" if seen[name] > 1 else ""))
    else:
        yield where, config


def covers(allowed: set[str], name: str) -> set[str]:
    return {one for one in allowed if name == one or name.startswith(f"{one}::")}


def parsed(file: str) -> dict[str, dict[str, Any]]:
    """The file of each bundle that has it, as plain values by id."""
    paths = {bundle: configs(bundle) / f"{file}.yaml" for bundle in BUNDLES}
    return {b: dict(items(ConfigParser.load_config_file(path))) for b, path in paths.items() if path.is_file()}


def differing(files: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Ids whose values are not the same in all bundles."""
    names = sorted({name for one in files.values() for name in one})
    found = {name: {bundle: one.get(name, "(absent)") for bundle, one in files.items()} for name in names}
    return {name: values for name, values in found.items() if len({repr(value) for value in values.values()}) > 1}


@pytest.mark.parametrize("file", sorted(ALLOWED))
def test_one_text(file: str) -> None:
    files = parsed(file)
    assert len(files) == len(BUNDLES) == 5
    different = differing(files)
    unexpected = {name: values for name, values in different.items() if not covers(ALLOWED[file], name)}
    assert unexpected == {}
    shared = {name for one in files.values() for name in one} - set(different)
    assert len(shared) > {"train": 150, "inference": 80, "evaluate": 50}[file]


def test_nothing_is_allowed_that_does_not_differ() -> None:
    used = {
        one for file, allowed in ALLOWED.items() for name in differing(parsed(file)) for one in covers(allowed, name)
    }
    assert {one for allowed in ALLOWED.values() for one in allowed} - used == set()


@pytest.mark.parametrize("file", sorted(OVERLAYS))
def test_overlays_of_one_name_say_the_same(file: str) -> None:
    files = parsed(file)
    assert len(files) > 1
    allowed = SWITCHES | TRAINING | OVERLAYS[file]
    assert {name: values for name, values in differing(files).items() if not covers(allowed, name)} == {}


@pytest.mark.parametrize("file", EQUAL_FILES)
def test_overlays_that_are_one_file(file: str) -> None:
    assert len({(configs(bundle) / f"{file}.yaml").read_bytes() for bundle in BUNDLES}) == 1


def test_no_overlay_of_several_bundles_is_left_out() -> None:
    several = Counter(path.stem for bundle in BUNDLES for path in configs(bundle).glob("*.yaml"))
    assert {name for name, number in several.items() if number > 1} == {*ALLOWED, *OVERLAYS, *EQUAL_FILES}
