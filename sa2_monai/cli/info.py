# SPDX-License-Identifier: Apache-2.0
"""List the networks of this package and the versions of what it stands on."""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from sa2_monai.version import __version__

__all__ = ["NETWORKS", "NetworkInfo", "add_arguments", "run"]


@dataclass(frozen=True)
class NetworkInfo:
    """Facts about one network, for people who choose one; a test compares them with the class itself.

    Args:
        name: lower-case name, as in ``create_network`` and in the folder of the bundle.
        class_name: dotted path of the class.
        paper: title of the publication.
        arxiv: number of the preprint.
        parameters: trainable parameters with 3 input channels and 1 output channel.
        gmac: thousand million multiply-accumulates of the convolutions for an input of 1 x 3 x 224 x 224.
        legal_sizes: which sizes of input the architecture can take.
        size_divisor: the number that height and width must be multiples of.
        checkpoints: published checkpoints that ``import-weights`` reads.
        bundle: folder of the bundle in the repository.
    """

    name: str
    class_name: str
    paper: str
    arxiv: str
    parameters: int
    gmac: float
    legal_sizes: str
    size_divisor: int
    checkpoints: str
    bundle: str


NETWORKS = (
    NetworkInfo(
        name="sa2net",
        class_name="sa2_monai.networks.SA2Net",
        paper="SA2-Net: Scale-aware Attention Network for Microscopic Image Segmentation",
        arxiv="2309.16661",
        parameters=19_296_596,
        gmac=34.5,
        legal_sizes="height and width are positive multiples of 16; they may differ",
        size_divisor=16,
        checkpoints="SA2-Net trained by its authors' code: MoNuSeg/GlaS (.pth.tar, tensors under 'state_dict') "
        "and SegPC-2021/ISIC-2018 (.pt, bare tensors)",
        bundle="bundles/sa2net",
    ),
)

# Distribution names. The first line is needed, the second belongs to the extras.
DEPENDENCIES = (
    *("torch", "monai", "pytorch-ignite", "numpy", "scipy", "pillow", "PyYAML", "nibabel", "SimpleITK", "tensorboard"),
    *("tqdm", "fire", "scikit-image", "onnx", "onnxscript", "onnxruntime", "jsonschema"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai info``."""
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def run(args: argparse.Namespace) -> int:
    """Print the networks and the versions; imports nothing that is slow."""
    versions = {name: _version(name) for name in DEPENDENCIES}
    if args.json:
        document: dict[str, Any] = {
            "sa2_monai": __version__,
            "python": platform.python_version(),
            "networks": [asdict(network) for network in NETWORKS],
            "dependencies": versions,
        }
        print(json.dumps(document, indent=2))
        return 0
    print(f"sa2_monai {__version__} (Python {platform.python_version()})\n\nNetworks")
    for network in NETWORKS:
        print(f"  {network.name}: {network.class_name}")
        for label, value in (
            ("paper", f"{network.paper} (arXiv {network.arxiv})"),
            ("parameters", f"{network.parameters:,} (3 input channels, 1 output channel)"),
            ("work", f"{network.gmac:g} GMAC for 1 x 3 x 224 x 224"),
            ("input sizes", network.legal_sizes),
            ("checkpoints", network.checkpoints),
            ("bundle", network.bundle),
        ):
            print(f"    {label + ':':<13}{value}")
    print("\nInstalled")
    for name, version in versions.items():
        print(f"  {name:<15} {version or 'not installed'}")
    return 0


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
