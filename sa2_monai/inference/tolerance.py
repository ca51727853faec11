# SPDX-License-Identifier: Apache-2.0
"""Inference over many cases in which one bad case does not end the others.

A clinic sends a hundred studies over night. When the third one is damaged, the other ninety-nine are wanted in the
morning, the damaged one by name, and a program's exit code that tells.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.data import Dataset
from monai.engines import SupervisedEvaluator

from sa2_monai.data.problems import FailedCasesError

__all__ = ["CaseDataset", "CaseEvaluator", "FailedCasesError"]

logger = logging.getLogger(__name__)

_FAILED = "failed"
# What a bad file, a full disk or a volume too large for the memory raises; anything else is a defect of the program.
_ERRORS = (OSError, ValueError, RuntimeError, MemoryError)


class CaseDataset(Dataset):
    """``monai.data.Dataset`` whose items tell when they cannot be loaded, instead of ending the run.

    For :class:`CaseEvaluator`, with batches of one case.

    Args:
        data: data list, ``[{"image": path, "case": name}, ...]``.
        transform: see ``monai.data.Dataset``.
        tolerant: ``False`` makes it a ``monai.data.Dataset``, for batches of several cases.
    """

    def __init__(self, data: Sequence[Any], transform: Any = None, tolerant: bool = True) -> None:
        super().__init__(data, transform)
        self.tolerant = tolerant

    def _transform(self, index: int) -> Any:
        if not self.tolerant:
            return super()._transform(index)
        try:
            return super()._transform(index)
        except _ERRORS as error:
            return {"case": _name(self.data[index], index), _FAILED: first_cause(error)}


class CaseEvaluator(SupervisedEvaluator):
    """``SupervisedEvaluator`` that notes a case that fails, goes on, and reports all of them at the end.

    Batches hold one case. After a run ``cases`` lists ``{"case", "status" ("ok" or "failed"), "seconds", "error"}`` in
    their order.

    Args:
        args: arguments of ``monai.engines.SupervisedEvaluator``.
        tolerant: ``False`` makes it a ``monai.engines.SupervisedEvaluator``, for batches of several cases: the first
            error ends the run, and ``cases`` is ``None``.
        kwargs: further arguments of ``monai.engines.SupervisedEvaluator``.

    Raises:
        FailedCasesError: by :meth:`run`, when all cases have been tried and some failed.
    """

    def __init__(self, *args: Any, tolerant: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cases: list[dict[str, Any]] | None = [] if tolerant else None

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
        name = _name(batchdata, len(self.cases))
        started = time.perf_counter()
        error = None
        output: dict = {}
        if _FAILED in batchdata:
            (error,) = batchdata[_FAILED]
        else:
            try:
                output = super()._iteration(engine, batchdata)
            except _ERRORS as found:
                error = first_cause(found)
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()  # the next case may need less
        if error is not None:
            engine.state.output = {}
            logger.error("case %s failed: %s", name, error)
        record: dict[str, Any] = {"case": name, "status": "ok" if error is None else _FAILED}
        record["seconds"] = round(time.perf_counter() - started, 3)
        self.cases.append(record if error is None else {**record, "error": error})
        return output


def first_cause(error: BaseException) -> str:
    """Message of the exception that began a chain; MONAI's transforms wrap theirs."""
    while True:
        before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if before is None or not isinstance(before, _ERRORS) or not isinstance(error, RuntimeError):
            return str(error) or type(error).__name__
        error = before


def _name(item: Any, index: int) -> str:
    case = item.get("case") if isinstance(item, Mapping) else None
    if isinstance(case, (list, tuple)):
        case = case[0] if case else None
    return str(case) if case else f"number {index + 1}"
