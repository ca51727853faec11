# SPDX-License-Identifier: Apache-2.0
"""A complete inference bundle with a network of ten weights, for tests of programs around a bundle.

Its ``inference.yaml`` has the ids of bundles/sa2net; what is predicted can be computed by hand: a pixel belongs to the
object where the mean of the three channels is above one half.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml

from sa2_monai.weights import save_weights

INFERENCE = """
imports: ["$import sa2_monai"]
bundle_root: "."
ckpt_path: "$@bundle_root + '/models/model.pt'"
image_source: null
dataset_dir: null
output_dir: "$@bundle_root + '/eval'"
device: cpu
in_channels: 3
out_channels: 1
class_names: [background, object]
base_channels: 1
view: whole
roi_size: [16, 16]
overlap: 0.5
intensity: unit
channel_order: RGB
batch_size: 2
save_probabilities: false
network_def: {_target_: torch.nn.Conv2d, in_channels: "@in_channels", out_channels: "@out_channels", kernel_size: 1}
network: "$@network_def.to(@device)"
preprocessing:
  _target_: Compose
  transforms:
    - _target_: sa2_monai.slices.StrictLoadImaged
      keys: image
      reader: {_target_: sa2_monai.data.Image2DReader, channels: "@in_channels", channel_order: "@channel_order"}
      ensure_channel_first: true
    - {_target_: Resized, keys: image, spatial_size: "@roi_size", mode: nearest}
dataset:
  _target_: Dataset
  data: "$sa2_monai.data.list_images(@image_source)"
  transform: "@preprocessing"
dataloader: {_target_: DataLoader, dataset: "@dataset", batch_size: "@batch_size", num_workers: 0}
inferer: {_target_: SlidingWindowInferer, roi_size: "@roi_size", sw_batch_size: "@batch_size", mode: constant}
postprocessing:
  _target_: Compose
  transforms:
    - {_target_: Activationsd, keys: pred, sigmoid: true}
    - {_target_: Invertd, keys: pred, transform: "@preprocessing", orig_keys: image, nearest_interp: true}
    - _target_: sa2_monai.inference.ProbabilitySaveImaged
      _disabled_: "$not @save_probabilities"
      keys: pred
      output_dir: "$@output_dir + '/predictions'"
    - {_target_: AsDiscreted, keys: pred, threshold: 0.5}
    - {_target_: sa2_monai.inference.CaseSaveImaged, keys: pred, output_dir: "$@output_dir + '/predictions'"}
handlers:
  - _target_: CheckpointLoader
    load_path: "@ckpt_path"
    load_dict: {model: "@network"}
    map_location: "@device"
evaluator:
  _target_: SupervisedEvaluator
  device: "@device"
  val_data_loader: "@dataloader"
  network: "@network"
  inferer: "@inferer"
  postprocessing: "@postprocessing"
  val_handlers: "@handlers"
initialize: ["$sa2_monai.__version__"]
run: ["$@evaluator.run()"]
"""
METADATA = '{"version": "0.1.0", "monai_version": "1.6.1", "pytorch_version": "2.13.0", "numpy_version": "2.4.6"}'


def make_bundle(folder: Path, info: dict[str, Any] | None = None) -> Path:
    """Write the bundle to ``folder``, with weights; with a sidecar when there is ``info``."""
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "inference.yaml").write_text(INFERENCE)
    (folder / "configs" / "metadata.json").write_text(METADATA)
    # sigmoid(30 * (mean - 0.5)); the unequal fourth of a grey level keeps clear of ties
    weight = torch.full((1, 3, 1, 1), 10.0)
    state = {"weight": weight, "bias": torch.tensor([-15.0])}
    save_weights(state, folder / "models" / "model.pt", info)
    if info is None:
        (folder / "models" / "model.json").unlink()
    return folder


def read_config(bundle: Path) -> dict[str, Any]:
    """The inference configuration of a bundle, parsed."""
    config: dict[str, Any] = yaml.safe_load((bundle / "configs" / "inference.yaml").read_text())
    return config


def write_config(bundle: Path, config: dict[str, Any]) -> None:
    """Replace the inference configuration of a bundle."""
    (bundle / "configs" / "inference.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def take_tolerant_parts(config: dict[str, Any]) -> None:
    """Data set, loader and evaluator of the product in place of MONAI's: a case that fails does not end the others."""
    parts = {"dataset": "CaseDataset", "dataloader": "CaseDataLoader", "evaluator": "CaseEvaluator"}
    for name, target in parts.items():
        config[name]["_target_"] = f"sa2_monai.inference.{target}"
