# SPDX-License-Identifier: Apache-2.0
"""With ``deterministic`` a training gives the same bits twice, and when it goes on where it was interrupted."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import torch
from bundle_tools import BUNDLES, run

NAMES = ["background", "nucleus"]


@pytest.mark.parametrize(
    ("bundle", "device"),
    [
        ("svanet", "cpu"),  # whose cross entropy has another form with it
        *(pytest.param(bundle, "cuda", marks=pytest.mark.gpu) for bundle in BUNDLES),
    ],
)
def test_the_same_bits_twice_and_after_a_resume(bundle: str, device: str, images: Path, tmp_path: Path) -> None:
    if device == "cpu":
        first, second, resumed = _trainings(bundle, device, images, tmp_path)
    elif not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    else:  # in a process that has not used cuBLAS without its variable
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            first, second, resumed = pool.submit(_trainings, bundle, device, images, tmp_path).result()
    assert second == first
    assert resumed == first


def _trainings(bundle: str, device: str, images: Path, folder: Path) -> list[bytes]:
    """All weights of three trainings of two epochs, the last of which is interrupted after the first."""
    found = []
    for name, epochs in (("first", [2]), ("second", [2]), ("resumed", [1, 2])):
        for last in epochs:
            run(
                *(bundle, "train", "folder"),
                bundle_root=str(folder / name),
                dataset_dir=str(images),
                class_names=NAMES,
                device=device,
                precision="fp16" if device == "cuda" else "fp32",
                deterministic=True,
                max_epochs=last,
                resume=last > epochs[0],
            )
        assert torch.are_deterministic_algorithms_enabled()
        state = torch.load(folder / name / "models" / "last_state.pt", weights_only=True)["model"]
        found.append(b"".join(value.cpu().numpy().tobytes() for value in state.values()))
    return found
