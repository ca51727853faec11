# SPDX-License-Identifier: Apache-2.0
"""Networks of MONAI in the form of those of this package: logits, checked sizes, one width, a place in the records.

They are what a published network has to be better than. Importing this package does not import torch.
"""
