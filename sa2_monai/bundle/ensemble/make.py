# SPDX-License-Identifier: Apache-2.0
"""One bundle of several: the files of the first member, with the networks and the weights of all."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser

from sa2_monai.bundle.ensemble.members import Member
from sa2_monai.bundle.ensemble.views import look_one_by_one, see_alike, views_of
from sa2_monai.bundle.locate import load, load_one
from sa2_monai.bundle.packaging.contents import override
from sa2_monai.bundle.sidecar import apply_settings
from sa2_monai.weights import read_checkpoint, read_info, read_temperature, save_weights, sha256_of

__all__ = ["make_ensemble"]

_TARGET = "sa2_monai.inference.ensemble_of"
#: Of a sidecar, what one file of weights says about itself and its training.
_OF_A_FILE = (
    *("file", "sha256", "bytes", "tensors", "parameters", "sa2_monai", "replaces"),
    *("epoch", "metric", "metric_name", "temperature"),
)


def make_ensemble(members: Sequence[Member], folder: Path) -> Path:
    """Write a bundle whose network is the ensemble; the same members give the same bytes.

    Configurations, texts and clean-up are those of the first member. Members that see an image in different ways get
    an :class:`~sa2_monai.inference.EnsembleInferer`.

    Args:
        members: see :func:`~sa2_monai.bundle.ensemble.members.find_members`.
        folder: of the new bundle, which must not be there.

    Returns:
        The folder.

    Raises:
        ValueError: an ensemble as a member, or files that only members of one view can take.
        OSError: the folder cannot be written.
    """
    first = members[0]
    views = None if see_alike(members) else views_of(members)
    (folder / "configs").mkdir(parents=True)
    network_def = {"_target_": _TARGET, "members": [_network(member) for member in members]}
    for file in sorted((first.bundle / "configs").iterdir()):
        if file.stem in ("train", "inference"):
            config = apply_settings(load(file), first.sidecar)
            override(config, "network_def", network_def)
            override(config, "bundle_root", ".")
            if views is not None:
                look_one_by_one(config, views, first.values["class_names"])
            _write(folder / "configs" / f"{file.stem}.json", config)
        elif file.suffix in (".yaml", ".yml", ".json"):
            _write(folder / "configs" / f"{file.stem}.json", load_one(file))
        else:
            shutil.copyfile(file, folder / "configs" / file.name)
    for name in ("LICENSE", "docs", "logs", "pairs.csv"):
        source = first.bundle / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        elif source.is_file():
            shutil.copyfile(source, folder / name)
    about = {} if views is None else {"out_channels": len(first.values["class_names"])}
    _write_weights(members, folder / "models" / "model.pt", about)
    return folder


def _network(member: Member) -> dict[str, Any]:
    """Name and arguments of a member's network, all of them plain values."""
    parser = ConfigParser(copy.deepcopy(member.config))
    arguments = dict(parser.get_parsed_content("network_def", instantiate=False).get_config())
    members = arguments.get("members")
    if members is not None:
        raise ValueError(f"{member.bundle} is an ensemble itself; give its members")
    kept = {key: value for key, value in arguments.items() if not key.startswith("_") and key != "spatial_dims"}
    temperature = read_temperature(member.weights)
    calibrated = {} if temperature is None else {"temperature": temperature}
    return {"network": member.sidecar.network, **kept, **calibrated}


def _write_weights(members: Sequence[Member], file: Path, more: Mapping[str, Any]) -> None:
    tensors: dict[str, torch.Tensor] = {}
    for index, member in enumerate(members):
        for name, value in read_checkpoint(member.weights).items():
            tensors[f"networks.{index}.{name}"] = value
    about = {key: value for key, value in read_info(members[0].weights).items() if key not in _OF_A_FILE}
    ensemble = [{"network": member.sidecar.network, "sha256": sha256_of(member.weights)} for member in members]
    file.parent.mkdir(parents=True)
    save_weights(tensors, file, {**about, **more, "ensemble": ensemble})


def _write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
