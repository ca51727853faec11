# SPDX-License-Identifier: Apache-2.0
"""Kinds of files, by the words that data sets, configurations and sidecars have for them."""

from __future__ import annotations

import warnings
from typing import Any

__all__ = ["EARLIER_KINDS", "KINDS", "current_word", "kind_of"]

#: 2D images; volumes with their geometry; slices and volumes that the literature has preprocessed, without geometry.
KINDS = ("images", "volumes", "preprocessed")
#: How version 0.1 called them -> how they are called: packaged bundles and sidecars in the wild have the earlier words.
EARLIER_KINDS = {"pictures": "images", "archives": "preprocessed"}


def current_word(word: Any) -> Any:
    """The present word for what a configuration or a sidecar calls its kind; anything else comes back as it is."""
    return EARLIER_KINDS.get(word, word) if isinstance(word, str) else word


def kind_of(word: str) -> str:
    """One of :data:`KINDS`.

    Args:
        word: one of them, or of :data:`EARLIER_KINDS`, with a ``DeprecationWarning``.

    Raises:
        ValueError: another word.
    """
    if word in KINDS:
        return word
    if word in EARLIER_KINDS:
        warnings.warn(
            f"kind {word!r} is called {EARLIER_KINDS[word]!r} now; the earlier word goes with the next minor version.",
            DeprecationWarning,
            stacklevel=3,
        )
        return EARLIER_KINDS[word]
    raise ValueError(f"kind is {word!r}, expected one of {', '.join(map(repr, KINDS))}")
