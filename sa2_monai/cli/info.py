# SPDX-License-Identifier: Apache-2.0
"""List the networks of this package and the versions of what it stands on."""

from __future__ import annotations

import argparse
import json
import platform
from importlib import metadata
from typing import Any

from sa2_monai.bundle.locate import bundles_folder
from sa2_monai.io.folders import user_cache
from sa2_monai.networks.catalogue import BASELINES, CATALOGUE, Network
from sa2_monai.networks.variants import named
from sa2_monai.version import __version__

__all__ = ["add_arguments", "run"]


# Distribution names. The first two lines are needed, the third belongs to the extras.
DEPENDENCIES = (
    *("torch", "monai", "pytorch-ignite", "numpy", "scipy", "pillow", "tifffile", "PyYAML", "nibabel", "SimpleITK"),
    *("pydicom", "jsonschema", "tensorboard", "tqdm", "fire", "jinja2", "matplotlib"),
    *("scikit-image", "safetensors", "imagecodecs", "highdicom", "h5py", "onnx", "onnxscript", "onnxruntime"),
    *("openslide-python", "openvino", "nncf"),
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
            "networks": [_facts(network) for network in CATALOGUE.values()],
            "baselines": [_facts(network) for network in BASELINES.values()],
            "dependencies": versions,
            "cache": str(user_cache()),
        }
        print(json.dumps(document, indent=2))
        return 0
    print(f"sa2_monai {__version__} (Python {platform.python_version()})\n\nNetworks")
    for network in CATALOGUE.values():
        _print_facts(network)
    print("\nBaselines: networks of MONAI, to compare with")
    for network in BASELINES.values():
        _print_facts(network)
    print("\nVariants: networks without one of their parts, to measure what it is worth")
    for network in CATALOGUE.values():
        for variant in network.variants.values():
            print(f"  {named(network.name, variant.name):<28}{variant.meaning} ({variant.source})")
    print("\nInstalled")
    for name, version in versions.items():
        print(f"  {name:<15} {version or 'not installed'}")
    print(f"\nCache, which may be removed at any time\n  {user_cache()}")
    return 0


def _print_facts(network: Network) -> None:
    height, width = network.published_size
    print(f"  {network.name}: sa2_monai.networks.{network.class_name}")
    for label, value in (
        ("paper", f"{network.paper} ({f'arXiv {network.arxiv}' if network.arxiv else 'no preprint known'})"),
        ("parameters", f"{network.parameters:,} (3 input channels, 1 output channel)"),
        ("work", f"{network.gmac:g} GMAC for 1 x 3 x {height} x {width}"),
        ("input sizes", network.legal_sizes),
        ("checkpoints", network.checkpoints),
        ("encoder", network.encoder_weights),
        ("bundle", str(bundles_folder() / network.bundle)),
    ):
        if value is not None:
            print(f"    {label + ':':<13}{value}")


def _facts(network: Network) -> dict[str, Any]:
    """A record for programs."""
    names = ("paper", "arxiv", "parameters", "published_size", "gmac", "legal_sizes", "size_divisor", "checkpoints")
    return {
        "name": network.name,
        "class_name": f"sa2_monai.networks.{network.class_name}",
        **{name: getattr(network, name) for name in (*names, "encoder_weights")},
        "bundle": str(bundles_folder() / network.bundle),
        "variants": {variant.name: variant.meaning for variant in network.variants.values()},
    }


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
