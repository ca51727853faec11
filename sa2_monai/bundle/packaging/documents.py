# SPDX-License-Identifier: Apache-2.0
"""The files of a packaged bundle beside its weights: configurations, model card, terms of the data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sa2_monai.bundle.baselines import readme_of
from sa2_monai.bundle.locate import OF_RUNS, dataset_overlays, load_one
from sa2_monai.bundle.packaging.contents import BundleContents
from sa2_monai.bundle.packaging.model_card import model_card
from sa2_monai.bundle.packaging.source_texts import data_license
from sa2_monai.bundle.packaging.texts import variant_note

__all__ = ["write_configs", "write_documents"]

#: A bundle without these is not complete; its other overlays that are no data sets come along.
_NEEDED = ("evaluate", "multi_gpu_train")


def write_configs(folder: Path, contents: BundleContents) -> None:
    """Write ``configs/*.json``, the logging configuration and the licence.

    Args:
        folder: of the new bundle.
        contents: of it; the overlays of its source that are no data sets come along.

    Raises:
        FileNotFoundError: a part of the source is missing.
    """
    source = contents.source
    (folder / "configs").mkdir(exist_ok=True)
    documents = {"train": contents.train, "inference": contents.inference, "metadata": contents.metadata}
    datasets = dataset_overlays(source)
    for file in sorted((source / "configs").iterdir()):
        known = file.stem in (*documents, *datasets, *OF_RUNS) or file.stem.endswith("_meta")
        if file.suffix in (".yaml", ".yml", ".json") and not known:
            documents[file.stem] = load_one(file)
    if missing := [stem for stem in _NEEDED if stem not in documents]:
        raise FileNotFoundError(f"{source} has no configs/{missing[0]}.yaml, which a packaged bundle needs")
    for stem, document in documents.items():
        _write(folder / "configs" / f"{stem}.json", json.dumps(document, indent=4) + "\n")
    _copy(source / "configs" / "logging.conf", folder / "configs")
    _copy(source / "LICENSE", folder)


def write_documents(
    folder: Path,
    contents: BundleContents,
    weights: Mapping[str, Any] | None,
    results: Mapping[str, Any] | None,
    published: bool = False,
    scripted: bool = True,
) -> None:
    """Write ``docs/README.md`` and ``docs/data_license.txt``.

    Args:
        folder: of the new bundle.
        contents: of it.
        weights: content of ``models/model.json``; ``None`` as long as there are none.
        results: content of ``metrics_summary.json``, or ``None``.
        published: the weights lie elsewhere, ``large_files.yml`` says where.
        scripted: the network is there as TorchScript, too.
    """
    (folder / "docs").mkdir(exist_ok=True)
    source, dataset, metadata = contents.source, contents.dataset, contents.metadata
    network, variant = str(contents.train["model_info"]["network"]), contents.train.get("variant")
    card = model_card(
        variant_note(readme_of(network, source).read_text(encoding="utf-8"), network, variant),
        metadata=metadata,
        dataset=dataset,
        folder=folder.name,
        settings=contents.settings,
        weights=weights,
        results=results,
        published=published,
        scripted=scripted,
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
