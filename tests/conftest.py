# SPDX-License-Identifier: Apache-2.0
"""Fixtures and hooks of all tests. What each is for, and how to run without it, is said in tests/support."""

from __future__ import annotations

pytest_plugins = [
    "tests.support.order",
    "tests.support.measuring",
    "tests.support.shortcuts",
    "tests.support.global_state",
    "tests.support.data_folders",
    "tests.support.browser",
    "tests.device.gpu",
    "tests.support.trained_run",
]
