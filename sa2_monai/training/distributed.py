# SPDX-License-Identifier: Apache-2.0
"""Which of several processes is this one?

Asked of torch and not of Ignite, whose first answer is a collective call: a handler that only one process has would
wait for the others for ever.
"""

from __future__ import annotations

import torch.distributed as dist

__all__ = ["rank", "world_size"]


def rank() -> int:
    """Index of this process; 0 when there is only one."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
