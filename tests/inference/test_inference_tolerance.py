# SPDX-License-Identifier: Apache-2.0
"""Cases that fail: told at the end, or at once where cases go in batches."""

from __future__ import annotations

import struct
from typing import Any

import pytest
import torch
from monai.data import DataLoader, MetaTensor, decollate_batch
from monai.transforms import Compose
from torch import nn

from sa2_monai.inference import CaseDataLoader, CaseDataset, CaseEvaluator, FailedCasesError

CASES = [{"case": name, "image": torch.full((1, 4, 4), value)} for name, value in (("a", 1.0), ("b", -1.0), ("c", 2.0))]


def refuse(case: dict[str, Any]) -> dict[str, Any]:
    if case["image"].min() < 0:
        raise ValueError(f"{case['case']} is negative")
    return case


def evaluator(tolerant: bool, batch_size: int, data: list[dict[str, Any]]) -> CaseEvaluator:
    loader = DataLoader(CaseDataset(data, refuse, tolerant=tolerant), batch_size=batch_size)
    return CaseEvaluator(torch.device("cpu"), loader, nn.Identity(), tolerant=tolerant)


def test_the_others_go_on() -> None:
    engine = evaluator(True, 1, CASES)
    with pytest.raises(FailedCasesError) as caught:
        engine.run()
    assert caught.value.failures == {"b": "b is negative"}
    assert engine.cases is not None
    assert [case["status"] for case in engine.cases] == ["ok", "failed", "ok"]


# What the work of one case raises, and what is said of the case.
TEST_CASES: list[tuple[BaseException, str]] = [
    (ValueError("/in/b.png: refused"), "/in/b.png: refused"),
    (OSError("truncated"), "/in/b.png: truncated"),
    (KeyError("spacing"), "/in/b.png: KeyError: 'spacing'"),
    (TypeError("a fault"), "/in/b.png: TypeError: a fault"),
    (AssertionError(), "/in/b.png: AssertionError"),
    (struct.error("unpack requires 4 bytes"), "/in/b.png: error: unpack requires 4 bytes"),
    (MemoryError(), "/in/b.png: out of memory. Use a smaller batch size"),
    (torch.OutOfMemoryError("CUDA out of memory."), "/in/b.png: out of memory (CUDA out of memory.)"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "/in/b.png: out of memory (DefaultCPUAllocator"),
]


class Fails(nn.Module):
    """A network that meets one case badly."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.min() < 0:
            raise self.error
        return x


def images(loader_fails: BaseException | None) -> CaseDataset:
    def load(case: dict[str, Any]) -> dict[str, Any]:
        value = {"a": 1.0, "b": -1.0, "c": 2.0}[case["case"]]
        if loader_fails is not None and value < 0:
            raise loader_fails
        return {**case, "image": MetaTensor(torch.full((1, 4, 4), value), meta={"filename_or_obj": case["image"]})}

    return CaseDataset([{"case": name, "image": f"/in/{name}.png"} for name in "abc"], Compose([load]))


@pytest.mark.parametrize("where", ["loading", "network"])
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize(("error", "message"), TEST_CASES)
def test_any_error_of_a_case_is_told_with_its_file(
    error: BaseException, message: str, batch_size: int, where: str
) -> None:
    loader = CaseDataLoader(images(error if where == "loading" else None), batch_size=batch_size)
    network = Fails(error) if where == "network" else nn.Identity()
    engine = CaseEvaluator(torch.device("cpu"), loader, network)
    with pytest.raises(FailedCasesError) as caught:
        engine.run()
    assert list(caught.value.failures) == ["b"]
    assert caught.value.failures["b"].startswith(message)
    assert sum(case["status"] == "ok" for case in engine.cases or ()) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("where", ["loading", "network"])
def test_the_end_of_the_program_is_no_error_of_a_case(error: BaseException, where: str) -> None:
    loader = CaseDataLoader(images(error if where == "loading" else None), batch_size=1)
    network = Fails(error) if where == "network" else nn.Identity()
    with pytest.raises(type(error)):
        CaseEvaluator(torch.device("cpu"), loader, network).run()


def test_batches_end_with_the_first_error() -> None:
    engine = evaluator(False, 2, CASES)
    with pytest.raises((RuntimeError, ValueError)) as caught:
        engine.run()
    assert "b is negative" in f"{caught.value} {caught.value.__cause__}"
    engine = evaluator(False, 2, [CASES[0], CASES[2]])
    engine.run()
    assert engine.cases is None
    assert engine.state.iteration == 1


def test_a_single_case_is_not_copied() -> None:
    image = MetaTensor(torch.rand(1, 3, 4, 5), meta={"filename_or_obj": "a.nii", "spacing": (1.0, 2.0)})
    item = {"image": image, "plain": torch.arange(3), "scalar": torch.tensor(2), "case": "a", "number": 7}
    (batch,) = CaseDataLoader([item], num_workers=2)
    (expected,) = DataLoader([item])
    assert batch["image"].untyped_storage().data_ptr() == image.untyped_storage().data_ptr()
    for key in ("image", "plain", "scalar", "number"):
        assert torch.equal(torch.as_tensor(batch[key]), torch.as_tensor(expected[key])), key
    assert batch["case"] == expected["case"]
    (single,), (known,) = (decollate_batch(one) for one in (batch, expected))
    assert str(single["image"].meta) == str(known["image"].meta)
    assert single["image"].is_batch is False
    assert single["image"].shape == (1, 3, 4, 5)


# cases, batch size, workers asked for; workers, cases that each loads ahead
WORKERS = [(1, 1, 2, 0, None), (3, 1, 1, 1, 1), (3, 2, 1, 1, 2), (3, 1, 0, 0, None)]


@pytest.mark.parametrize(("cases", "batch_size", "asked", "workers", "ahead"), WORKERS)
def test_workers_load_no_more_than_one_case_ahead(
    cases: int, batch_size: int, asked: int, workers: int, ahead: int | None
) -> None:
    loader = CaseDataLoader(CASES[:cases], batch_size=batch_size, num_workers=asked)
    assert (loader.num_workers, loader.prefetch_factor) == (workers, ahead)
