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
        arxiv: number of the preprint; ``None`` when there is none.
        parameters: trainable parameters with 3 input channels and 1 output channel.
        published_size: height and width of the images in the published training.
        gmac: thousand million multiply-accumulates of one image of 3 channels and that size in evaluation: of all
            convolutions and matrix products, both products of each attention included. Softmax, normalisations,
            activations and resizing are not counted.
        legal_sizes: which sizes of input the architecture can take.
        size_divisor: the number that height and width must be multiples of.
        checkpoints: published checkpoints that ``import-weights`` reads.
        encoder_weights: file of ImageNet weights that the encoder can start from; ``None`` when there is none.
        bundle: folder of the bundle in the repository; ``None`` when there is none yet.
    """

    name: str
    class_name: str
    paper: str
    arxiv: str | None
    parameters: int
    published_size: tuple[int, int]
    gmac: float
    legal_sizes: str
    size_divisor: int
    checkpoints: str
    encoder_weights: str | None
    bundle: str | None


NETWORKS = (
    NetworkInfo(
        name="daeformer",
        class_name="sa2_monai.networks.DAEFormer",
        paper="DAE-Former: Dual Attention-guided Efficient Transformer for Medical Image Segmentation",
        arxiv="2212.13504",
        parameters=29_689_169,
        published_size=(224, 224),
        gmac=20.0,
        legal_sizes="height and width are positive multiples of 16; they may differ",
        size_divisor=16,
        checkpoints="DAE-Former trained by its authors' code, e.g. on Synapse (.pth, bare tensors)",
        encoder_weights=None,
        bundle="bundles/daeformer",
    ),
    NetworkInfo(
        name="hsaunet",
        class_name="sa2_monai.networks.HSAUNet",
        paper="HSA-Unet: Hybrid Scale Attention Unet for Medical Images Segmentation",
        arxiv=None,
        parameters=46_786_193,
        published_size=(224, 224),
        gmac=23.1,
        legal_sizes="height and width are positive multiples of 112, best of 224; they may differ",
        size_divisor=112,
        checkpoints="HSA-UNet trained by its authors' code, with or without the unused direction prior "
        "(.pth, bare tensors)",
        encoder_weights=None,
        bundle="bundles/hsaunet",
    ),
    NetworkInfo(
        name="msa2net",
        class_name="sa2_monai.networks.MSA2Net",
        paper="MSA2Net: Multi-scale Adaptive Attention-guided Network for Medical Image Segmentation",
        arxiv="2407.21640",
        parameters=76_605_890,
        published_size=(224, 224),
        gmac=15.3,
        legal_sizes="height and width are positive multiples of 32; they may differ",
        size_divisor=32,
        checkpoints="MSA2-Net trained by its authors' code, in both readings of it: deep_level dual and lka "
        "(.pth, bare tensors)",
        encoder_weights="timm's maxvit_rmlp_small_rw_224.sw_in1k (maxvit_rmlp_small_rw_224_sw-6ef0ae4f.pth or "
        "model.safetensors)",
        bundle="bundles/msa2net",
    ),
    NetworkInfo(
        name="sa2net",
        class_name="sa2_monai.networks.SA2Net",
        paper="SA2-Net: Scale-aware Attention Network for Microscopic Image Segmentation",
        arxiv="2309.16661",
        parameters=19_296_596,
        published_size=(224, 224),
        gmac=34.5,
        legal_sizes="height and width are positive multiples of 16; they may differ",
        size_divisor=16,
        checkpoints="SA2-Net trained by its authors' code: MoNuSeg/GlaS (.pth.tar, tensors under 'state_dict') "
        "and SegPC-2021/ISIC-2018 (.pt, bare tensors)",
        encoder_weights=None,
        bundle="bundles/sa2net",
    ),
    NetworkInfo(
        name="svanet",
        class_name="sa2_monai.networks.SvANet",
        paper="Exploiting Scale-Variant Attention for Segmenting Small Medical Objects",
        arxiv="2407.07720",
        parameters=202_431_921,
        published_size=(512, 512),
        gmac=357.5,
        legal_sizes="height and width are positive multiples of 32; they may differ",
        size_divisor=32,
        checkpoints="SvANet trained by its authors' code with ResNet-50 and the options of its published command "
        "(.pth, bare tensors)",
        encoder_weights="torchvision's ResNet-50, IMAGENET1K_V2 (resnet50-11ad3fa6.pth)",
        bundle="bundles/svanet",
    ),
)

# Distribution names. The first two lines are needed, the third belongs to the extras.
DEPENDENCIES = (
    *("torch", "monai", "pytorch-ignite", "numpy", "scipy", "pillow", "tifffile", "PyYAML", "nibabel", "SimpleITK"),
    *("pydicom", "jsonschema", "tensorboard", "tqdm", "fire"),
    *("scikit-image", "safetensors", "imagecodecs", "highdicom", "h5py", "onnx", "onnxscript", "onnxruntime"),
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
        height, width = network.published_size
        print(f"  {network.name}: {network.class_name}")
        for label, value in (
            ("paper", f"{network.paper} ({f'arXiv {network.arxiv}' if network.arxiv else 'no preprint known'})"),
            ("parameters", f"{network.parameters:,} (3 input channels, 1 output channel)"),
            ("work", f"{network.gmac:g} GMAC for 1 x 3 x {height} x {width}"),
            ("input sizes", network.legal_sizes),
            ("checkpoints", network.checkpoints),
            ("encoder", network.encoder_weights),
            ("bundle", network.bundle or "none yet"),
        ):
            if value is not None:
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
