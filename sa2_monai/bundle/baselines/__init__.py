# SPDX-License-Identifier: Apache-2.0
"""What a network is trained with: its own bundle or, of a baseline, another's with an overlay and texts of this folder.

Beside this file lie, for each baseline, ``NAME.yaml`` (overlay), ``NAME.json`` (metadata) and ``NAME.md`` (model card).
They count as long as the bundle is one that comes with the package: the folder of a run says everything itself.
"""

from __future__ import annotations

from pathlib import Path

from sa2_monai.bundle.included import is_included
from sa2_monai.bundle.locate import bundles_folder
from sa2_monai.networks.catalogue import network_record

__all__ = ["metadata_overlays", "overlays_of", "readme_of", "source_of"]

_FOLDER = Path(__file__).parent


def source_of(network: str) -> Path:
    """Folder of the bundle that a network is trained with.

    Args:
        network: its name.

    Raises:
        ValueError: there is no such network.
    """
    return bundles_folder() / network_record(network).bundle


def overlays_of(network: str | None, bundle: Path | None) -> list[Path]:
    """What follows the configurations of the bundle for this network; nothing for those that have their own.

    Args:
        network: its name; ``None`` while it is not known.
        bundle: the folder that is meant.
    """
    return _texts(network, bundle, ".yaml")


def metadata_overlays(network: str, bundle: Path) -> list[Path]:
    """The same for ``metadata.json``."""
    return _texts(network, bundle, ".json")


def readme_of(network: str, bundle: Path) -> Path:
    """The model card whose texts about the network are true."""
    return next(iter(_texts(network, bundle, ".md")), bundle / "docs" / "README.md")


def _texts(network: str | None, bundle: Path | None, suffix: str) -> list[Path]:
    file = _FOLDER / f"{network}{suffix}"
    return [file] if bundle is not None and is_included(bundle) and file.is_file() else []
