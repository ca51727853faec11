# SPDX-License-Identifier: Apache-2.0
"""Inference over many cases in which one bad case does not end the others.

A clinic sends a hundred studies over night. When the third one is damaged, the other ninety-nine are wanted in the
morning, the damaged one by name, and a program's exit code that tells.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.data import DataLoader, Dataset, MetaTensor, decollate_batch, list_data_collate
from monai.engines import SupervisedEvaluator, default_prepare_batch
from monai.utils import ImageMetaKey

from sa2_monai.inference.runtimes.contract import RuntimeRefusedError
from sa2_monai.inference.slice_inferer import VolumeInferer
from sa2_monai.io.causes import case_error
from sa2_monai.io.problems import CASE_ERRORS, FailedCasesError
from sa2_monai.io.text import printable

__all__ = ["CaseDataLoader", "CaseDataset", "CaseEvaluator", "FailedCasesError"]

logger = logging.getLogger(__name__)

_FAILED = "failed"


class CaseDataset(Dataset):
    """``monai.data.Dataset`` whose items tell when they cannot be loaded, instead of ending the run.

    For :class:`CaseEvaluator`. Batches of several cases need :class:`CaseDataLoader`.

    Args:
        data: data list, ``[{"image": path, "case": name}, ...]``.
        transform: see ``monai.data.Dataset``.
        tolerant: ``False`` makes it a ``monai.data.Dataset``.
    """

    def __init__(self, data: Sequence[Any], transform: Any = None, tolerant: bool = True) -> None:
        super().__init__(data, transform)
        self.tolerant = tolerant

    def _transform(self, index: int) -> Any:
        if not self.tolerant:
            return super()._transform(index)
        try:
            return super()._transform(index)
        except CASE_ERRORS as error:
            return {
                _FAILED: {"case": _name(self.data[index], index), "error": case_error(error, _files(self.data[index]))}
            }


class CaseDataLoader(DataLoader):
    """``monai.data.DataLoader`` that puts the cases of a batch together which :class:`CaseDataset` could load.

    A case that is a batch of its own is not copied for it. A worker loads one case ahead, no more: volumes are large;
    and for a single case there are no workers.

    Args:
        dataset: the data set.
        kwargs: further arguments of ``monai.data.DataLoader``.
    """

    def __init__(self, dataset: Any, **kwargs: Any) -> None:
        workers = kwargs.get("num_workers", 0) if len(dataset) > 1 else 0
        ahead = {"prefetch_factor": 1} if workers and kwargs.get("batch_size", 1) == 1 else {}
        super().__init__(dataset, **{"collate_fn": _collate, **ahead, **kwargs, "num_workers": workers})


def _collate(items: list[Any]) -> Any:
    failed = [item[_FAILED] for item in items if _FAILED in item]
    loaded = [item for item in items if _FAILED not in item]
    batch = dict(_batch(loaded)) if loaded else {}
    return {**batch, _FAILED: {key: [item[key] for item in failed] for key in failed[0]}} if failed else batch


def _batch(items: list[Any]) -> Any:
    """What ``list_data_collate`` makes of cases; the voxels of a single one stay where they are."""
    if len(items) > 1 or not isinstance(items[0], Mapping):
        return list_data_collate(items)
    (item,) = items
    large = {key: value for key, value in item.items() if isinstance(value, torch.Tensor) and value.ndim > 0}
    # An empty stand-in takes the metadata through, in the form that decollating wants.
    light = {key: value[:0] if key in large else value for key, value in item.items()}
    batch = list_data_collate([light])
    for key, value in large.items():
        whole = (value.as_tensor() if isinstance(value, MetaTensor) else value)[None]
        if isinstance(value, MetaTensor):
            like = batch[key]
            whole = MetaTensor(whole, meta=like.meta, applied_operations=like.applied_operations)
            whole.is_batch = True
        batch[key] = whole
    return batch


class CaseEvaluator(SupervisedEvaluator):
    """``SupervisedEvaluator`` that notes a case that fails, goes on, and reports all of them at the end.

    When a batch of several cases fails, they are tried again one by one. After a run ``cases`` lists ``{"case",
    "status" ("ok" or "failed"), "seconds", "error"}``, after each iteration those that are through; with the
    ``"uncertainty"`` of a case that has such scores.

    Args:
        args: arguments of ``monai.engines.SupervisedEvaluator``.
        tolerant: ``False`` makes it a ``monai.engines.SupervisedEvaluator``: the first error ends the run, and
            ``cases`` is ``None``.
        kwargs: further arguments of ``monai.engines.SupervisedEvaluator``.

    Raises:
        FailedCasesError: by :meth:`run`, when all cases have been tried and some failed.
        RuntimeRefusedError: by :meth:`run`, for a runtime that does not calculate the network rightly.
    """

    prepare_batch: Any

    def __init__(self, *args: Any, tolerant: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cases: list[dict[str, Any]] | None = [] if tolerant else None
        if isinstance(self.inferer, VolumeInferer) and self.prepare_batch is default_prepare_batch:
            # It brings slices to the device as they are stored, batch by batch; a volume would go there at once.
            self.prepare_batch = _left_on_host
            self.inferer.device = self.inferer.device or self.state.device

    def run(self, *args: Any, **kwargs: Any) -> None:
        """Run over all cases."""
        if self.cases is None:
            super().run(*args, **kwargs)
            return
        self.cases = []
        super().run(*args, **kwargs)
        failures = {case["case"]: case["error"] for case in self.cases if case["status"] == _FAILED}
        if failures:
            raise FailedCasesError(failures, len(self.cases))

    def _iteration(self, engine: Any, batchdata: Any) -> dict:
        if self.cases is None:
            return super()._iteration(engine, batchdata)
        unread = batchdata.pop(_FAILED, {"case": [], "error": []})
        for name, error in zip(unread["case"], unread["error"], strict=True):
            self._note(name, 0.0, error)
        engine.state.output = {}
        return self._attempt(engine, batchdata) if batchdata else {}

    def _attempt(self, engine: Any, batchdata: Any) -> dict:
        """Predict the cases of a batch."""
        assert self.cases is not None
        names = _names(batchdata, len(self.cases))
        started = time.perf_counter()
        output: dict = {}
        error: str | None = None
        try:
            output = super()._iteration(engine, batchdata)
        except RuntimeRefusedError:  # of the network, not of this case
            raise
        except CASE_ERRORS as found:
            error = case_error(found, _files(batchdata))
            engine.state.output = {}
            if torch.cuda.is_available():
                torch.cuda.empty_cache()  # the next case may need less
        if error is not None and len(names) > 1:
            for item in decollate_batch(batchdata):
                engine.state.batch = single = list_data_collate([item])
                output = self._attempt(engine, single) or output
            return output
        seconds = (time.perf_counter() - started) / len(names)
        for name, scores in zip(names, _uncertainties(output, len(names)), strict=True):
            self._note(name, seconds, error, scores)
        return output

    def _note(self, name: str, seconds: float, error: str | None, uncertainty: Any = None) -> None:
        assert self.cases is not None
        record: dict[str, Any] = {"case": name, "status": "ok", "seconds": round(seconds, 3)}
        if uncertainty is not None:
            record["uncertainty"] = uncertainty
        if error is not None:
            logger.error("case %s failed: %s", printable(name), printable(error, lines=True))
            record.update(status=_FAILED, error=error)
        self.cases.append(record)


def _left_on_host(batchdata: Mapping[str, Any], *_: Any, **kwargs: Any) -> Any:
    return default_prepare_batch(batchdata, torch.device("cpu"), **kwargs)


def _name(item: Any, index: int) -> str:
    case = item.get("case") if isinstance(item, Mapping) else None
    return str(case) if case else f"number {index + 1}"


def _names(batchdata: Mapping[str, Any], index: int) -> list[str]:
    """Names of the cases of a batch."""
    cases = batchdata.get("case")
    if not isinstance(cases, (list, tuple)):
        count = len(next(value for value in batchdata.values() if hasattr(value, "__len__")))
        return [f"number {index + number + 1}" for number in range(count)]
    return [_name({"case": case}, index + number) for number, case in enumerate(cases)]


def _uncertainties(output: Any, count: int) -> list[Any]:
    """Scores of the cases of a batch, see :class:`~sa2_monai.inference.uncertainty.ScoreUncertaintyd`."""
    items = output if isinstance(output, list) and len(output) == count else [{}] * count
    return [item.get("uncertainty_scores") for item in items]


def _files(data: Any) -> list[str]:
    """Image files of a case, or of a batch, as far as it tells them."""
    image = data.get("image") if isinstance(data, Mapping) else data
    if isinstance(image, MetaTensor):
        image = image.meta.get(ImageMetaKey.FILENAME_OR_OBJ)
    entries = image if isinstance(image, (list, tuple)) else [image]
    return [os.fspath(entry) for entry in entries if isinstance(entry, (str, os.PathLike))]
