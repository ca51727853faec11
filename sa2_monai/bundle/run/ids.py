# SPDX-License-Identifier: Apache-2.0
"""The bundle, the overlays and the ids that a request names, looked up without MONAI, which takes seconds to import."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from sa2_monai.bundle.baselines import source_of
from sa2_monai.bundle.locate import config_file, find_bundle, find_config, load
from sa2_monai.bundle.switches import SwitchError, check_values, close_match
from sa2_monai.bundle.switches.schema import switch_names
from sa2_monai.io.limits.aliases import safe_yaml
from sa2_monai.networks.catalogue import CATALOGUE, network_names
from sa2_monai.networks.variants import parse_network

__all__ = ["find_overlays", "known_ids", "named_bundle", "named_variant", "read_keys", "read_plain", "refuse_unknown"]

#: Configurations that are no overlays of a training.
_NO_OVERLAYS = ("train", "inference", "evaluate", "evaluate_paper", "ensemble", "inference_trt", "metadata")


def named_bundle(name: str | None) -> tuple[str | None, Path | None]:
    """Name of the network and folder of the bundle that trains it; ``None`` for both without a name.

    Args:
        name: what the caller says: a network, a variant of one as in ``sa2net:plain_skips``, or a bundle's folder.

    Raises:
        SwitchError: there is no such network, variant or bundle.
        ValueError: it is a zip file, of no network of this package, or not run unasked.
    """
    if name is None:
        return None, None
    if _is_network(name):
        try:
            known, _ = parse_network(name)
        except ValueError as error:
            raise SwitchError(str(error)) from error
        return known, source_of(known)
    try:
        folder = find_bundle(name)
    except FileNotFoundError as error:
        raise SwitchError(f"the network is {name!r}: {error}") from error
    if folder.is_file():
        raise ValueError(f"{folder} is a zip file; a training needs the folder of a bundle. Extract it first.")
    load(find_config(folder, "train"))  # what is not run unasked is refused before anything is measured
    info = read_plain(find_config(folder, "train")).get("model_info")
    network = info.get("network") if isinstance(info, Mapping) else None
    if network not in network_names():
        known = ", ".join(network_names())
        raise ValueError(f"{folder} is no bundle of a network of this package; expected one of {known}.")
    return str(network), folder


def named_variant(name: str | None) -> dict[str, Any]:
    """The switch ``variant`` as the name of a network says it; nothing where it is none.

    Args:
        name: as in :func:`named_bundle`, which has refused what is wrong.
    """
    variant = parse_network(name)[1] if name is not None and _is_network(name) else None
    return {} if variant is None else {"variant": variant}


def _is_network(name: str) -> bool:
    """Whether a name can be nothing but that of a network or of a variant; a folder of the name is a bundle."""
    return name.partition(":")[0] in network_names() and config_file(name, "inference") is None


def find_overlays(names: Sequence[str], bundle: Path | None) -> list[Path]:
    """The overlay files.

    Args:
        names: names in the bundle, or files.
        bundle: folder of the bundle, whose overlays may be named; ``None`` when the plan chooses it.

    Raises:
        ValueError: a name or file that is none.
    """
    found = []
    for name in names:
        inside = None if bundle is None or os.sep in name else config_file(bundle, name)
        if name in _NO_OVERLAYS:
            raise ValueError(f"--config {name}: this file is no overlay of a training; name a data set or a file")
        if inside is None and not Path(name).is_file():
            if bundle is None:
                raise ValueError(f"--config {name}: no such file; for an overlay of a bundle give its --network, too")
            raise ValueError(f"--config {name}: neither an overlay of {bundle / 'configs'} nor a file")
        found.append(Path(os.path.abspath(inside or name)))
    return found


def known_ids(name: str | None, overlays: Sequence[str]) -> tuple[set[str], str | None]:
    """Top-level ids that a value may be given for, and the network; those of all bundles while it is not known.

    Args:
        name: of a network, or the folder of its bundle; ``None`` when the plan chooses it.
        overlays: names in the bundle, or files.

    Raises:
        SwitchError, ValueError: as :func:`named_bundle` and :func:`find_overlays`.
    """
    network, bundle = named_bundle(name)
    known = {key for file in find_overlays(overlays, bundle) for key in read_keys(file)}
    if bundle is not None:
        return known | read_keys(find_config(bundle, "train")), network
    return known | read_keys(find_config(find_bundle(next(iter(CATALOGUE))), "train")) | switch_names(None), None


def read_keys(file: Path) -> set[str]:
    """Top-level ids that a configuration file sets, or sets something in.

    Args:
        file: YAML or JSON.
    """
    return {str(key).lstrip("+").replace("::", "#").split("#")[0] for key in read_plain(file)}


def read_plain(file: Path) -> dict[str, Any]:
    """Content of a configuration file as it is written.

    Args:
        file: YAML or JSON.

    Raises:
        ValueError: it is neither, or holds no ids.
    """
    try:
        content = safe_yaml(file.read_text(encoding="utf-8"), file)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no YAML ({error}); expected the values of switches by name") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file} holds no ids; expected the values of switches by name, as in 'batch_size: 8'")
    return content


def refuse_unknown(overrides: Mapping[str, Any], known: set[str], network: str | None) -> None:
    """Refuse ids that nothing would use, and values that are no choice.

    Args:
        overrides: values by id.
        known: ids that there are.
        network: name of the network, or ``None``.

    Raises:
        SwitchError: one line with all of them.
    """
    unknown = [name for name in overrides if name.replace("::", "#").split("#")[0] not in known]
    if unknown:
        near = {name: close_match(name, known) for name in unknown}
        names = ", ".join(f"{name} (did you mean {near[name]}?)" if near[name] else name for name in sorted(unknown))
        whose = f"the bundle {network}" if network else "no bundle"
        raise SwitchError(f"{whose} has {'no ' if network else ''}{names}; its switches stand at the top of train.yaml")
    plain = {
        name: value
        for name, value in overrides.items()
        if not (isinstance(value, str) and value[:1] in ("$", "@", "%"))
    }
    check_values(plain, None, network)
