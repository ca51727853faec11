# SPDX-License-Identifier: Apache-2.0
"""From what the caller asks for to the configurations of a run, all of it checked before anything is built."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sa2_monai.bundle.baselines import metadata_overlays, overlays_of, source_of
from sa2_monai.bundle.included import run_folder
from sa2_monai.bundle.locate import find_config
from sa2_monai.bundle.packaging.contents import BundleContents, describe_contents, merged_configs, merged_metadata
from sa2_monai.bundle.packaging.inputs import OWN_DATA
from sa2_monai.bundle.packaging.metadata import edit_metadata
from sa2_monai.bundle.packaging.texts import of_variant
from sa2_monai.bundle.planning.start import start_of
from sa2_monai.bundle.run.ids import (
    find_overlays,
    known_ids,
    named_bundle,
    named_variant,
    read_keys,
    read_plain,
    refuse_unknown,
)
from sa2_monai.bundle.run.request import TrainRequest
from sa2_monai.bundle.run.target import check_target
from sa2_monai.bundle.switches import SwitchError, check_config
from sa2_monai.bundle.verbatim import verbatim
from sa2_monai.data import find_data
from sa2_monai.io.arrays.decoded import decoded_once
from sa2_monai.networks.variants import named

if TYPE_CHECKING:
    from sa2_monai.bundle.planning import Plan
    from sa2_monai.data import FoundData

__all__ = ["RunSetup", "plan_run"]

#: Table of the cases that were found by patterns, beside the run's configurations.
PAIRS = "pairs.csv"
#: Metadata of the bundles for data of somebody's own.
_OWN_META = {"images": "folder", "volumes": "nifti_folder", "preprocessed": "nifti_folder"}


@dataclass(frozen=True)
class RunSetup:
    """A training that is decided.

    Attributes:
        folder: of the run, absolute.
        network: name of the network, with that of the variant: ``sa2net:plain_skips``.
        contents: configurations and metadata of the run's bundle.
        data: folder or file of the data, absolute.
        about: the data in words.
        plan: what was planned; ``None`` where nothing was.
        pairs: the data as found by patterns, to be written as a table; else ``None``.
    """

    folder: Path
    network: str
    contents: BundleContents
    data: Path
    about: str
    plan: Plan | None = None
    pairs: FoundData | None = None


@decoded_once()
def plan_run(request: TrainRequest) -> RunSetup:
    """Find out what the data are, plan what is not given, and merge it all.

    Args:
        request: what the caller asks for, without ``resume``.

    Raises:
        SwitchError: unknown ids, or values that are no choice.
        FileNotFoundError: no such data, bundle or overlay.
        ValueError: data that nobody can be certain about, or a folder that holds something else.
    """
    assert request.data is not None
    start = start_of(request.given.get("pretrained"))
    network, bundle = named_bundle(request.network or start.network)
    overlays = find_overlays(request.overlays, bundle)
    of_weights = _without(start.options, overlays) if network == start.network else {}
    given = {**of_weights, **_variant(request), **request.given}
    # Without a plan it is all as the bundle says.
    said_by = overlays if request.plan or bundle is None else [find_config(bundle, "train"), *overlays]
    layout = request.given.get("layout", _layout_of(said_by))
    found = find_data(request.data, layout, request.images, request.labels, request.colours)
    plan = _make_plan(request, found, network, overlays, given) if request.plan else None
    if plan is not None and network is None:
        network, bundle = plan.network, source_of(plan.network)
        refuse_unknown(request.overrides, *known_ids(network, request.overlays))
    if network is None or bundle is None:
        raise ValueError("without a plan --network says which network to train")

    whole_name = named(network, given.get("variant"))
    folder = Path(os.path.abspath(request.output or run_folder(whole_name, request.data)))
    if request.output is None:
        check_target(folder)
    by_pattern = request.images is not None
    data = folder / "configs" / PAIRS if by_pattern else Path(os.path.abspath(found.path))
    found_out = {"layout": found.dataset, **({} if plan is None else plan.values())}
    values = {**_without(found_out, overlays), **given, "dataset_dir": verbatim(str(data))}
    train, inference = merged_configs(bundle, [*overlays_of(network, bundle), *overlays], values)
    inference["dataset_dir"] = "/workspace/data/images"
    check_config(train, unknown=True, entries=["training"])
    check_config(inference)
    name = Path(request.data).resolve().name
    contents = _describe(bundle, train, inference, found, name)
    about = f"{request.data}: {found.description}, {_counts(found)}"
    about += f"\nnot used: {found.left_out}" if found.left_out else ""
    return RunSetup(folder, whole_name, contents, data, about, plan, found if by_pattern else None)


def _variant(request: TrainRequest) -> dict[str, Any]:
    """The switch ``variant`` by the name of the network, which the caller must not contradict."""
    found = named_variant(request.network)
    if found and request.given.get("variant", found["variant"]) != found["variant"]:
        raise SwitchError(f"variant is {request.given['variant']!r}, but the network is {request.network}")
    return found


def _layout_of(files: list[Path]) -> str | None:
    """The layout that the last of some files names."""
    named = [content["layout"] for content in map(read_plain, files) if "layout" in content]
    return named[-1] if named else None


def _make_plan(
    request: TrainRequest, found: FoundData, network: str | None, overlays: list[Path], given: Mapping[str, Any]
) -> Plan:
    from sa2_monai.bundle.planning import make_plan

    return make_plan(
        found,
        network=network,
        overlays=overlays,
        given=given,
        device=request.call.get("device"),
        minutes=request.minutes,
        fingerprint=request.fingerprint,
    )


def _without(values: dict[str, Any], overlays: list[Path]) -> dict[str, Any]:
    """Values that no overlay has: overlays win over what was found and planned."""
    named = {key for file in overlays for key in read_keys(file)}
    return {name: value for name, value in values.items() if name not in named}


def _describe(
    bundle: Path, train: dict[str, Any], inference: dict[str, Any], found: FoundData, name: str
) -> BundleContents:
    layout = str(train["layout"])
    metas = [bundle / "configs" / f"{stem}_meta.json" for stem in (layout, _OWN_META[found.kind])]
    network = str(train["model_info"]["network"])
    extra = [file for file in metas if file.is_file()][:1]
    metadata = merged_metadata(bundle, *extra, *metadata_overlays(network, bundle))
    metadata = of_variant(metadata, network, train.get("variant"))
    if layout in OWN_DATA:
        metadata = edit_metadata(metadata, {"data_source": f"{name}, own data ({_counts(found)})"})
    return describe_contents(
        bundle, layout, train, inference, metadata, divisor=_divisor(train), change=f"trained on {name}"
    )


def _divisor(train: dict[str, Any]) -> int:
    """What height and width must be multiples of; the network is built without memory for its weights."""
    import torch
    from monai.bundle import ConfigParser

    with torch.device("meta"):
        network = ConfigParser(copy.deepcopy(train)).get_parsed_content("network_def")
    return int(getattr(network, "divisor", 1))


def _counts(found: FoundData) -> str:
    """Number of cases of each part, in words."""
    what = "image" if found.kind == "images" else "volume"
    parts = {f"{part} " if len(found.parts) > 1 else "": len(cases) for part, cases in found.parts.items() if cases}
    return ", ".join(f"{count} {part}{what}{'s' * (count > 1)}" for part, count in parts.items())
