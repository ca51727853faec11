# SPDX-License-Identifier: Apache-2.0
"""Records of the baselines. They have no published protocol: the bundle ``host`` trains them, with an overlay."""

from __future__ import annotations

from sa2_monai.networks.record import Network

__all__ = ["BASELINES"]

_CODE, _LICENCE, _HOST = "Project-MONAI/MONAI", "Apache-2.0", "sa2net"
_CHECKPOINTS = "none; weights of MONAI's class with the same arguments have the same tensors"


def _levels(*names: str) -> tuple[tuple[str, ...], ...]:
    return tuple((name,) for name in names)


def _unet_stages() -> tuple[tuple[str, ...], ...]:
    """Each level of MONAI's U-Net lies inside of the one above it."""
    inside = ["model" + ".1.submodule" * depth for depth in range(5)]
    return _levels(*(f"{name}.0" for name in inside[:4]), inside[4], *(f"{name}.2" for name in inside[3::-1]))


_RECORDS = (
    Network(
        name="unet",
        class_name="UNet",
        paper="Left-Ventricle Quantification Using Residual U-Net",
        arxiv=None,
        code=_CODE,
        code_licence=_LICENCE,
        published_data=(),
        published_size=(224, 224),
        published_channels=(3, 1),
        parameters=6_500_734,
        gmac=2.31,
        legal_sizes="height and width are positive multiples of 16; they may differ",
        size_divisor=16,
        options=("base_channels",),
        first_layers=("model.0.conv.unit0.conv.weight", "model.0.residual.weight"),
        stages=_unet_stages(),
        checkpoints=_CHECKPOINTS,
        host=_HOST,
    ),
    Network(
        name="segresnet",
        class_name="SegResNet",
        paper="3D MRI brain tumor segmentation using autoencoder regularization",
        arxiv="1810.11654",
        code=_CODE,
        code_licence=_LICENCE,
        published_data=(),
        published_size=(224, 224),
        published_channels=(3, 1),
        parameters=6_299_073,
        gmac=11.9,
        legal_sizes="height and width are positive multiples of 8; they may differ",
        size_divisor=8,
        options=("base_channels",),
        first_layers=("convInit.conv.weight",),
        stages=(
            ("convInit", "down_layers.0"),
            *_levels("down_layers.1", "down_layers.2", "down_layers.3"),
            *((f"up_samples.{level}", f"up_layers.{level}") for level in range(3)),
            ("conv_final.0",),
            ("conv_final.2",),
        ),
        checkpoints=_CHECKPOINTS,
        host=_HOST,
    ),
    Network(
        name="dynunet",
        class_name="DynUNet",
        paper="nnU-Net: Self-adapting Framework for U-Net-Based Medical Image Segmentation",
        arxiv="1809.10486",
        code=_CODE,
        code_licence=_LICENCE,
        published_data=(),
        published_size=(224, 224),
        published_channels=(3, 1),
        parameters=20_612_164,
        gmac=10.9,
        legal_sizes="height and width are positive multiples of 32; they may differ",
        size_divisor=32,
        options=("base_channels",),
        first_layers=("input_block.conv1.conv.weight",),
        stages=(
            *_levels("input_block", *(f"downsamples.{level}" for level in range(4)), "bottleneck"),
            *_levels(*(f"upsamples.{level}" for level in range(5))),
            ("output_block", "deep_supervision_heads"),
        ),
        checkpoints=_CHECKPOINTS,
        host=_HOST,
    ),
)

BASELINES: dict[str, Network] = {record.name: record for record in _RECORDS}
"""MONAI's networks by their names."""
