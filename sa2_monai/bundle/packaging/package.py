# SPDX-License-Identifier: Apache-2.0
"""Stand-alone bundles: one network, one data set, one set of weights, nothing but JSON."""

from __future__ import annotations

import dataclasses
import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sa2_monai.bundle.exporting.parity import ParityReport, check_parity
from sa2_monai.bundle.exporting.torchscript import script_bundle
from sa2_monai.bundle.locate import dataset_overlay
from sa2_monai.bundle.network import build_network, resolve
from sa2_monai.bundle.packaging.contents import describe_contents, merged_configs, merged_metadata
from sa2_monai.bundle.packaging.documents import write_configs, write_documents
from sa2_monai.bundle.packaging.inputs import check_classes, check_name, read_results, read_texts
from sa2_monai.bundle.packaging.large_files import check_address, list_large_files, take_out
from sa2_monai.bundle.packaging.metadata import edit_metadata, installed_versions
from sa2_monai.bundle.packaging.weights import write_weights
from sa2_monai.bundle.packaging.zipping import zip_folder
from sa2_monai.bundle.sidecar import apply_settings, read_sidecar
from sa2_monai.bundle.switches import check_config
from sa2_monai.bundle.trust.consent import trust_if
from sa2_monai.inference.agreement import smooth_images
from sa2_monai.io.atomic import remove_leftovers
from sa2_monai.io.workplace import workplace
from sa2_monai.weights import read_info, weight_file

__all__ = ["package_bundle"]

#: Files of the machine that trained.
_STARTED_FROM = ("pretrained", "encoder_weights")


def package_bundle(
    bundle: str | os.PathLike[str],
    weights: str | os.PathLike[str],
    output: str | os.PathLike[str],
    dataset: str | os.PathLike[str] | None = None,
    results: str | os.PathLike[str] | None = None,
    name: str | None = None,
    version: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    make_zip: bool = False,
    force: bool = False,
    metadata: str | os.PathLike[str] | None = None,
    large_files: str | None = None,
    use_installed_versions: bool = False,
    trust: bool = False,
) -> list[Path]:
    """Write a bundle that stands alone: for a data set, with its weights. The same input gives the same bytes.

    Args:
        bundle: folder of the architecture's bundle.
        weights: trained weights. What they carry (``model.json`` beside them) goes into the configurations.
        output: folder in which the bundle's folder is made.
        dataset: overlay of the data set, a name or a file; without it the bundle's own data set.
        results: ``metrics_summary.json`` of an evaluation of these weights, for the model card.
        name: name of the folder; ``<dataset>_<network>_segmentation`` by default.
        version: x.y.z; by default that of the source bundle.
        overrides: further values for the configurations, by top-level id.
        make_zip: also write ``<name>_v<version>.zip``.
        force: replace what is there.
        metadata: JSON or YAML file with texts for ``metadata.json`` that only people know (authors, data_source, ...).
        large_files: URL below which the weights will be published. The folder then has ``large_files.yml`` instead of
            them, as the model zoo wants it, and ``<name>_v<version>_large_files`` beside it holds what to upload; the
            zip file has both.
        use_installed_versions: state the versions of the packages that are installed here, not the source's.
        trust: see :func:`~sa2_monai.bundle.load_bundle`.

    Returns:
        The folder, the zip file if there is one, and the folder of large files if there is one.

    Raises:
        FileNotFoundError: a part of the source, the weights or the results are missing.
        FileExistsError: the bundle is there already.
        UntrustedBundleError: a ``ValueError``; see ``trust``.
        ValueError: weights that do not belong to this network or data set, unknown ids, an unsuitable name, a
            damaged file, an address that is none.
        RuntimeError: the network cannot be written as TorchScript, or that does not give the same labels.
    """
    source, weights = Path(bundle), weight_file(weights)
    if not weights.is_file():
        raise FileNotFoundError(f"{weights}: no such weights. Give the file of trained weights.")
    summary = read_results(results)
    own_texts = {} if metadata is None else read_texts(Path(metadata))
    if large_files is not None:
        check_address(large_files)
    trust_if(trust, source)
    overlay = None if dataset is None else dataset_overlay(source, dataset)
    trust_if(trust, *([] if overlay is None else [overlay]))
    sidecar = read_sidecar(weights, source.name)
    train, inference = merged_configs(source, [] if overlay is None else [overlay], overrides or {})
    check_classes(train, sidecar, weights, "the bundle's data set" if overlay is None else overlay.stem)
    for config in (train, inference):
        check_config(config)
    train, inference = apply_settings(train, sidecar), apply_settings(inference, sidecar)
    network = build_network(inference, weights)

    label = overlay.stem if overlay is not None else str(train["layout"])
    train["dataset_dir"] = f"/workspace/data/{label}"
    train |= {key: None for key in _STARTED_FROM if key in train and key not in (overrides or {})}
    # Networks that each see an image in their own way are more than one network: there is no TorchScript of them.
    scripted = not str(inference["inferer"].get("_target_")).endswith("EnsembleInferer")
    (model_info,) = resolve(inference, "model_info")
    folder_name = check_name(name or f"{label}_{model_info['network']}_segmentation")
    contents = describe_contents(
        source,
        label,
        train,
        inference,
        merged_metadata(source, *([] if overlay is None else [overlay.with_name(f"{overlay.stem}_meta.json")])),
        divisor=int(getattr(network, "divisor", 1)),
        change=f"packaged for {label} with trained weights",
        version=version,
        results=summary,
    )
    described = edit_metadata(contents.metadata, own_texts)
    if use_installed_versions:
        described = installed_versions(described)
    contents = dataclasses.replace(contents, metadata=described)
    full_name = f"{folder_name}_v{described['version']}"
    target = Path(output) / folder_name
    archive = target.with_name(f"{full_name}.zip") if make_zip else None
    published = target.with_name(f"{full_name}_large_files") if large_files is not None else None
    written = [path for path in (target, archive, published) if path is not None]
    for path in written:
        if path.exists() and not force:
            raise FileExistsError(f"{path} is there already. Choose another --output or --name, or give --force.")

    # Built in another place beside it: what has the right name is complete.
    with workplace(target, "packaging") as place:
        building = place / folder_name
        building.mkdir()
        write_configs(building, contents)
        record = write_weights(weights, building / "models" / "model.pt", {**model_info, **read_info(weights)})
        write_documents(building, contents, record, summary, published is not None, scripted)
        if scripted:
            script_bundle(building)
            parity = _compare(network, building / "models" / "model.ts", inference)
            if not parity.passed:
                raise RuntimeError(f"models/model.ts does not give the labels of the network.\n{parity.text()}")
        names = list_large_files(building, large_files, full_name) if large_files is not None else {}
        if archive is not None:
            remove_leftovers(archive)
            zip_folder(building, archive)
        if published is not None:
            take_out(building, names, building.with_name(published.name))
        for folder in filter(None, (target, published)):
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(building.with_name(folder.name), folder)
    return written


def _compare(network: nn.Module, file: Path, config: Mapping[str, Any]) -> ParityReport:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.*is deprecated")
        scripted = torch.jit.load(str(file), map_location="cpu")
    in_channels, roi_size, normalize = resolve(config, "in_channels", "roi_size", "normalize")
    with torch.no_grad():
        return check_parity(network, scripted, smooth_images([[1, in_channels, *roi_size]], normalize), "torchscript")
