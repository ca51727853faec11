# SPDX-License-Identifier: Apache-2.0
"""Published checkpoints to state dicts of ours: one converter per network."""
