# SPDX-License-Identifier: Apache-2.0
"""Decoded cases on the disk instead of in memory: tensors only, found by the content of what they were made from."""

from sa2_monai.training.disk_cache.dataset import DiskCacheDataset

__all__ = ["DiskCacheDataset"]
