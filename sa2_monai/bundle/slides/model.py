# SPDX-License-Identifier: Apache-2.0
"""The network of a bundle and how it sees an image, taken from the bundle's own configuration."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from torch import nn

from sa2_monai.bundle.ensemble.members import SEEN
from sa2_monai.bundle.locate import load
from sa2_monai.bundle.network import ready_network
from sa2_monai.bundle.packaging.contents import override
from sa2_monai.bundle.slides.intensities import intensity_step
from sa2_monai.bundle.switches import check_config
from sa2_monai.bundle.switches.renamed import current_words, uses_amp
from sa2_monai.bundle.verbatim import verbatim
from sa2_monai.bundle.workflow import check_ids
from sa2_monai.inference import EnsembleInferer, VolumeInferer

__all__ = ["SlideModel", "load_slide_model"]


@dataclass(frozen=True)
class SlideModel:
    """What predicts the blocks of a slide.

    Attributes:
        network: on its device, in evaluation mode; of an ensemble all of them, whose probabilities are averaged.
        inferer: that of the bundle, for label maps.
        intensity: the step of the preprocessing that scales intensities; ``None`` where there is none.
        in_channels: of the network.
        channel_order: ``"RGB"`` or ``"BGR"``.
        class_names: background first.
        clean_up: names of the clean-ups that the weights were validated with.
        amp: of a bundle of an earlier version: run in mixed precision; others leave that to the inferer.
    """

    network: nn.Module
    inferer: VolumeInferer
    intensity: Any
    in_channels: int
    channel_order: str
    class_names: list[str]
    clean_up: list[str]
    amp: bool

    @property
    def mpp(self) -> float | None:
        """Micrometres per pixel at which the model was trained, where it says them."""
        return None if self.inferer.pixdim is None else 1000 * float(self.inferer.pixdim)


def load_slide_model(config_file: Path, weights: Path, overrides: Mapping[str, Any]) -> SlideModel:
    """Build the network and what its bundle says about images.

    Args:
        config_file: inference configuration of the bundle.
        weights: weight file.
        overrides: values by id: those of the weights, and what was asked for.

    Raises:
        ValueError: a bundle whose inferer gives no label maps of parts, members of an ensemble that see an image in
            different ways, or too many classes.
    """
    config = load(config_file)
    overrides = current_words(config, overrides)
    check_ids(config, overrides, str(config_file))
    config = copy.deepcopy(config)
    for name, value in overrides.items():
        override(config, name, verbatim(value))
    check_config(config)
    parser = ConfigParser(copy.deepcopy(config))
    inferer = parser.get_parsed_content("inferer")
    if isinstance(inferer, EnsembleInferer):
        raise ValueError(
            f"the models of this ensemble do not see an image alike ({', '.join(SEEN)}), expected one view for slides; "
            "predict with each of them by itself, or train them with one and the same plan"
        )
    if not isinstance(inferer, VolumeInferer):
        raise ValueError(
            f"{config_file}: predicts with {type(inferer).__name__}, expected VolumeInferer for slides; package the "
            "weights with this version"
        )
    if inferer.view == "paper":
        raise ValueError(
            f"{config_file}: the view 'paper' has no probabilities that tiles could be blended by; use weights with "
            "the view whole or windows"
        )
    ids = ("class_names", "in_channels", "channel_order", "device", "preprocessing")
    names, channels, order, device, preprocessing = map(parser.get_parsed_content, ids)
    validated = parser.get_parsed_content("as_validated") if "as_validated" in config else {}
    if len(names) > 256:
        raise ValueError(f"{config_file}: has {len(names)} classes, expected 256 at most for slides")
    inferer.output = "labels"
    cleaned = [name for name in ("largest_component", "fill_holes", "min_volume") if validated.get(name)]
    return SlideModel(
        network=ready_network(config, weights, device),
        inferer=inferer,
        intensity=intensity_step(preprocessing.transforms),
        in_channels=int(channels),
        channel_order=str(order),
        class_names=list(names),
        clean_up=cleaned,
        amp=uses_amp(parser),
    )
