# SPDX-License-Identifier: Apache-2.0
"""A run of a comparison as something that segments one case: what is timed, and counted."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

import torch
from monai.bundle import ConfigParser

from sa2_monai.bundle.model import BundleModel
from sa2_monai.bundle.switches.renamed import uses_amp
from sa2_monai.bundle.verbatim import verbatim
from sa2_monai.networks.complexity import count_macs, count_parameters

__all__ = ["TimedModel"]


class TimedModel(BundleModel):
    """The model of a run, from a file to the label map in memory.

    Args:
        run: folder of the run.
        device: ``"cpu"``, ``"cuda:1"``; ``None`` for the GPU where there is one.
        switches: values of ``inference.yaml`` by id; those that it does not have are left out.
    """

    def __init__(self, run: str | os.PathLike[str], device: str | None, switches: Mapping[str, Any]) -> None:
        super().__init__(run, device=device)
        given = {
            "bundle_root": verbatim(str(self.root)),
            "ckpt_path": verbatim(str(self.weights)),
            "image_source": [],
            "device": self.device,
            **switches,
        }
        config = self._inference_config()
        parser = ConfigParser(copy.deepcopy({**config, **{key: given[key] for key in given if key in config}}))
        self._read = parser.get_parsed_content("preprocessing")
        self._inferer = parser.get_parsed_content("inferer")
        self._amp = uses_amp(parser)
        self.channels = int(parser.get_parsed_content("in_channels"))
        self.size = [int(side) for side in parser.get_parsed_content("roi_size")]

    def read(self, case: Mapping[str, Any]) -> torch.Tensor:
        """The image of a case as the inferer takes it, ``(1, C, X, Y, Z)``, on the device.

        Args:
            case: ``image``, a path or several, and ``case``, its name.
        """
        image: torch.Tensor = self._read(dict(case))["image"]
        return image[None].to(self.device)

    def segment(self, image: torch.Tensor) -> None:
        """Calculate the label map on the voxels of the image, and wait for the device.

        Args:
            image: what :meth:`read` returned.
        """
        kind = torch.device(self.device).type
        with torch.no_grad(), torch.autocast(kind, enabled=self._amp and kind == "cuda"):
            self._inferer(image, self.network())
        if kind == "cuda":
            torch.cuda.synchronize(self.device)

    def facts(self) -> dict[str, Any]:
        """``parameters``, ``size`` (height and width that the network sees) and ``macs`` of one such pass."""
        return {
            "parameters": count_parameters(self.network()),
            "size": self.size,
            "macs": count_macs(self.network(), self.channels, self.size),
        }
