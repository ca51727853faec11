# SPDX-License-Identifier: Apache-2.0
"""Stand-alone bundles: one network, one data set, one set of weights, nothing but JSON."""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from sa2_monai.bundle.exporting.parity import ParityReport, check_parity, smooth_images
from sa2_monai.bundle.exporting.torchscript import script_bundle
from sa2_monai.bundle.locate import dataset_overlay, dataset_overlays, find_config, load, load_one
from sa2_monai.bundle.network import build_network, resolve
from sa2_monai.bundle.packaging.large_files import check_address, list_large_files, take_out
from sa2_monai.bundle.packaging.metadata import edit_metadata, installed_versions, packaged_metadata
from sa2_monai.bundle.packaging.model_card import SHOWN, data_license, model_card
from sa2_monai.bundle.packaging.weights import write_weights
from sa2_monai.bundle.packaging.zipping import zip_folder
from sa2_monai.bundle.sidecar import Sidecar, apply_settings, read_sidecar
from sa2_monai.bundle.switches import check_config
from sa2_monai.data import DATASETS
from sa2_monai.weights import read_info

__all__ = ["package_bundle"]

#: A bundle without these is not complete; its other overlays that are no data sets come along.
_NEEDED = ("evaluate", "multi_gpu_train")
#: Layouts of people's own data: what their classes are, only the weights know.
_OWN_DATA = ("folder", "decathlon", "volumes", "svanet_folder")
#: Overlays of the same layouts whose classes are known.
_SAMPLES = ("sample", "sample_volumes")
_SETTINGS = ("out_channels", *SHOWN)
_EXPECTED_RESULTS = "expected the metrics_summary.json of an evaluation"
# MONAI Label treats models with these words in their names in another way.
_RESERVED = ("deepedit", "deepgrow", "detection", "classification")


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

    Returns:
        The folder, the zip file if there is one, and the folder of large files if there is one.

    Raises:
        FileNotFoundError: a part of the source, the weights or the results are missing.
        FileExistsError: the bundle is there already.
        ValueError: weights that do not belong to this network or data set, unknown ids, an unsuitable name, a
            damaged file, an address that is none.
        RuntimeError: the network cannot be written as TorchScript, or that does not give the same labels.
    """
    source, weights = Path(bundle), Path(weights)
    if not weights.is_file():
        raise FileNotFoundError(f"{weights}: no such weights. Give the file of trained weights.")
    summary = _read_results(results)
    own_texts = {} if metadata is None else _read_texts(Path(metadata))
    if large_files is not None:
        check_address(large_files)
    overlay = None if dataset is None else dataset_overlay(source, dataset)
    sidecar = read_sidecar(weights, source.name)
    train, inference = _merged(source, overlay, overrides or {})
    _check_classes(train, sidecar, weights, "the bundle's data set" if overlay is None else overlay.stem)
    for config in (train, inference):
        check_config(config)
    train, inference = apply_settings(train, sidecar), apply_settings(inference, sidecar)
    network = build_network(inference, weights)

    label = overlay.stem if overlay is not None else str(train["layout"])
    train["dataset_dir"] = f"/workspace/data/{label}"
    (model_info,) = resolve(inference, "model_info")
    settings = dict(zip(_SETTINGS, resolve(inference, *_SETTINGS), strict=True))
    folder_name = _check_name(name or f"{label}_{model_info['network']}_segmentation")
    described = packaged_metadata(
        _merged_metadata(source, overlay),
        settings=settings,
        divisor=int(getattr(network, "divisor", 1)),
        change=f"packaged for {label} with trained weights",
        version=version,
        results=summary,
        citation=DATASETS[train["layout"]].citation if train["layout"] in DATASETS else "",
        own_data=str(train["layout"]) in _OWN_DATA and label not in _SAMPLES,
    )
    described = edit_metadata(described, own_texts)
    if use_installed_versions:
        described = installed_versions(described)
    full_name = f"{folder_name}_v{described['version']}"
    target = Path(output) / folder_name
    archive = target.with_name(f"{full_name}.zip") if make_zip else None
    published = target.with_name(f"{full_name}_large_files") if large_files is not None else None
    written = [path for path in (target, archive, published) if path is not None]
    for path in written:
        if path.exists() and not force:
            raise FileExistsError(f"{path} is there already. Choose another --output or --name, or give --force.")

    # Built under another name in the same place: what has the right name is complete.
    building = target.parent / f".{folder_name}.{os.getpid()}.tmp" / folder_name
    try:
        building.mkdir(parents=True)
        _write_configs(building, source, train, inference, described)
        record = write_weights(weights, building / "models" / "model.pt", {**model_info, **read_info(weights)})
        _write_documents(building, source, label, described, settings, record, summary, published is not None)
        script_bundle(building)
        parity = _compare(network, building / "models" / "model.ts", inference)
        if not parity.passed:
            raise RuntimeError(f"models/model.ts does not give the labels of the network.\n{parity.text()}")
        names = list_large_files(building, large_files, full_name) if large_files is not None else {}
        if archive is not None:
            zip_folder(building, archive)
        if published is not None:
            take_out(building, names, building.with_name(published.name))
        for folder in filter(None, (target, published)):
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(building.with_name(folder.name), folder)
    finally:
        shutil.rmtree(building.parent, ignore_errors=True)
    return written


def _compare(network: nn.Module, file: Path, config: Mapping[str, Any]) -> ParityReport:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.*is deprecated")
        scripted = torch.jit.load(str(file), map_location="cpu")
    in_channels, roi_size, normalize = resolve(config, "in_channels", "roi_size", "normalize")
    with torch.no_grad():
        return check_parity(network, scripted, smooth_images([[1, in_channels, *roi_size]], normalize), "torchscript")


def _merged(source: Path, overlay: Path | None, overrides: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Training and inference of one data set. An overlay's ids that only training knows stay out of inference."""
    added = [] if overlay is None else [overlay]
    train = load(find_config(source, "train"), *added)
    base = load(find_config(source, "inference"))
    inference = load(find_config(source, "inference"), *added)
    inference = {key: value for key, value in inference.items() if key in base or key not in train}
    unknown = sorted(key for key in overrides if key not in train and key not in inference)
    if unknown:
        raise ValueError(f"{source.name} has no {', '.join(unknown)}; its switches stand at the top of train.yaml")
    for config in (train, inference):
        config.update({key: value for key, value in overrides.items() if key in config})
    return train, inference


