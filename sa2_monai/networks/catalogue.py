# SPDX-License-Identifier: Apache-2.0
"""One record per network: whatever else the package and its tools know about a network, they read here.

Importing this module imports neither torch nor a network. ``tools/new-network NAME`` names what belongs to a record.
"""

from __future__ import annotations

from sa2_monai.networks import ablations
from sa2_monai.networks.baselines.records import BASELINES
from sa2_monai.networks.record import Encoder, Network, Variant

__all__ = ["BASELINES", "CATALOGUE", "Encoder", "Network", "Variant", "network_names", "network_record"]


def _resnet(depth: int, file: str) -> Encoder:
    return Encoder(
        title=f"torchvision's ResNet-{depth}",
        files=f"{file} from https://download.pytorch.org/models/{file}",
        stem="conv1.weight",
        classifier=("fc.weight", "fc.bias"),
        evidence=r"layer1\.0\.downsample\.0\.weight",
        option=f"resnet{depth}",
    )


#: Of DAE-Former and HSA-UNet.
_DUAL_STAGES = (
    *(("stage1",), ("stage2",), ("stage3",)),
    *(("expand3", "decoder2"), ("expand2", "decoder1", "head"), ("head.classify",)),
)

_RECORDS = (
    Network(
        name="daeformer",
        class_name="DAEFormer",
        paper="DAE-Former: Dual Attention-guided Efficient Transformer for Medical Image Segmentation",
        arxiv="2212.13504",
        code="mindflow-institue/DAEFormer",
        code_licence="MIT",
        published_data=("Synapse", "ISIC 2018"),
        published_size=(224, 224),
        published_channels=(1, 9),
        parameters=29_689_169,
        gmac=20.0,
        legal_sizes="height and width are positive multiples of 16; they may differ",
        size_divisor=16,
        options=("embed_dims", "channel_heads", "variant"),
        first_layers=("stage1.embed.conv.weight",),
        stages=_DUAL_STAGES,
        grey_as_colour=True,
        variants=ablations.DAEFORMER,
        checkpoints="DAE-Former trained by its authors' code, e.g. on Synapse (.pth, bare tensors)",
    ),
    Network(
        name="hsaunet",
        class_name="HSAUNet",
        paper="HSA-Unet: Hybrid Scale Attention Unet for Medical Images Segmentation",
        arxiv=None,
        code="WallaceCheny/HSA-Unet",
        code_licence="MIT",
        published_data=("Synapse", "ISIC 2018", "CVC-ClinicDB"),
        published_size=(224, 224),
        published_channels=(3, 2),
        parameters=46_786_193,
        gmac=23.1,
        legal_sizes="height and width are positive multiples of 112, best of 224; they may differ",
        size_divisor=112,
        options=("embed_dims", "channel_heads", "window_size", "variant"),
        first_layers=("stage1.embed.conv1.weight",),
        stages=_DUAL_STAGES,
        grey_as_colour=True,
        variants=ablations.HSAUNET,
        checkpoints="HSA-UNet trained by its authors' code, with or without the unused direction prior "
        "(.pth, bare tensors)",
    ),
    Network(
        name="msa2net",
        class_name="MSA2Net",
        paper="MSA2Net: Multi-scale Adaptive Attention-guided Network for Medical Image Segmentation",
        arxiv="2407.21640",
        code="xmindflow/MSA-2Net",
        code_licence=None,
        published_data=("Synapse", "ISIC 2018"),
        published_size=(224, 224),
        published_channels=(1, 9),
        parameters=76_605_890,
        gmac=15.3,
        legal_sizes="height and width are positive multiples of 32; they may differ",
        size_divisor=32,
        options=(
            *("deep_level", "img_size", "stem_channels", "encoder_channels", "encoder_depths"),
            *("channel_attention_heads", "variant"),
        ),
        first_layers=("encoder.stem.conv1.weight",),
        stages=(
            *(("encoder.stem",), ("encoder.stages.0",), ("encoder.stages.1",), ("encoder.stages.2",)),
            *(("encoder.stages.3", "encoder.norm"), ("level3",), ("level2",), ("level1",), ("level0",)),
            ("level0.expand.classify",),
        ),
        grey_as_colour=True,
        variants=ablations.MSA2NET,
        checkpoints="MSA2-Net trained by its authors' code, in both readings of it: deep_level dual and lka "
        "(.pth, bare tensors)",
        encoders=(
            Encoder(
                title="timm's maxvit_rmlp_small_rw_224.sw_in1k",
                files="maxvit_rmlp_small_rw_224_sw-6ef0ae4f.pth from https://github.com/rwightman/pytorch-image-models/"
                "releases/download/v0.1-weights-maxx/maxvit_rmlp_small_rw_224_sw-6ef0ae4f.pth, or model.safetensors "
                "from https://huggingface.co/timm/maxvit_rmlp_small_rw_224.sw_in1k",
                stem="stem.conv1.weight",
                classifier=("head.fc.weight", "head.fc.bias"),
                evidence=r"stages\.0\.blocks\.0\.attn_block\.attn\.qkv\.weight",
            ),
        ),
        encoder_weights="timm's maxvit_rmlp_small_rw_224.sw_in1k (maxvit_rmlp_small_rw_224_sw-6ef0ae4f.pth or "
        "model.safetensors)",
    ),
    Network(
        name="sa2net",
        class_name="SA2Net",
        paper="SA2-Net: Scale-aware Attention Network for Microscopic Image Segmentation",
        arxiv="2309.16661",
        code="mustansarfiaz/SA2-Net",
        code_licence=None,
        published_data=("MoNuSeg", "GlaS", "SegPC-2021", "ISIC 2018", "ACDC"),
        published_size=(224, 224),
        published_channels=(3, 1),
        parameters=19_296_596,
        gmac=34.5,
        legal_sizes="height and width are positive multiples of 16; they may differ",
        size_divisor=16,
        options=("base_channels", "variant"),
        first_layers=("stage1.conv.weight",),
        stages=(
            *(("stage1",), ("stage2",), ("stage3",), ("stage4",), ("stage5",)),
            ("side2", "side3", "side4", "side5", "attention"),
            *(("up4",), ("up3",), ("up2",), ("up1",), ("head1", "head2", "head3", "head4")),
        ),
        variants=ablations.SA2NET,
        checkpoints="SA2-Net trained by its authors' code: MoNuSeg/GlaS (.pth.tar, tensors under 'state_dict') "
        "and SegPC-2021/ISIC-2018 (.pt, bare tensors)",
    ),
    Network(
        name="svanet",
        class_name="SvANet",
        paper="Exploiting Scale-Variant Attention for Segmenting Small Medical Objects",
        arxiv="2407.07720",
        code="anthonyweidai/SvANet",
        code_licence="MIT",
        published_data=("ISIC 2018", "FIVES", "PolypGen", "ATLAS", "KiTS23", "TissueNet", "SpermHealth"),
        published_size=(512, 512),
        published_channels=(3, 2),
        parameters=202_431_921,
        gmac=357.5,
        legal_sizes="height and width are positive multiples of 32; they may differ",
        size_divisor=32,
        smallest_batch=2,  # its pooled branch has one value per image, which is no statistic
        options=("base_channels", "img_size", "encoder", "variant"),
        first_layers=("encoder.conv1.weight",),
        stages=(
            *(("encoder.conv1", "encoder.bn1"), ("encoder.layer1",), ("encoder.layer2",), ("encoder.layer3",)),
            *(("encoder.layer4",), ("branches", "guidance", "aspp")),
            *(("decoder.0",), ("decoder.1",), ("decoder.2",), ("decoder.3",), ("head",)),
        ),
        variants=ablations.SVANET,
        checkpoints="SvANet trained by its authors' code with ResNet-50 and the options of its published command "
        "(.pth, bare tensors)",
        encoders=(
            _resnet(50, "resnet50-11ad3fa6.pth"),
            _resnet(101, "resnet101-cd907fc2.pth"),
            _resnet(152, "resnet152-f82ba261.pth"),
        ),
        encoder_weights="torchvision's ResNet-50, IMAGENET1K_V2 (resnet50-11ad3fa6.pth)",
    ),
)

CATALOGUE: dict[str, Network] = {record.name: record for record in _RECORDS}
"""The published networks by their names."""


def network_names() -> list[str]:
    """Names of all networks: the published ones, then the baselines."""
    return [*CATALOGUE, *BASELINES]


def network_record(name: str) -> Network:
    """The record of a published network or of a baseline.

    Args:
        name: its lower-case name, e.g. ``"sa2net"`` or ``"unet"``.

    Raises:
        ValueError: for an unknown name, with the list of the known ones.
    """
    record = CATALOGUE.get(name) or BASELINES.get(name)
    if record is None:
        raise ValueError(f"unknown network {name!r}; known: {', '.join(network_names())}.")
    return record
