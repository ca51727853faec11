# SPDX-License-Identifier: Apache-2.0
"""Turns the case tables of a network's tester class into parametrised tests."""

from __future__ import annotations

import pytest

TABLES = {"shape_case": "SHAPE_CASES", "illegal_case": "ILLEGAL_CASES", "size_case": "ILLEGAL_INPUTS"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for argument, table in TABLES.items():
        if argument in metafunc.fixturenames:
            cases = getattr(metafunc.cls, table)
            metafunc.parametrize(argument, cases, ids=[str(case).replace("'", "") for case in cases])
    if "golden_map" in metafunc.fixturenames:
        metafunc.parametrize("golden_map", sorted(metafunc.cls.GOLDEN_MAPS))
