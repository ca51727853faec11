# SPDX-License-Identifier: Apache-2.0
"""A data set whose sample is one slice: of volumes that are decoded once, or of 2D images."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from multiprocessing.pool import ThreadPool
from typing import Any, TypeVar

import numpy as np
from monai.config import KeysCollection
from monai.transforms import Compose, Randomizable, RandomizableTrait, Transform
from monai.utils import MAX_SEED, ensure_tuple, optional_import
from torch.utils.data import Dataset

from sa2_monai.data.slice_draw import Draw
from sa2_monai.data.slice_store import StoredCase
from sa2_monai.slices.draw import SLICE_KEY

__all__ = ["SliceDataset"]

logger = logging.getLogger(__name__)
tqdm, _has_tqdm = optional_import("tqdm", name="tqdm")
_Result = TypeVar("_Result")


class SliceDataset(Dataset[Any]):
    """Slices of labelled cases, each a sample of its own; a 2D image is a stack of one slice.

    The first steps of ``transform`` see a case as a whole and are deterministic; their result is kept. The others,
    random ones among them, see one slice: (C, x, y) with the entry ``slice_index`` (if any case has several) and, in
    the metadata, the name of the file, the slice's own affine and its index. Of a 2D image, which is its own slice, all
    steps before the first random one are kept. The length is the number of slices of all cases.

    Kept cases take as little memory as they can without a loss (see :class:`~sa2_monai.data.slice_store.Stack`), and
    the workers of a data loader share it. Cases beyond ``cache_rate`` are read when a slice of them is wanted; each
    process keeps the last ``keep`` of those with more than one slice, and a :class:`SliceSampler` asks for the slices
    of few such cases at a time.

    An index may be a :class:`~sa2_monai.data.Draw` of a sampler: the random steps then draw from its seed, whatever has
    been drawn before and in whichever process. With a plain number they draw from a stream that ``set_random_state``
    starts, as MONAI's data sets do. Entries that only some of the cases have are left out: a batch needs them of all.

    Args:
        data: cases, dictionaries with the file names of ``keys``.
        transform: all steps, a ``Compose`` or a list of transforms.
        per_case: how many of the steps see the whole case; ``None``: all before the first random one.
        keys: images and labels, which are cut into slices; those that a case does not have are left out.
        label_key: the label, one of ``keys``.
        count: number of slices of a case that is not kept, without reading its voxels
            (:func:`~sa2_monai.data.slice_counter`); ``None``: every such case is read once, at the start.
        prepared: where the cases after their first steps come from, by their place in ``data``, instead of running
            these steps: a data set that keeps them on the disk.
        cache_rate: share of the cases that is kept, 0 to 1.
        num_workers: threads that read cases at the start, at least 1.
        progress: show a progress bar while they do.
        keep: cases that a process keeps beyond ``cache_rate``, at least 1.

    Raises:
        ValueError: no cases, arguments out of range, a case that cannot be cut into slices, or one that has another
            number of slices than ``count`` said.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Compose | Callable[..., Any] | Sequence[Callable[..., Any]],
        per_case: int | None = None,
        keys: KeysCollection = ("image", "label"),
        label_key: Hashable = "label",
        count: Callable[[Mapping[str, Any]], int] | None = None,
        prepared: Sequence[Mapping[str, Any]] | Dataset[Any] | None = None,
        cache_rate: float = 1.0,
        num_workers: int | None = 1,
        progress: bool = True,
        keep: int = 2,
    ) -> None:
        self.data = data
        self.transform = transform if isinstance(transform, Compose) else Compose(transform)
        steps = len(self.transform.transforms)
        self.per_case = _first_random(self.transform) if per_case is None else per_case
        if not data:
            raise ValueError("SliceDataset: the list of cases is empty, expected at least one image with its label.")
        if not 0 <= self.per_case <= steps or not 0 <= cache_rate <= 1 or keep < 1:
            raise ValueError(
                f"SliceDataset: per_case is {self.per_case}, cache_rate {cache_rate}, keep {keep}; expected 0 to "
                f"{steps} steps, a share from 0 to 1, and at least 1 case."
            )
        random = [t for t in self.transform.transforms[: self.per_case] if isinstance(t, RandomizableTrait)]
        if random:
            raise ValueError(
                f"SliceDataset: {type(random[0]).__name__} is random, but stands among the {self.per_case} steps whose "
                "result is kept. Put it into the list of random transforms."
            )
        self._first_random = max(_first_random(self.transform), self.per_case)
        self.keys = ensure_tuple(keys)
        self.label_key = label_key
        self.keep = keep
        self.prepared = prepared
        self._threads = max(int(num_workers or 1), 1)
        self._progress = progress and _has_tqdm
        self._recent: OrderedDict[int, StoredCase] = OrderedDict()
        self._random = np.random.RandomState()
        self._rare = {key for case in data for key in case} - set(data[0]).intersection(*data)
        self._stored = self._in_threads(self._load, range(int(len(data) * cache_rate)), "Loading dataset")
        rest = range(len(self._stored), len(data))
        if count is None:
            counted = self._in_threads(lambda case: self._load(case).number, rest, "Counting slices")
        else:
            counted = [count(data[case]) for case in rest]
        self._counts = np.array([*(case.number for case in self._stored), *counted], dtype=np.int64)
        self._ends = np.cumsum(self._counts)
        self._has_stacks = bool((self._counts > 1).any())

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int | Draw) -> Any:
        """Sample of a slice: what the steps behind the first ``per_case`` make of it."""
        # Here and not once: the transforms may belong to another data set, too.
        _share_random_state(self.transform, self._random)
        if isinstance(index, Draw):
            self._random.seed(index.seed)
            index = index.item
        number, place = self.locate(index)
        case = self._case(number)
        sample = case[place]
        if not self._has_stacks:
            del sample[SLICE_KEY]
        return self.transform(sample, start=self.per_case if case.is_volume else self._first_random)

    def locate(self, index: int) -> tuple[int, int]:
        """Case, and slice in it, of an index; negative ones count from the end.

        Raises:
            IndexError: there is no such slice.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no slice {index}: the data set has {len(self)} of {len(self.data)} cases")
        index %= len(self)
        case = int(np.searchsorted(self._ends, index, side="right"))
        return case, index - int(self._ends[case] - self._counts[case])

    @property
    def case_of(self) -> np.ndarray:
        """Case of each slice, ``(len(self),)``."""
        return np.repeat(np.arange(len(self._counts)), self._counts)

    @property
    def far(self) -> np.ndarray:
        """Whether a slice belongs to a volume that has to be read for it, ``(len(self),)``."""
        away = (np.arange(len(self._counts)) >= len(self._stored)) & (self._counts > 1)
        return np.repeat(away, self._counts)

    def classes(self) -> dict[int, np.ndarray]:
        """Slices that show each class, ascending; background, 0, is none. Cases that are not kept are read for it."""
        number = len(self.data) - len(self._stored)
        if number:
            logger.info("%d cases are not kept in memory: they are read once to see which slices hold what.", number)
        found = self._in_threads(
            lambda case: self._read(case).classes(self.label_key), range(len(self.data)), "Classes"
        )
        values = sorted({value for slices in found for value in slices})
        begins = self._ends - self._counts
        return {
            value: np.concatenate(
                [b + slices[value] for b, slices in zip(begins, found, strict=True) if value in slices]
            )
            for value in values
        }

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> SliceDataset:
        """Start the stream that the random steps draw from when an index is a plain number.

        Args:
            seed: its seed; ``None`` for another one each time.
            state: taken over instead of a seed.
        """
        if state is not None:
            self._random.set_state(state.get_state())
        else:
            self._random.seed(None if seed is None else seed % MAX_SEED)
        return self

    def _read(self, case: int) -> StoredCase:
        return self._stored[case] if case < len(self._stored) else self._load(case)

    def _case(self, case: int) -> StoredCase:
        if case < len(self._stored):
            return self._stored[case]
        if case in self._recent:
            self._recent.move_to_end(case)
            return self._recent[case]
        loaded = self._load(case)
        if loaded.number != self._counts[case]:
            raise ValueError(
                f"{self.data[case].get(self.keys[0])}: has {loaded.number} slices, but its header counted "
                f"{self._counts[case]}. Did the file change? Start the training again, or keep all cases: cache_rate 1."
            )
        if loaded.number > 1:
            self._recent[case] = loaded
            while len(self._recent) > self.keep:
                self._recent.popitem(last=False)
        return loaded

    def _load(self, case: int) -> StoredCase:
        if self.prepared is None:
            result = self.transform(dict(self.data[case]), end=self.per_case, threading=True)
        else:
            result = self.prepared[case]
        result = {key: value for key, value in result.items() if key in self.keys or key not in self._rare}
        if getattr(result.get(self.label_key), "ndim", 4) == 3:
            result = self.transform(result, start=self.per_case, end=self._first_random, threading=True)
        return StoredCase(result, self.keys, self.label_key)

    def _in_threads(self, function: Callable[[int], _Result], cases: Iterable[int], what: str) -> list[_Result]:
        cases = list(cases)
        if not cases:
            return []
        with ThreadPool(self._threads) as pool:
            results = pool.imap(function, cases)
            return list(tqdm(results, total=len(cases), desc=what) if self._progress else results)


def _first_random(transform: Compose) -> int:
    first = transform.get_index_of_first(lambda t: isinstance(t, RandomizableTrait) or not isinstance(t, Transform))
    return len(transform.transforms) if first is None else first


def _share_random_state(transform: Any, state: np.random.RandomState) -> None:
    """One generator for all random steps: it is seeded for each sample in microseconds, as many of them in ms."""
    if isinstance(transform, Compose):
        Randomizable.set_random_state(transform, state=state)
        for step in transform.transforms:
            _share_random_state(step, state)
    elif isinstance(transform, Randomizable):
        transform.set_random_state(state=state)
