# SPDX-License-Identifier: Apache-2.0
"""What a file or folder is, without running anything of it: no network is built, no expression evaluated."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sa2_monai.bundle.included import is_included
from sa2_monai.bundle.locate import config_file, dataset_overlays, find_bundle, open_bundle
from sa2_monai.bundle.sidecar import MODEL_SETTINGS
from sa2_monai.bundle.trust.consent import only_looking
from sa2_monai.bundle.trust.outside import outside_of_bundle
from sa2_monai.bundle.trust.reading import named, read_config
from sa2_monai.io.digest import sha256_of
from sa2_monai.io.limits.zips import read_entry
from sa2_monai.networks.catalogue import CATALOGUE, network_names

__all__ = ["describe_path"]

_SUFFIXES = (".pt", ".pth", ".tar", ".safetensors", ".ckpt")
_SCRIPTS = (".ts", ".pt2")


def describe_path(path_or_name: str | os.PathLike[str]) -> dict[str, Any]:
    """Facts about a bundle (folder, zip file, name) or a file of weights or an exported network.

    Args:
        path_or_name: the file or folder.

    Returns:
        ``what`` (``bundle``, ``weights`` or ``exported network``), ``path`` and the facts that are there: ``name``,
        ``version``, ``network``, ``class_names``, ``kind``, ``view``, ``roi_size`` and the other settings, ``data``,
        ``datasets`` (overlays), ``weights``, ``exports``, ``problems``; of a bundle ``outside``: what of it needs
        ``--trust`` to run.

    Raises:
        FileNotFoundError: there is nothing of the name.
        ValueError: it is neither a bundle nor weights, or damaged; one line that names the file.
    """
    path = Path(path_or_name)
    with named(path), only_looking():
        if path.is_file() and path.suffix.lower() in _SCRIPTS:
            return _describe_export(path)
        if path.is_file() and path.suffix.lower() in _SUFFIXES:
            return {"what": "weights", "path": str(path), **_describe_weights(path)}
        with open_bundle(path_or_name) as folder:
            return {"what": "bundle", "path": str(find_bundle(path_or_name)), **_describe_bundle(folder)}


def _describe_bundle(folder: Path) -> dict[str, Any]:
    file = config_file(folder, "inference")
    assert file is not None
    config = read_config(file)
    metadata_file = folder / "configs" / "metadata.json"
    metadata = read_config(metadata_file) if metadata_file.is_file() else {}
    with named(file):
        info = config.get("model_info", {})
        network = info.get("network", config.get("network_def", {}).get("_target_"))
    with named(metadata_file):
        described = _from_metadata(metadata)
    facts: dict[str, Any] = {
        "name": metadata.get("name"),
        "version": metadata.get("version"),
        "network": network,
        **_plain_settings(config),
        **described,
        "data": metadata.get("data_source"),
        "results": metadata.get("eval_metrics") or None,
        "outside": [] if is_included(folder) else outside_of_bundle(folder),
        "datasets": sorted(dataset_overlays(folder)),
        "problems": [] if metadata else ["configs/metadata.json is missing"],
    }
    weights = folder / "models" / "model.pt"
    if weights.is_file():
        with named(weights):
            facts["weights"] = {"file": "models/model.pt", **_describe_weights(weights)}
        facts["problems"] += [f"models/model.pt: {problem}" for problem in facts["weights"].pop("problems")]
        for key in MODEL_SETTINGS:  # what inference will use
            facts[key] = facts["weights"].pop(key, facts.get(key))
    exports = sorted(file for suffix in (*_SCRIPTS, ".onnx") for file in (folder / "models").glob(f"*{suffix}"))
    facts["exports"] = {f"models/{file.name}": sha256_of(file) for file in exports}
    return {key: value for key, value in facts.items() if value is not None}


def _plain_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that are written as values, not as expressions."""
    return {
        key: config[key]
        for key in MODEL_SETTINGS
        if key in config and not str(config[key]).lstrip().startswith(("$", "@"))
    }


def _from_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    formats = metadata.get("network_data_format", {})
    image, pred = formats.get("inputs", {}).get("image", {}), formats.get("outputs", {}).get("pred", {})
    names = pred.get("channel_def", {})
    facts = {
        "in_channels": image.get("num_channels"),
        "out_channels": pred.get("num_channels"),
        "class_names": [names[key] for key in sorted(names, key=int)] if names else None,
    }
    return {key: value for key, value in facts.items() if value is not None}


def _describe_weights(path: Path) -> dict[str, Any]:
    from sa2_monai.weights import describe_published, read_checkpoint, read_info
    from sa2_monai.weights.compare import CONVERTERS

    info = read_info(path)
    found = sha256_of(path)
    problems = []
    if not info:
        problems.append(f"no {path.with_suffix('.json').name} beside it says what it is")
    elif info["sha256"] != found:
        problems.append(f"{path.with_suffix('.json').name} describes another file (its sha256 differs)")
    if info.get("network") is not None and info["network"] not in network_names():
        known = ", ".join(network_names())
        problems.append(f"{path.with_suffix('.json').name} names a network that is none of {known}")
    tensors = read_checkpoint(path)
    facts: dict[str, Any] = {}
    for name, converter in CONVERTERS.items():
        if told := converter.describe(tensors):
            facts = {"network": name, **told}
            if CATALOGUE[name].grey_as_colour and told.get("in_channels") == 3:
                facts["in_channels"] = "1 or 3"  # one channel is repeated
            break
        if converter.describe_published(tensors):
            facts = {"network": name, "published": describe_published(name, tensors)}
            problems.append("has the tensor names of its authors; convert it with 'sa2-monai import-weights'")
            break
    own = {key: value for key, value in info.items() if key not in ("file", "sha256", "bytes", "replaces")}
    return {
        **facts,
        **own,
        "sha256": found,
        "bytes": path.stat().st_size,
        "tensors": len(tensors),
        "problems": problems,
    }


def _describe_export(path: Path) -> dict[str, Any]:
    """From the texts that an exported file carries; its code is not loaded."""
    try:
        with zipfile.ZipFile(path) as archive:
            texts = {
                Path(name).name: json.loads(read_entry(path, archive, name))
                for name in archive.namelist()
                if name.split("/")[-2:-1] == ["extra"] and name.endswith(".json")
            }
    except (zipfile.BadZipFile, ValueError) as error:
        raise ValueError(f"{path} is no exported network or is damaged ({error}).") from error
    metadata, config = texts.get("metadata.json", {}), texts.get("inference.json", {})
    facts: dict[str, Any] = {
        "what": "exported network",
        "path": str(path),
        "name": metadata.get("name"),
        "version": metadata.get("version"),
        "network": config.get("model_info", {}).get("network"),
        **_plain_settings(config),
        **_from_metadata(metadata),
        "data": metadata.get("data_source"),
        "sha256": sha256_of(path),
        "bytes": path.stat().st_size,
        "problems": [] if metadata else ["it carries no metadata"],
    }
    return {key: value for key, value in facts.items() if value is not None}
