# SPDX-License-Identifier: Apache-2.0
"""The weights of the best few epochs beside those of the best one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sa2_monai.io.atomic import write_json
from sa2_monai.weights import save_weights
from sa2_monai.weights.save import sidecar_of

__all__ = ["BestWeights"]


class BestWeights:
    """``best/epoch_<number>.pt`` with its sidecar for each of the best epochs, and ``best/list.json``, the best first.

    Of equal epochs the earlier one is better. The list is on the disk before the state of its epoch, and what the state
    does not know is forgotten at a resume, so that an interrupted training ends with the same files.

    Args:
        folder: of ``model.pt``.
        keep: number of epochs; 1: nothing but ``model.pt``.

    Raises:
        ValueError: for a number below 1.
    """

    def __init__(self, folder: Path, keep: int = 1) -> None:
        if keep < 1:
            raise ValueError(f"keep_best is {keep}, expected a number of epochs, at least 1.")
        self.folder = folder / "best"
        self.keep = keep

    @property
    def _list(self) -> Path:
        return self.folder / "list.json"

    def entries(self) -> list[dict[str, Any]]:
        """The epochs, the best first: ``epoch``, ``metric``, ``file``."""
        return list(json.loads(self._list.read_text(encoding="utf-8"))["best"]) if self._list.is_file() else []

    def forget_after(self, epoch: int) -> None:
        """Forget epochs that will be trained again.

        Args:
            epoch: the last one that is through.
        """
        if self.keep > 1:
            self._write([one for one in self.entries() if one["epoch"] <= epoch])

    def add(self, epoch: int, metric: float, tensors: Mapping[str, torch.Tensor], info: Mapping[str, Any]) -> None:
        """Keep an epoch if it is one of the best.

        Args:
            epoch: its number.
            metric: of its validation; the higher, the better.
            tensors: the weights.
            info: for the sidecar.
        """
        if self.keep == 1 or math.isnan(metric):
            return
        entry: dict[str, Any] = {"epoch": epoch, "metric": metric, "file": f"epoch_{epoch}.pt"}
        best = sorted([*self.entries(), entry], key=lambda one: (-one["metric"], one["epoch"]))[: self.keep]
        if entry in best:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_weights(tensors, self.folder / entry["file"], info)
            self._write(best)

    def _write(self, entries: list[dict[str, Any]]) -> None:
        """The list, then nothing but its files."""
        if self.folder.is_dir():
            write_json(self._list, {"best": entries})
            for path in self.folder.glob("epoch_*.pt"):
                if path.name not in [one["file"] for one in entries]:
                    path.unlink()
                    sidecar_of(path).unlink(missing_ok=True)
