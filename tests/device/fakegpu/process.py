# SPDX-License-Identifier: Apache-2.0
"""The process in which the pretended accelerator lives."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tests.support.programs import IMPORTED

__all__ = ["Call", "accelerator_process"]

Call = Callable[..., Any]


@contextlib.contextmanager
def accelerator_process(library: Path) -> Iterator[Call]:
    """A function that calls others, with their arguments, in one process that has the device.

    Args:
        library: folder of the library, see :func:`~tests.device.fakegpu.library.build_library`.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    traced = os.environ.pop("COVERAGE_PROCESS_START", None)  # the tracer would double the time, and nothing is new
    try:
        with ProcessPoolExecutor(1, context, _begin, (library,)) as pool:
            yield lambda function, *arguments: pool.submit(_call, function, arguments).result()
    finally:
        if traced is not None:
            os.environ["COVERAGE_PROCESS_START"] = traced


def _begin(library: Path) -> None:
    import torch

    from tests.device.fakegpu.accelerator import pretend

    torch.set_num_threads(1)
    pretend(library)


def _call(function: Call, arguments: tuple[Any, ...]) -> Any:
    import torch

    torch.manual_seed(0)
    try:
        return function(*arguments)
    except Exception as error:  # those of torch and MONAI do not always travel between processes
        raise RuntimeError(f"{type(error).__name__}: {error}\n{traceback.format_exc()}") from None
