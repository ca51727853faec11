# SPDX-License-Identifier: Apache-2.0
"""A case through the network: probabilities on its own pixels, with the steps of the bundle's evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.utils import convert_to_dst_type

from sa2_monai.bundle.loaded import LoadedBundle
from sa2_monai.bundle.switches.renamed import uses_amp
from sa2_monai.bundle.verbatim import verbatim
from sa2_monai.inference import VolumeInferer
from sa2_monai.inference.uncertainty import uncertainty_scores
from sa2_monai.slices.views import first_maximum

__all__ = ["Forecast", "Forecaster", "LabelledCase"]

#: Beside 1, single precision ends at 2^-24: a sigmoid that has become 1 is one of at most half of that less.
_LEAST_OF_TWO = 2.0**-25
_LEAST = 1e-37
_PIECE = 2**20  # pixels that are looked at together in double precision


@dataclass(frozen=True)
class LabelledCase:
    """A case as the network gets it.

    Attributes:
        name: of the case.
        image: (C, X, Y, Z) with its metadata.
        label: (X, Y, Z) class numbers.
        known: (X, Y, Z) pixels with a label; ``None`` where all have one.
    """

    name: str
    image: MetaTensor
    label: np.ndarray
    known: np.ndarray | None


@dataclass(frozen=True)
class Forecast:
    """What a network says of a case.

    Attributes:
        probabilities: (K, X, Y, Z); one channel of a sigmoid is the probability of class 1.
        labels: (X, Y, Z) class numbers after the clean-up, as they are written.
        entropy: mean of the entropy in the structures and around them, see
            :func:`~sa2_monai.inference.uncertainty.uncertainty_scores`.
        foreground: pixels of the structures.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    entropy: float
    foreground: int

    @property
    def least(self) -> float:
        """What a probability of 0 counts as: the single precision ends before it."""
        return _LEAST_OF_TWO if len(self.probabilities) == 1 else _LEAST

    def pixels(self, case: LabelledCase, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities and true classes of pixels.

        Args:
            case: the same case.
            chosen: (N,) numbers among the pixels that have a label.

        Returns:
            (N, K) in double precision, K at least 2, and (N,) class numbers.
        """
        flat = self.probabilities.reshape(len(self.probabilities), -1)
        places = chosen if case.known is None else np.flatnonzero(case.known)[chosen]
        return self._at(flat, places), case.label.reshape(-1)[places]

    def pieces(self, case: LabelledCase) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All pixels as :meth:`pixels` gives them, some at a time: a volume in double precision is never there."""
        flat, label = self.probabilities.reshape(len(self.probabilities), -1), case.label.reshape(-1)
        known = None if case.known is None else case.known.reshape(-1)
        for start in range(0, len(label), _PIECE):
            places = np.arange(start, min(start + _PIECE, len(label)))
            places = places if known is None else places[known[places]]
            yield self._at(flat, places), label[places]

    @staticmethod
    def _at(flat: np.ndarray, places: np.ndarray) -> np.ndarray:
        values = flat[:, places].T.astype(np.float64).clip(0, 1)  # interpolation may exceed 1 by the last bit
        return np.concatenate([1 - values, values], axis=1) if values.shape[1] == 1 else values


class Forecaster:
    """Looks at the cases of a data set with a bundle's network, one at a time.

    Args:
        loaded: the bundle.
        data: folder of the data.
        switches: of its evaluation.

    Attributes:
        class_names: background first.

    Raises:
        ValueError: a bundle of an earlier version, whose evaluation knows no temperature.
    """

    def __init__(self, loaded: LoadedBundle, data: Any, switches: Mapping[str, Any]) -> None:
        parser = loaded.evaluation_parser(
            data, **{**switches, "ckpt_path": verbatim(str(loaded.weights)), "temperature": 1.0}
        )
        parser["validate#inferer#output"] = "probabilities"
        parser["validate#inferer#uncertainty"] = "entropy"
        ids = ("validate#preprocessing", "validate#inferer", "clean_up", "class_names")
        self._load, inferer, self._clean_up, names = map(parser.get_parsed_content, ids)
        if not isinstance(inferer, VolumeInferer):
            raise ValueError(f"{loaded.root} predicts with {type(inferer).__name__}, expected VolumeInferer")
        self._inferer, self.class_names = inferer, list(names)
        self._ignored = parser.get_parsed_content("ignore_index")
        if parser.get_parsed_content("ignore_value") is None:
            self._ignored = None
        self._network = loaded.network()
        self._device, self._amp = torch.device(loaded.device).type, uses_amp(parser)

    def load(self, case: Mapping[str, Any]) -> LabelledCase:
        """Read a case.

        Args:
            case: of a data list.

        Raises:
            OSError, ValueError, RuntimeError: its files cannot be read.
        """
        data = self._load(dict(case))
        label = data["label"][0].cpu().numpy().astype(np.int64)
        known = None if self._ignored is None else label != self._ignored
        if known is not None and known.all():
            known = None
        return LabelledCase(str(case["case"]), data["image"], label, known)

    def forecast(self, case: LabelledCase, temperature: float) -> Forecast:
        """Predict a case.

        Args:
            case: what :meth:`load` returned.
            temperature: by which the logits are divided.

        Raises:
            ValueError: as :class:`~sa2_monai.inference.VolumeInferer`.
        """
        self._inferer.temperature = temperature
        with torch.autocast(self._device, enabled=self._amp and self._device == "cuda"):
            found = self._inferer(case.image[None], self._network)[0]
        layers = torch.as_tensor(found).cpu()
        probabilities, entropy = layers[:-1], layers[-1].numpy()
        classes = self._classes(probabilities)
        pred = convert_to_dst_type(classes, case.image, dtype=classes.dtype)[0]
        labels = self._clean_up({"pred": pred})["pred"]
        steps = np.linalg.norm(case.image.affine.numpy()[:3, :3], axis=0)
        cleaned = torch.as_tensor(labels)[0].cpu().numpy().astype(np.int64)
        scores = uncertainty_scores({"entropy": entropy}, cleaned, steps if (steps > 0).all() else None)
        return Forecast(probabilities.numpy(), cleaned, scores["entropy"], int(scores["foreground"]))

    @staticmethod
    def _classes(probabilities: torch.Tensor) -> torch.Tensor:
        if len(probabilities) == 1:
            return (probabilities >= 0.5).to(torch.uint8)
        planes: Sequence[torch.Tensor] = probabilities[:, None, None].unbind()
        return first_maximum(planes, len(probabilities))[0]
