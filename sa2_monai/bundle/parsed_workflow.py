# SPDX-License-Identifier: Apache-2.0
"""MONAI's workflow without what it does anew at every run: reading its files, and looking through MONAI's modules."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["parsed_workflow", "search_path_once"]


def parsed_workflow(
    file: Path, known: dict[str, Any], overrides: Mapping[str, Any], kind: str, tracking: str | None
) -> Any:
    """A ``monai.bundle.ConfigWorkflow`` of configurations that are read already; all that runs is built anew.

    Args:
        file: first of the configuration files.
        known: their merged content, which the workflow keeps.
        overrides: see :func:`~sa2_monai.bundle.workflow.run_workflow`, as all that follows.
        kind: see there.
        tracking: see there.
    """
    from monai.bundle import ConfigParser, ConfigWorkflow
    from monai.bundle.utils import DEFAULT_EXP_MGMT_SETTINGS

    workflow = ConfigWorkflow(
        None, workflow_type=kind, logging_file=False, meta_file=str(file.parent / "metadata.json")
    )
    workflow.config_root_path = file.parent
    workflow.parser.locator = _locator(tuple(name for name in sys.modules if name.startswith("monai")))
    workflow.parser.read_config(known)
    workflow.parser.update(dict(overrides))
    if tracking is not None:
        settings = DEFAULT_EXP_MGMT_SETTINGS.get(tracking) or ConfigParser.load_config_files(tracking)
        workflow.patch_bundle_tracking(parser=workflow.parser, settings=settings)
    return workflow


@contextlib.contextmanager
def search_path_once() -> Iterator[None]:
    """A workflow puts the bundle's folder into the search path of modules at each run; once is enough."""
    try:
        yield
    finally:
        sys.path[:] = dict.fromkeys(sys.path)


@functools.lru_cache(maxsize=1)
def _locator(modules: tuple[str, ...]) -> Any:
    """In which of MONAI's modules a ``_target_`` without one lies; another one when more modules are imported."""
    from monai.bundle import ComponentLocator

    return ComponentLocator()
