# SPDX-License-Identifier: Apache-2.0
"""One record per network: whatever else the package and its tools know about a network, they read here.

Importing this module imports neither torch nor a network. ``tools/new-network NAME`` names what belongs to a record.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CATALOGUE", "Encoder", "Network"]


@dataclass(frozen=True)
class Encoder:
    """ImageNet weights that the encoder of a network can start from, as published.

    Args:
        title: publisher and model.
        files: exact file names with their addresses.
        stem: name of the first convolution's weight.
        classifier: names that belong to the classification of ImageNet alone.
        evidence: pattern of the name of a tensor that no other network's encoder has.
        option: value of the constructor's argument ``encoder`` with which these weights fit; ``None`` without one.
    """

    title: str
    files: str
    stem: str
    classifier: tuple[str, ...]
    evidence: str
    option: str | None = None


def _resnet(depth: int, file: str) -> Encoder:
    return Encoder(
        title=f"torchvision's ResNet-{depth}",
        files=f"{file} from https://download.pytorch.org/models/{file}",
        stem="conv1.weight",
        classifier=("fc.weight", "fc.bias"),
        evidence=r"layer1\.0\.downsample\.0\.weight",
        option=f"resnet{depth}",
    )


@dataclass(frozen=True)
class Network:
    """What there is to know about one network; tests compare it with the class itself.

    Args:
        name: lower-case name, as in ``create_network``; also that of the bundle's folder, of the module of
            ``sa2_monai.networks``, of its converter and of its plain formulation in ``tests/reference``.
        class_name: name of the class in ``sa2_monai.networks``.
        paper: title of the publication.
        arxiv: number of the preprint; ``None`` when there is none.
        code: repository of the published code on GitHub.
        code_licence: of that code; ``None`` where it is not known.
        published_data: data sets of the publication or its code.
        published_size: height and width of the images in the published training.
        published_channels: input and output channels of it.
        parameters: trainable parameters with 3 input channels and 1 output channel.
        gmac: thousand million multiply-accumulates of one image of 3 channels and the published size in evaluation: of
            all convolutions and matrix products, both products of each attention included. Softmax, normalisations,
            activations and resizing are not counted.
        legal_sizes: which sizes of input the architecture can take.
        size_divisor: the number that height and width must be multiples of.
        smallest_batch: images that a step of training needs.
        options: arguments of the constructor that trained weights tell in the file beside them, apart from channels.
        first_layer: name of the weight whose shape depends on the channels of the image.
        stages: modules of each stage from the input to the logits, see :func:`sa2_monai.networks.stages.stages_of`; the
            last one, the head, holds all that depends on the number of classes.
        grey_as_colour: a network for one channel has the tensors of one for three, as the channel is repeated.
        checkpoints: published checkpoints that ``import-weights`` reads.
        encoders: ImageNet weights that its encoder can start from, those of the published network first.
        encoder_weights: the published one of them in words; ``None`` when there is none.
    """

    name: str
    class_name: str
    paper: str
    arxiv: str | None
    code: str
    code_licence: str | None
    published_data: tuple[str, ...]
    published_size: tuple[int, int]
    published_channels: tuple[int, int]
    parameters: int
    gmac: float
    legal_sizes: str
    size_divisor: int
    options: tuple[str, ...]
    first_layer: str
    stages: tuple[tuple[str, ...], ...]
    checkpoints: str
    smallest_batch: int = 1
    grey_as_colour: bool = False
    encoders: tuple[Encoder, ...] = ()
    encoder_weights: str | None = None


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
        options=("embed_dims", "channel_heads"),
        first_layer="stage1.embed.conv.weight",
        stages=_DUAL_STAGES,
        grey_as_colour=True,
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
        options=("embed_dims", "channel_heads", "window_size"),
        first_layer="stage1.embed.conv1.weight",
        stages=_DUAL_STAGES,
        grey_as_colour=True,
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
            "channel_attention_heads",
        ),
        first_layer="encoder.stem.conv1.weight",
        stages=(
            *(("encoder.stem",), ("encoder.stages.0",), ("encoder.stages.1",), ("encoder.stages.2",)),
            *(("encoder.stages.3", "encoder.norm"), ("level3",), ("level2",), ("level1",), ("level0",)),
            ("level0.expand.classify",),
        ),
        grey_as_colour=True,
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
        options=("base_channels",),
        first_layer="stage1.conv.weight",
        stages=(
            *(("stage1",), ("stage2",), ("stage3",), ("stage4",), ("stage5",)),
            ("side2", "side3", "side4", "side5", "attention"),
            *(("up4",), ("up3",), ("up2",), ("up1",), ("head1", "head2", "head3", "head4")),
        ),
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
        options=("base_channels", "img_size", "encoder"),
        first_layer="encoder.conv1.weight",
        stages=(
            *(("encoder.conv1", "encoder.bn1"), ("encoder.layer1",), ("encoder.layer2",), ("encoder.layer3",)),
            *(("encoder.layer4",), ("branches", "guidance", "aspp")),
            *(("decoder.0",), ("decoder.1",), ("decoder.2",), ("decoder.3",), ("head",)),
        ),
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
"""The networks by their names."""
