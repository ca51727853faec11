# SPDX-License-Identifier: Apache-2.0
"""The pretended accelerator, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.device.fakegpu.library import build_library, why_not
from tests.device.fakegpu.process import Call, accelerator_process


@pytest.fixture(scope="session")
def on_accelerator() -> Iterator[Call]:
    """``on_accelerator(function, *arguments)`` calls a function where torch has the device ``fakegpu:0``.

    The function is one of a test file, on its top level; its arguments and its result are plain data. One process runs
    all calls of a session, each from the same random state. Skipped, with the reason, where it cannot be built.
    """
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with accelerator_process(build_library()) as call:
        yield call
