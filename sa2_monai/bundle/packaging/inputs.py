# SPDX-License-Identifier: Apache-2.0
"""What the person who packages gives, checked: name, results, texts, weights of the right classes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sa2_monai.bundle.network import resolve
from sa2_monai.bundle.sidecar import Sidecar
from sa2_monai.io.limits.aliases import safe_yaml

__all__ = ["OWN_DATA", "check_classes", "check_name", "read_results", "read_texts"]

#: Layouts of people's own data: what their classes are, only the weights know.
OWN_DATA = ("folder", "decathlon", "volumes", "svanet_folder")
_EXPECTED_RESULTS = "expected the metrics_summary.json of an evaluation"
# MONAI Label treats models with these words in their names in another way.
_RESERVED = ("deepedit", "deepgrow", "detection", "classification")


def check_classes(train: Mapping[str, Any], sidecar: Sidecar, weights: Path, dataset: str) -> None:
    """Refuse weights of another data set: the model card would tell a lie.

    Args:
        train: the training configuration, by id.
        sidecar: of the weights.
        weights: their file, for the message.
        dataset: name of the data set, for the message.

    Raises:
        ValueError: the weights were trained for other classes.
    """
    theirs = sidecar.settings.get("class_names")
    if theirs is None or str(train.get("layout")) in OWN_DATA:
        return
    (ours,) = resolve(train, "class_names")
    if list(theirs) != list(ours):
        raise ValueError(
            f"{weights} was trained for the classes {', '.join(theirs)}, but {dataset} has {', '.join(ours)}. Give the "
            f'--dataset of the training, or class_names="{list(theirs)}" if it is the same data with other classes.'
        )


def check_name(name: str) -> str:
    """The name of a bundle's folder, unless MONAI or a file system cannot have it.

    Args:
        name: what was asked for.

    Raises:
        ValueError: it holds other characters than letters, digits and ``_``, or a word that MONAI Label reserves.
    """
    reserved = [word for word in _RESERVED if word in name.lower()]
    if not re.fullmatch(r"[A-Za-z0-9_]+", name) or reserved:
        why = f"MONAI Label gives {reserved[0]!r} a meaning of its own" if reserved else "letters, digits and _ only"
        raise ValueError(f"{name!r} cannot be the name of a bundle: {why}. Give another --name.")
    return name


def read_results(results: str | os.PathLike[str] | None) -> dict[str, Any] | None:
    """Content of the ``metrics_summary.json`` of an evaluation.

    Args:
        results: the file; ``None`` gives ``None``.

    Raises:
        FileNotFoundError: it is missing.
        ValueError: it holds something else.
    """
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


def read_texts(file: Path) -> dict[str, Any]:
    """Texts for the metadata, by their names there.

    Args:
        file: JSON or YAML.

    Raises:
        FileNotFoundError: it is missing.
        ValueError: it holds something else.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file; expected texts for the metadata, JSON or YAML")
    try:
        texts = safe_yaml(file.read_text(encoding="utf-8"), file)  # JSON is YAML
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is neither JSON nor YAML ({error})") from error
    if not isinstance(texts, dict):
        raise ValueError(f"{file} holds {type(texts).__name__}; expected texts by the names of metadata.json")
    return {str(key): value for key, value in texts.items()}
