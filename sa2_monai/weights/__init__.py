# SPDX-License-Identifier: Apache-2.0
"""Weights in files: published checkpoints to state dicts of ours, safe tensor-only files with their sidecars."""

from sa2_monai.io.atomic import atomic_write, write_json
from sa2_monai.io.digest import sha256_of
from sa2_monai.weights.compare import check_info, check_state_dict
from sa2_monai.weights.first_layer import adapt_channels
from sa2_monai.weights.imagenet import load_encoder, load_pretrained
from sa2_monai.weights.load import load_weights
from sa2_monai.weights.published.convert import convert_published, describe_published, skipped_names
from sa2_monai.weights.read import read_checkpoint
from sa2_monai.weights.save import read_info, save_weights
from sa2_monai.weights.starters import starter_file, starter_names
from sa2_monai.weights.state import plain, unwrap
from sa2_monai.weights.temperature import read_temperature
from sa2_monai.weights.transfer import Transfer, transfer_weights
from sa2_monai.weights.weight_files import open_weights, weight_file

__all__ = [
    "Transfer",
    "adapt_channels",
    "atomic_write",
    "check_info",
    "check_state_dict",
    "convert_published",
    "describe_published",
    "load_encoder",
    "load_pretrained",
    "load_weights",
    "open_weights",
    "plain",
    "read_checkpoint",
    "read_info",
    "read_temperature",
    "save_weights",
    "sha256_of",
    "skipped_names",
    "starter_file",
    "starter_names",
    "transfer_weights",
    "unwrap",
    "weight_file",
    "write_json",
]
