# SPDX-License-Identifier: Apache-2.0
"""One message for whatever went wrong: the file, the reason, what to do; no wrapping."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.transforms import Compose, Lambdad
from torch.utils.data import DataLoader

from sa2_monai.io.causes import case_error, is_out_of_memory, root_cause, unwrapped


class Strange(Exception):
    """Of a library."""


def no_memory_of_numpy(_: Any) -> None:
    np.zeros((2**40, 2**10))


def no_memory_of_torch(_: Any) -> None:
    torch.zeros((2**40, 2**4))


def raises(error: BaseException) -> Callable[[Any], None]:
    def work(_: Any) -> None:
        raise error

    return work


MEMORY = "out of memory ({}). Use a smaller batch size"
# What fails, and how the message begins.
TEST_CASES: list[tuple[Callable[[Any], None], str]] = [
    (raises(ValueError("a.png: refused\n  for a reason")), "a.png: refused\n  for a reason"),
    (raises(RuntimeError("a.png: refused")), "a.png: refused"),
    (raises(KeyError("spacing")), "KeyError: 'spacing'"),
    (raises(IndexError("list index out of range")), "IndexError: list index out of range"),
    (raises(TypeError()), "TypeError"),
    (raises(AssertionError()), "AssertionError"),
    (raises(ValueError()), "ValueError"),
    (raises(ZeroDivisionError("division by zero")), "ZeroDivisionError: division by zero"),
    (raises(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")), "'utf-8' codec can't decode"),
    (raises(FileNotFoundError(2, "No such file or directory", "a.png")), "a.png: No such file or directory"),
    (raises(OSError("image file is truncated")), "image file is truncated"),
    (raises(MemoryError()), "out of memory. Use a smaller batch size"),
    (raises(OSError(errno.ENOMEM, "Cannot allocate memory")), MEMORY.format("Cannot allocate memory")),
    (raises(RuntimeError("CUDA error: out of memory\nmore")), MEMORY.format("CUDA error: out of memory")),
    (raises(torch.OutOfMemoryError("CUDA out of memory. Tried")), MEMORY.format("CUDA out of memory. Tried")),
    (no_memory_of_numpy, "out of memory (Unable to allocate 8.00 PiB"),
    (no_memory_of_torch, "out of memory ([enforce fail at alloc_cpu.cpp"),
]


class Transformed:
    """A data set of one item."""

    def __init__(self, transform: Callable[[Any], Any]) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        return self.transform({"image": index})


def caught(work: Callable[[], Any]) -> Exception:
    with pytest.raises(Exception) as found:  # noqa: PT011 - any
        work()
    return found.value


@pytest.mark.parametrize(("work", "message"), TEST_CASES)
def test_bare_in_transforms_and_in_an_expression(work: Callable[[Any], None], message: str) -> None:
    transform = Compose([Compose([Lambdad("image", work)])])
    parser = ConfigParser({"work": lambda: work(None), "run": "$@work()"})
    for call in (
        lambda: work(None),
        lambda: transform({"image": 1}),
        lambda: parser.get_parsed_content("run"),
        lambda: next(iter(DataLoader(Transformed(transform)))),
    ):
        error = caught(call)
        assert root_cause(error).startswith(message)
        assert is_out_of_memory(unwrapped(error)) == message.startswith("out of memory")


@pytest.mark.parametrize(("work", "message"), [TEST_CASES[k] for k in (0, 2, 9, 12, 16)])
def test_in_a_worker_process(work: Callable[[Any], None], message: str) -> None:
    transform = Compose([Compose([Lambdad("image", work)])])
    assert root_cause(caught(lambda: next(iter(DataLoader(Transformed(transform), num_workers=1))))).startswith(message)


def test_types_of_libraries_have_their_name_and_ours_do_not() -> None:
    assert root_cause(Strange("what")) == "Strange: what"
    from sa2_monai.io.ownership import FolderInUseError
    from sa2_monai.io.problems import FailedCasesError

    assert root_cause(FolderInUseError("x: in use")) == "x: in use"
    assert root_cause(FailedCasesError({"a": "b"}, 2)).startswith("1 of 2 cases failed")


def less_said(_: Any) -> None:
    try:
        open("/no/such/file")  # noqa: SIM115
    except OSError as error:
        raise RuntimeError("b.png cannot be read. Copy it again.") from error


def test_a_cause_of_ours_that_says_less_is_not_taken() -> None:
    for call in (lambda: less_said(None), lambda: Lambdad("image", less_said)({"image": 1})):
        assert root_cause(caught(call)) == "b.png cannot be read. Copy it again."


def test_the_file_is_named_once() -> None:
    assert case_error(ValueError("/x/a.png: refused"), ["/x/a.png"]) == "/x/a.png: refused"
    assert case_error(ValueError("a.png: refused"), [Path("/x/a.png")]) == "a.png: refused"
    assert case_error(KeyError("k"), ["/x/a.png"]) == "/x/a.png: KeyError: 'k'"
    assert case_error(KeyError("k"), ["a_0000.nii", "a_0001.nii"]) == "a_0000.nii, a_0001.nii: KeyError: 'k'"
    assert case_error(MemoryError(), ["a.nii"]).startswith("a.nii: out of memory. Use a smaller batch size")
    assert case_error(ValueError("refused")) == "refused"
