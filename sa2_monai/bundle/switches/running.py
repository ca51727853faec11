# SPDX-License-Identifier: Apache-2.0
"""The check of the switches from inside of a configuration that MONAI runs."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from sa2_monai.bundle.switches.check import SwitchError, check_config

__all__ = ["check_switches"]


def check_switches() -> None:
    """Check the whole configuration that this call stands in; the first entry of ``initialize``.

    A component sees its own arguments only, and MONAI has no name for the configuration as a whole: it is taken from
    the parser that is just calling. ``python -m monai.bundle`` ends with the one line; from Python it is an exception.

    Raises:
        SwitchError: see :func:`check_config`.
        RuntimeError: when no configuration is calling.
    """
    parser, workflow = _calling()
    entries = [name for name in (getattr(workflow, f"{what}_id", None) for what in ("init", "run", "final")) if name]
    try:
        check_config(parser.get(), unknown=True, entries=[name.replace("#", "::").split("::")[0] for name in entries])
    except SwitchError as error:
        if _is_monai_program():
            sys.exit(f"error: {error}")
        raise


def _calling() -> tuple[Any, Any]:
    """The parser that builds this component, and the workflow that it belongs to, where there is one."""
    from monai.bundle import ConfigParser, ConfigWorkflow

    parser = None
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, ConfigParser):
            parser = owner
        elif isinstance(owner, ConfigWorkflow) and owner.parser is parser:
            return parser, owner
        frame = frame.f_back
    if parser is None:
        raise RuntimeError("check_switches belongs into the 'initialize' of a bundle's configuration.")
    return parser, None


def _is_monai_program() -> bool:
    """Whether this process is ``python -m monai.bundle``, where a trace of ten frames would bury the line."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return getattr(spec, "name", "") == "monai.bundle.__main__"
