# SPDX-License-Identifier: Apache-2.0
"""A data set that keeps its cases on the disk up to the first random transform."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from monai.data import Dataset
from monai.transforms import RandomizableTrait, Transform, reset_ops_id

from sa2_monai.training.disk_cache.contents import FileHashes
from sa2_monai.training.disk_cache.definition import describe, versions
from sa2_monai.training.disk_cache.folder import private_folder
from sa2_monai.training.disk_cache.items import from_plain, to_plain
from sa2_monai.weights.sealed import read_sealed, write_sealed

__all__ = ["DiskCacheDataset"]

logger = logging.getLogger(__name__)

_FORMAT = 1


class DiskCacheDataset(Dataset):
    """Cases as they are after the deterministic transforms at the beginning of a chain, kept as files.

    A file is found by the SHA-256 of everything it depends on: the bytes of the case's files, its entry in the data
    list, the transforms with all their settings, the version of each library that decodes or resamples. When any of it
    changes, the case is made anew; nobody has to empty the folder, and nothing stale is ever used. The files hold
    tensors and plain values with a checksum, and code in them would not be run; one that is damaged is made anew.
    Several trainings may use one folder at the same time. It may be deleted whenever none of them runs.

    All files of the data set are read once when a training starts. What changes later is noticed by the next one.

    Args:
        data: data list; entries are dictionaries.
        transform: chain of transforms; what comes before the first random one is kept.
        cache_dir: folder for the files, of this user alone; made when needed.
        keys: entries of a case that name its files, as a path or a list of paths; those that a case lacks are left out.
        num_workers: threads that read the files when a training starts; at least one is used.

    Raises:
        ValueError: a transform whose settings cannot be told from those of another.
        PermissionError: a folder of another user, or one that others can write to.
        OSError: a file cannot be read, or the folder not be written.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Sequence[Callable[..., Any]] | Callable[..., Any],
        cache_dir: str | os.PathLike[str],
        keys: Sequence[str] = ("image", "label"),
        num_workers: int = 0,
    ) -> None:
        super().__init__(data, transform)
        self.keys = tuple(keys)
        self.first_random = self.transform.get_index_of_first(
            lambda t: isinstance(t, RandomizableTrait) or not isinstance(t, Transform)
        )
        # Before the first call: some transforms remember what they have seen.
        definition = [describe(t, type(t).__name__) for t in self.transform.transforms[: self.first_random]]
        self._common = _hash([_FORMAT, definition, versions()])
        self.cache_dir = private_folder(cache_dir)
        hashes = FileHashes()
        logger.info("reading the files of %d cases to compare them with %s.", len(data), self.cache_dir)
        with ThreadPoolExecutor(max(num_workers, 1)) as pool:
            self._names = list(pool.map(lambda case: self._name(case, hashes), data))

    def _name(self, case: Mapping[str, Any], hashes: FileHashes) -> str:
        contents = {key: hashes.of(case[key]) for key in self.keys if key in case}
        if not contents:
            raise ValueError(
                f"a case of the data list has none of the entries {', '.join(self.keys)} that name its files: {case}. "
                "Name those it has in `keys`."
            )
        return _hash([self._common, describe(case, "case"), contents])

    def _transform(self, index: int) -> Any:
        item = self._kept(index)
        return item if self.first_random is None else self.transform(item, start=self.first_random)

    def _kept(self, index: int) -> Any:
        """The case before the first random transform, from its file or made anew."""
        path = self.cache_dir / f"{self._names[index]}.pt"
        if path.is_file():
            try:
                return from_plain(read_sealed(path)["item"])
            except FileNotFoundError:
                pass  # removed at this moment
            except (ValueError, LookupError, TypeError) as error:
                logger.warning("%s The case is made anew.", error)
        case = self.data[index]
        item = self.transform(case, end=self.first_random, threading=True)
        reset_ops_id(item)
        if self._name(case, FileHashes()) != self._names[index]:
            files = ", ".join(str(case[key]) for key in self.keys if key in case)
            raise ValueError(
                f"the files of a case were changed while the training was running: {files}. Start it again when "
                "nothing writes to the data set any more."
            )
        plain = to_plain(item)
        write_sealed(path, {"item": plain})
        return from_plain(plain)


def _hash(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