def _merged_metadata(source: Path, overlay: Path | None) -> dict[str, Any]:
    files = [source / "configs" / "metadata.json"]
    if overlay is not None:
        extra = overlay.with_name(f"{overlay.stem}_meta.json")
        if not extra.is_file():
            raise FileNotFoundError(f"{extra}: no such file; it says the names of the classes of {overlay.stem}.")
        files.append(extra)
    return load(*files)


def _check_classes(train: Mapping[str, Any], sidecar: Sidecar, weights: Path, dataset: str) -> None:
    """Refuse weights of another data set: the model card would tell a lie."""
    theirs = sidecar.settings.get("class_names")
    if theirs is None or str(train.get("layout")) in _OWN_DATA:
        return
    (ours,) = resolve(train, "class_names")
    if list(theirs) != list(ours):
        raise ValueError(
            f"{weights} was trained for the classes {', '.join(theirs)}, but {dataset} has {', '.join(ours)}. Give the "
            f'--dataset of the training, or class_names="{list(theirs)}" if it is the same data with other classes.'
        )


def _check_name(name: str) -> str:
    reserved = [word for word in _RESERVED if word in name.lower()]
    if not re.fullmatch(r"[A-Za-z0-9_]+", name) or reserved:
        why = f"MONAI Label gives {reserved[0]!r} a meaning of its own" if reserved else "letters, digits and _ only"
        raise ValueError(f"{name!r} cannot be the name of a bundle: {why}. Give another --name.")
    return name


def _read_results(results: str | os.PathLike[str] | None) -> dict[str, Any] | None:
    if results is None:
        return None
    if not Path(results).is_file():
        raise FileNotFoundError(f"{results}: no such file; {_EXPECTED_RESULTS}")
    try:
        summary = json.loads(Path(results).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{results} is no JSON ({error}); {_EXPECTED_RESULTS}") from error
    if not isinstance(summary, dict) or not {"protocol", "cases", "per_class", "overall"} <= set(summary):
        raise ValueError(f"{results} holds something else; {_EXPECTED_RESULTS}")
    return summary


def _read_texts(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file; expected texts for the metadata, JSON or YAML")
    try:
        texts = yaml.safe_load(file.read_text(encoding="utf-8"))  # JSON is YAML
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is neither JSON nor YAML ({error})") from error
    if not isinstance(texts, dict):
        raise ValueError(f"{file} holds {type(texts).__name__}; expected texts by the names of metadata.json")
    return {str(key): value for key, value in texts.items()}


def _write_configs(
    folder: Path, source: Path, train: dict[str, Any], inference: dict[str, Any], metadata: dict[str, Any]
) -> None:
    (folder / "configs").mkdir()
    documents = {"train": train, "inference": inference, "metadata": metadata}
    datasets = dataset_overlays(source)
    for file in sorted((source / "configs").iterdir()):
        known = file.stem in (*documents, *datasets) or file.stem.endswith("_meta")
        if file.suffix in (".yaml", ".yml", ".json") and not known:
            documents[file.stem] = load_one(file)
    if missing := [stem for stem in _NEEDED if stem not in documents]:
        raise FileNotFoundError(f"{source} has no configs/{missing[0]}.yaml, which a packaged bundle needs")
    for stem, document in documents.items():
        _write(folder / "configs" / f"{stem}.json", json.dumps(document, indent=4) + "\n")
    _copy(source / "configs" / "logging.conf", folder / "configs")
    _copy(source / "LICENSE", folder)


def _write_documents(
    folder: Path,
    source: Path,
    dataset: str,
    metadata: Mapping[str, Any],
    settings: Mapping[str, Any],
    weights: Mapping[str, Any],
    results: Mapping[str, Any] | None,
    published: bool,
) -> None:
    (folder / "docs").mkdir()
    card = model_card(
        (source / "docs" / "README.md").read_text(encoding="utf-8"),
        metadata=metadata,
        dataset=dataset,
        folder=folder.name,
        settings=settings,
        weights=weights,
        results=results,
        published=published,
    )
    _write(folder / "docs" / "README.md", card)
    terms = (source / "docs" / "data_license.txt").read_text(encoding="utf-8")
    _write(
        folder / "docs" / "data_license.txt", data_license(terms, dataset, str(metadata.get("data_source", dataset)))
    )


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _copy(file: Path, folder: Path) -> None:
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file; a packaged bundle needs it")
    shutil.copyfile(file, folder / file.name)
