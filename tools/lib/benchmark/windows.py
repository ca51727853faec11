# SPDX-License-Identifier: Apache-2.0
"""Windows over the slices of a volume: ours against MONAI's SliceInferer and nnU-Net's 2D predictor, on one network.

All cut the same windows of the published size with half of a window in common, weigh them by a Gaussian, and get the
same weights. They differ in what is averaged (ours and MONAI's inferer here probabilities, nnU-Net's logits), in the
width of the Gaussian, and in what happens at the end of a row; ``same_labels`` is the share of voxels with the label of
MONAI's inferer. nnU-Net's predictor runs without mirroring, as the others do. Ours accelerates the network.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import torch
from monai.inferers import SliceInferer
from monai.utils import optional_import
from torch import Tensor, nn

from benchmark.contestants.networks import network_of
from benchmark.frame.rows import Row
from benchmark.frame.turns import compared, take_turns
from sa2_monai.inference import VolumeInferer
from sa2_monai.networks.accelerate import accelerate
from sa2_monai.networks.catalogue import CATALOGUE

OVERLAP = 0.5
Infer = Callable[[Tensor], Tensor]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Volume and network."""
    parser.add_argument("--network", choices=list(CATALOGUE), default="daeformer")
    parser.add_argument("--size", type=int, default=512, help="rows and columns of a slice")
    parser.add_argument("--slices", type=int, default=4)
    parser.add_argument("--roi-size", type=int, help="rows and columns of a window; default: the published ones")
    parser.add_argument("--batch", type=int, default=4, help="windows at once, where the peer has batches")
    parser.add_argument("--turns", type=int, default=2, help="counted turns, after one for warming up")


def run(args: argparse.Namespace) -> Iterator[Row]:
    """A row for each inferer."""
    record = CATALOGUE[args.network]
    window = (args.roi_size, args.roi_size) if args.roi_size else record.published_size
    network = network_of(args.network, "cpu").eval().requires_grad_(False)
    makers = {"MONAI SliceInferer": of_monai, "nnU-Net predictor": of_nnunet, "sa2_monai": of_ours}
    inferers: dict[str, Infer] = {}
    for name, make in makers.items():
        try:
            inferers[name] = make(copy.deepcopy(network), window, args.batch)
        except ImportError as reason:
            print(f"{name} is left out: {reason}", file=sys.stderr)
    torch.manual_seed(0)
    volume = torch.rand(record.published_channels[0], args.size, args.size, args.slices)
    labels = {name: infer(volume) for name, infer in inferers.items()}
    expected = labels["MONAI SliceInferer"]
    same = {name: float((found == expected).float().mean()) for name, found in labels.items()}
    if any(found.shape != expected.shape for found in labels.values()) or min(same.values()) < 0.9:
        raise SystemExit(f"the label maps agree on {same} of the voxels: nothing is timed")
    seconds = take_turns({name: lambda f=f: f(volume) for name, f in inferers.items()}, args.turns)  # type: ignore[misc]
    case = f"{args.network}, {args.size} x {args.size} x {args.slices}, windows of {window[0]} x {window[1]}"
    for name, row in compared(seconds).items():
        yield {"case": case, "contestant": name, **row, "same_labels": same[name]}


def of_ours(network: nn.Module, size: tuple[int, int], batch: int) -> Infer:
    """Our inferer with windows."""
    network = accelerate(network)
    inferer = VolumeInferer(size, "windows", slice_batch_size=batch, overlap=OVERLAP)
    return lambda volume: inferer(volume[None], network)[0, 0]


def of_monai(network: nn.Module, size: tuple[int, int], batch: int) -> Infer:
    """MONAI's inferer, slice by slice along the last axis; it averages what the network gives: here probabilities."""
    inferer = SliceInferer(spatial_dim=2, roi_size=size, sw_batch_size=batch, overlap=OVERLAP, mode="gaussian")

    def infer(volume: Tensor) -> Tensor:
        with torch.no_grad():
            scores = inferer(volume[None], lambda x: network(x).softmax(dim=1))
        assert isinstance(scores, Tensor)
        return scores[0].argmax(dim=0)

    return infer


def of_nnunet(network: nn.Module, size: tuple[int, int], batch: int) -> Infer:
    """nnU-Net's predictor with what it needs to know of its plans; it gives the network one window at a time."""
    predictors, there = optional_import("nnunetv2.inference.predict_from_raw_data")
    if not there:
        raise ImportError("pip install nnunetv2")
    predictor = predictors.nnUNetPredictor(
        tile_step_size=1 - OVERLAP, use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False
    )
    predictor.network = network
    predictor.configuration_manager = SimpleNamespace(patch_size=size)
    channels = CATALOGUE[type(network).__name__.lower()].published_channels[1]
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=channels)

    def infer(volume: Tensor) -> Tensor:
        logits = predictor.predict_sliding_window_return_logits(volume.permute(0, 3, 1, 2).contiguous())
        return torch.as_tensor(logits).argmax(dim=0).permute(1, 2, 0)

    return infer
