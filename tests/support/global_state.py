# SPDX-License-Identifier: Apache-2.0
"""Every test finds the process as the first one did, whatever ran before it.

Why: runs of bundles set seeds, threads, determinism and the levels of loggers, and MONAI configures the root logger. A
test that passes or fails by what another one left behind costs hours. This is a hook and no fixture, so that what
fixtures of a whole session or module leave behind is undone, too. Filters of warnings are restored by pytest itself.

Random numbers begin with one seed in every test: a failure comes again when the test is run alone.
"""

from __future__ import annotations

import logging
import os
import random
import sys
from collections.abc import Callable, Generator

import pytest

SEED = 20
#: Set by pytest itself, anew for each phase of a test.
OF_PYTEST = "PYTEST_CURRENT_TEST"


def pytest_configure() -> None:
    """Nothing is remembered in the user's cache: a check has to find what is wrong, whatever was found before."""
    os.environ["SA2_MONAI_CHECKED"] = "0"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Seed the generators before a test, restore everything else after it."""
    restorers = [_environment(), _folder_and_arguments(), _loggers(), *([_torch()] if "torch" in sys.modules else [])]
    _seed()
    try:
        return (yield)
    finally:
        _forget_the_seed_of_monai()
        for restore in restorers:
            restore()


def _seed() -> None:
    random.seed(SEED)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(SEED)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(SEED)


def _forget_the_seed_of_monai() -> None:
    """``set_determinism`` keeps its seed for all MONAI transforms that are built later."""
    if "monai.utils" in sys.modules:
        utils = sys.modules["monai.utils"]
        if utils.get_seed() is not None:
            utils.set_determinism(None)


def _environment() -> Callable[[], None]:
    before = dict(os.environ)

    def restore() -> None:
        for name in {*os.environ, *before} - {OF_PYTEST}:
            if name not in before:
                del os.environ[name]
            elif os.environ.get(name) != before[name]:
                os.environ[name] = before[name]

    return restore


def _folder_and_arguments() -> Callable[[], None]:
    folder, path, arguments = os.getcwd(), list(sys.path), list(sys.argv)

    def restore() -> None:
        os.chdir(folder)
        sys.path[:], sys.argv[:] = path, arguments

    return restore


def _loggers() -> Callable[[], None]:
    """Loggers that a test makes by an import stay as the library wanted them; those that were there are restored."""
    manager = logging.root.manager
    there = [logging.root, *(one for one in manager.loggerDict.values() if isinstance(one, logging.Logger))]
    states = [(one, one.level, one.disabled, one.propagate, list(one.handlers), list(one.filters)) for one in there]
    disabled = manager.disable

    def restore() -> None:
        logging.disable(disabled)
        for one, level, off, propagate, handlers, filters in states:
            if one.level != level:
                one.setLevel(level)  # which empties the caches of what is enabled
            one.disabled, one.propagate, one.handlers[:], one.filters[:] = off, propagate, handlers, filters

    return restore


def _torch() -> Callable[[], None]:
    torch = sys.modules["torch"]
    threads, dtype, gradients = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
    algorithms = torch.are_deterministic_algorithms_enabled()
    only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn
    deterministic, benchmark = cudnn.deterministic, cudnn.benchmark

    def restore() -> None:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)
        torch.use_deterministic_algorithms(algorithms, warn_only=only_warns)
        cudnn.deterministic, cudnn.benchmark = deterministic, benchmark

    return restore
