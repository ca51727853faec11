# SPDX-License-Identifier: Apache-2.0
"""The check of the switches from inside of a configuration that MONAI runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from types import FrameType
from typing import Any

from sa2_monai.bundle.switches.check import SwitchError, check_config
from sa2_monai.bundle.switches.renamed import EARLIER, precision_of
from sa2_monai.bundle.switches.values import references, texts
from sa2_monai.io.kinds import EARLIER_KINDS, kind_of

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
    program = _is_monai_program()
    try:
        _update_words(parser)
        if program:
            _refuse_dropped(sys.argv[1:], parser)
        check_config(parser.get(), unknown=True, entries=[name.replace("#", "::").split("::")[0] for name in entries])
    except SwitchError as error:
        if program:
            sys.exit(f"error: {error}")
        raise


def _calling() -> tuple[Any, Any]:
    """The parser that builds this component, and the workflow that it belongs to, where there is one."""
    from monai.bundle import ConfigParser, ConfigWorkflow

    parser = None
    # From the caller on: to look at this frame's own variables would tie a knot that keeps all callers alive.
    frame: FrameType | None = sys._getframe(1)
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


def _update_words(parser: Any) -> None:
    """A kind and a precision by earlier words get the present ones, which the configuration uses.

    This is the first entry of ``initialize``, so nothing has been built of it. A configuration that itself compares
    with the earlier words is a package of an earlier version, and stays as it is.
    """
    _update_precision(parser)
    word = parser.config.get("kind") if isinstance(parser.config, dict) else None
    if word not in list(EARLIER_KINDS):
        return
    quoted = tuple(f"{quote}{earlier}{quote}" for earlier in EARLIER_KINDS for quote in "'\"")
    if any(text.startswith("$") and any(one in text for one in quoted) for text in texts(parser.config)):
        return
    parser.config["kind"] = kind_of(word)
    parser.ref_resolver.get_item("kind").update_config(parser.config["kind"])


def _update_precision(parser: Any) -> None:
    """``amp`` of the command line or of an overlay, where the configuration has ``precision``."""
    config = parser.config if isinstance(parser.config, dict) else {}
    given = {name: config[name] for name in EARLIER if name in config}
    used = {reference.split("::")[0] for reference in references(config)}
    if "precision" not in config or not given or used & set(given):
        return
    try:
        precision = precision_of(**given)
    except ValueError as error:
        raise SwitchError(str(error)) from error
    for name in given:
        del config[name]
    if precision is not None:
        config["precision"] = precision
        parser.ref_resolver.get_item("precision").update_config(precision)


def _refuse_dropped(words: Sequence[str], parser: Any) -> None:
    """MONAI drops ``None`` from its command line without a word, and the value of the file stays."""
    pairs = [word.removeprefix("--").partition("=")[::2] for word in words if word.startswith("--") and "=" in word]
    pairs += [(name.removeprefix("--"), value) for name, value in pairwise(words) if name.startswith("--")]
    names = dict.fromkeys(name.replace("#", "::") for name, value in pairs if value.strip() == "None")
    kept = {name: parser.get(name) for name in names if parser.get(name) is not None}
    if kept:
        told = "; ".join(f"{name.replace('::', '#')} would stay {value!r}" for name, value in kept.items())
        raise SwitchError(
            f"MONAI drops None from its command line: {told}. Give false where the switch has it, or null in an "
            "overlay file behind the others"
        )


def _is_monai_program() -> bool:
    """Whether this process is ``python -m monai.bundle``, where a trace of ten frames would bury the line."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return getattr(spec, "name", "") == "monai.bundle.__main__"
