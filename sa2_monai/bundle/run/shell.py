# SPDX-License-Identifier: Apache-2.0
"""Commands that work as they are printed: quoted for the shell, with the path of the environment where it is needed."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

__all__ = ["command_line_value", "console_command", "python_command", "short_path"]


def console_command(*words: str | os.PathLike[str]) -> str:
    """A call of ``sa2-monai``.

    Args:
        words: its arguments.
    """
    return shlex.join([*_program(), *(os.fspath(word) for word in words)])


def python_command(*words: str | os.PathLike[str]) -> str:
    """A call of this Python.

    Args:
        words: its arguments.
    """
    return shlex.join([_python(), *(os.fspath(word) for word in words)])


def command_line_value(value: Any) -> str:
    """A value such that the command line of ``monai.bundle``, which Fire parses, gives it back.

    Args:
        value: text, number, boolean, or a list or table of such.
    """
    from fire.parser import DefaultParseValue  # type: ignore[import-untyped]

    if not isinstance(value, str):
        return repr(value)
    return value if DefaultParseValue(value) == value and not value.startswith("-") else repr(value)


def short_path(path: Path) -> str:
    """A path below the working directory relative to it, any other as it is.

    Args:
        path: absolute.
    """
    try:
        inside = os.path.relpath(path)
    except ValueError:  # another drive
        return str(path)
    return str(path) if inside.startswith(os.pardir) else inside


def _program() -> list[str]:
    found = shutil.which("sa2-monai")
    # Another environment's would be another installation.
    if found and Path(found).parent.resolve() == Path(sys.executable).parent.resolve():
        return ["sa2-monai"]
    return [_python(), "-m", "sa2_monai"]


def _python() -> str:
    found = shutil.which("python")
    return "python" if found and Path(found).parent == Path(sys.executable).parent else sys.executable
