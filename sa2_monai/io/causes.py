# SPDX-License-Identifier: Apache-2.0
"""What went wrong, in one message that people can do something about.

MONAI wraps what fails inside a transform, a component or an expression of a bundle into a ``RuntimeError`` that speaks
of the wrapping ("applying transform <object at 0x...>"), and workers of a data loader put a printed traceback into
their message. Both are taken off, here and nowhere else.
"""

from __future__ import annotations

import builtins
import errno
import os
import re
from collections.abc import Sequence

from sa2_monai.io.problems import listing

__all__ = ["case_error", "is_out_of_memory", "raise_if_memory", "raised_by_monai", "root_cause", "unwrapped"]

#: What we and the libraries raise with a message for people; of anything else the type says more than the message.
_SPEAKING = (OSError, ValueError, RuntimeError, ImportError)
_MEMORY_TYPES = ("MemoryError", "_ArrayMemoryError", "OutOfMemoryError")
_MEMORY_WORDS = re.compile(
    r"out of memory|can.?t allocate memory|cannot allocate memory|not enough memory|failed to allocate memory|"
    r"bad allocation|std::bad_alloc|ALLOC_FAILED|killed by signal: Killed|insufficient shared memory|"
    r"memory allocation failed|unable to allocate",  # HDF5
    re.IGNORECASE,
)
_WORKER = re.compile(r"Caught \w+ in DataLoader worker")
# A printed exception, at the end of a traceback: code is indented, the first line that is not names it.
_PRINTED = re.compile(r"^(?P<type>[\w.]+)(?:: (?P<number>\[Errno \d+\] )?(?P<message>.+))?\Z", re.MULTILINE | re.DOTALL)


def unwrapped(error: BaseException) -> BaseException:
    """The exception that MONAI's wrappers are around; another exception of ours may have a cause that says less.

    Args:
        error: what was caught.
    """
    while error.__cause__ is not None and raised_by_monai(error):
        error = error.__cause__
    return error


def root_cause(error: BaseException) -> str:
    """Message of the exception that people can do something about.

    Args:
        error: what was caught.

    Returns:
        Its message; for other types than those with messages for people with the type in front; for a lack of memory
        what can be done about it.
    """
    error = unwrapped(error)
    message, kind = str(error).strip(), type(error).__name__
    no_memory = is_out_of_memory(error)
    if isinstance(error, OSError) and error.strerror:
        # Without the number of the error, which says nothing to people.
        message = f"{os.fsdecode(error.filename)}: {error.strerror}" if error.filename else error.strerror
    elif "cannot find a suitable reader" in message:
        # MONAI's LoadImage prints what each reader said; the first is the one that the bundle names.
        readers = message[message.index("cannot find a suitable reader") :].split("Traceback (most recent call last):")
        message = _exception_text([*readers, ""][1])[1] or message
    elif _WORKER.match(message):
        found, text = _printed_cause(message)
        kind, message = found or kind, text or ("" if found else message)
        spoken = kind in ("RuntimeError", "OSError") and _MEMORY_WORDS.search(message) is not None
        no_memory = kind in _MEMORY_TYPES or spoken
    elif raised_by_monai(error):  # its parser says one thing in several lines
        message = " ".join(message.split())
    if no_memory:
        return _about_memory(message)
    return message if message and _speaks(kind, error) else ": ".join(filter(None, (kind, message)))


def case_error(error: BaseException, files: Sequence[str | os.PathLike[str]] = ()) -> str:
    """What to say about a case that failed: the file and the reason.

    Args:
        error: what was caught.
        files: of the case, put in front where the message names none of them.
    """
    message = root_cause(error)
    names = [os.fspath(file) for file in files]
    if not names or any(name in message or os.path.basename(name) in message for name in names if name):
        return message
    return f"{listing(names, limit=3)}: {message}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was lacking: of the system for Python, NumPy or PyTorch, or of a GPU.

    Args:
        error: what was caught, without wrappers.
    """
    if any(kind.__name__ in _MEMORY_TYPES for kind in type(error).__mro__):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM or (error.errno is None and bool(_MEMORY_WORDS.search(str(error))))
    message = str(error)
    return isinstance(error, RuntimeError) and not _WORKER.match(message) and bool(_MEMORY_WORDS.search(message))


def raise_if_memory(error: BaseException, path: str | os.PathLike[str]) -> None:
    """Raise what a lack of memory is, before a reader calls a file damaged that may be sound.

    Args:
        error: what was caught while a file was read.
        path: the file.

    Raises:
        MemoryError: memory was lacking.
    """
    if is_out_of_memory(error):
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        if isinstance(error, MemoryError) and os.fspath(path) in reason:
            raise error
        raise MemoryError(f"{os.fspath(path)}: not enough memory to read it: {reason}") from error


def _about_memory(message: str) -> str:
    first = next((line.strip() for line in message.splitlines() if line.strip()), "")
    first = first if len(first) <= 200 else f"{first[:200]}..."
    return (
        f"out of memory{f' ({first})' if first else ''}. Use a smaller batch size, fewer programs or workers at once, "
        "or a machine with more memory; an image of unusual size can be cut."
    )


def _speaks(kind: str, error: BaseException) -> bool:
    """Whether the message of a type is made for people; of printed exceptions there is only the name of the type."""
    if kind == type(error).__name__:
        return isinstance(error, _SPEAKING) or not isinstance(error, Exception) or _is_ours(error)
    named = getattr(builtins, kind, None)
    return not isinstance(named, type) or issubclass(named, _SPEAKING)


def _is_ours(error: BaseException) -> bool:
    return type(error).__module__.startswith("sa2_monai.")


def raised_by_monai(error: BaseException) -> bool:
    """Whether MONAI itself has raised an exception, not something that it called.

    Args:
        error: what was caught.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith("monai.")


def _printed_cause(message: str) -> tuple[str, str]:
    """What :func:`unwrapped` does, for a printed chain: the cause comes first there, its wrappers follow."""
    chain = re.split(r"\n\n(?:The above exception was|During handling of) .*\n\n", message)
    cause = next((printed for printed in reversed(chain) if not _printed_by_monai(printed)), chain[0])
    return _exception_text(cause)


def _exception_text(printed: str) -> tuple[str, str]:
    """Type and message at the end of a printed traceback; the message may have several lines, or be empty."""
    found = _PRINTED.search(printed.rstrip())
    if not found:
        return "", ""
    message = (found["message"] or "").strip()
    if found["number"] and (file := re.fullmatch(r"(.+): '(.+)'", message)):
        message = f"{file[2]}: {file[1]}"
    return found["type"].rpartition(".")[2], message


def _printed_by_monai(printed: str) -> bool:
    places = re.findall(r'^  File "(.+)", line', printed, re.MULTILINE)
    return bool(places) and re.search(r"[/\\]monai[/\\]", places[-1]) is not None
