# SPDX-License-Identifier: Apache-2.0
"""The form of a record of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Encoder", "Network", "Variant"]


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


@dataclass(frozen=True)
class Variant:
    """A network without one of its parts, or with a plain one in its place, to measure what the part is worth.

    Args:
        name: value of the constructor's argument ``variant``; ``--network NETWORK:NAME`` in commands.
        meaning: what is left out and what takes its place, in one line.
        source: section of the paper or of the published code that describes the part.
    """

    name: str
    meaning: str
    source: str


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
        first_layers: names of the weights whose shape depends on the channels of the image.
        stages: modules of each stage from the input to the logits, see :func:`sa2_monai.networks.stages.stages_of`; the
            last one, the head, holds all that depends on the number of classes.
        grey_as_colour: a network for one channel has the tensors of one for three, as the channel is repeated.
        checkpoints: published checkpoints that ``import-weights`` reads.
        encoders: ImageNet weights that its encoder can start from, those of the published network first.
        encoder_weights: the published one of them in words; ``None`` when there is none.
        variants: by name, what the constructor can build without.
        host: bundle whose configurations train a baseline; ``None`` for the five, which have their own.
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
    first_layers: tuple[str, ...]
    stages: tuple[tuple[str, ...], ...]
    checkpoints: str
    smallest_batch: int = 1
    grey_as_colour: bool = False
    encoders: tuple[Encoder, ...] = ()
    encoder_weights: str | None = None
    variants: Mapping[str, Variant] = field(default_factory=dict)
    host: str | None = None

    @property
    def bundle(self) -> str:
        """Name of the bundle that trains it."""
        return self.host or self.name
