# SPDX-License-Identifier: Apache-2.0
"""A warning when the clean-up of label maps leaves nothing of a class."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from ignite.engine import Engine, Events

from sa2_monai.training.distributed import of_all_processes, rank
from sa2_monai.transforms.clean_labels import CleanLabelsd, Removed

__all__ = ["CleanUpCheck"]

logger = logging.getLogger(__name__)


class CleanUpCheck:
    """Warn once for each class of which ``min_volume`` has left nothing in any label map of a run.

    A limit that is larger than the structures themselves makes every Dice zero, and nothing else would say why. With
    several processes, all of them have this handler.

    Args:
        postprocessing: the transforms of the engine; those that are no
            :class:`~sa2_monai.transforms.CleanLabelsd` are not looked at.
        class_names: names of the classes, background first, for the message.
    """

    def __init__(self, postprocessing: Any, class_names: Sequence[str] | None = None) -> None:
        self.cleaners = [step for step in _steps(postprocessing) if isinstance(step, CleanLabelsd)]
        self.class_names = list(class_names or [])
        self._told: set[int] = set()

    def attach(self, engine: Engine) -> None:
        """Attach to an evaluator."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._begin)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def _begin(self, engine: Engine) -> None:
        for cleaner in self.cleaners:
            cleaner.removed.clear()

    def __call__(self, engine: Engine) -> None:
        """Look at what the clean-up has done in this epoch."""
        for cleaner in self.cleaners:
            if not cleaner.min_volume:  # the same in all processes
                continue
            together: dict[int, Removed] = {}
            for part in of_all_processes(cleaner.removed):
                for value, note in part.items():
                    found = together.setdefault(value, Removed(minimum=note.minimum))
                    found.maps += note.maps
                    found.emptied += note.emptied
                    found.largest = max(found.largest, note.largest)
            for value, note in sorted(together.items()):
                if note.emptied == note.maps and value not in self._told and rank() == 0:
                    self._told.add(value)
                    self._warn(value, note)

    def _warn(self, value: int, note: Removed) -> None:
        name = f" ({self.class_names[value]})" if value < len(self.class_names) else ""
        logger.warning(
            "min_volume has removed every piece of class %d%s from %s that had it: it is %g, the largest had %g "
            "(mm³; of images pixels). Lower min_volume, or set it to false, if such structures are real.",
            value,
            name,
            "the label map" if note.maps == 1 else f"all {note.maps} label maps",
            note.minimum,
            note.largest,
        )


def _steps(transforms: Any) -> Iterable[Any]:
    """The single transforms of nested chains."""
    inner = getattr(transforms, "transforms", None)
    if isinstance(inner, (list, tuple)):
        for one in inner:
            yield from _steps(one)
    else:
        yield transforms
