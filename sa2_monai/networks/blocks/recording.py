# SPDX-License-Identifier: Apache-2.0
"""Is the network being calculated, or is somebody recording a graph of it?"""

from __future__ import annotations

import torch

__all__ = ["is_compiled", "records_graph"]


def records_graph() -> bool:
    """Whether a graph is being recorded, by ``torch.jit.trace``, ``torch.export`` or ``torch.compile``."""
    if torch.jit.is_scripting():
        return False
    return torch.jit.is_tracing() or torch.compiler.is_compiling()


def is_compiled() -> bool:
    """Whether ``torch.compile`` is recording: it merges what stands between matrix products better than we can."""
    if torch.jit.is_scripting():
        return False
    return torch.compiler.is_compiling() and not torch.compiler.is_exporting()
