# SPDX-License-Identifier: Apache-2.0
"""Files of volumes are read to their end: every format, every kind of damage, the same answer for every use."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sa2_monai.data import VolumeReader, read_volume
from sa2_monai.data.checks.volumes import check_volumes
from sa2_monai.io.label_maps import read_label_map
from sa2_monai.io.volumes.streams import Stored, allocate, check_length, read_start, read_stored
from tests.support.volume_files import ARRAY, COMPRESSED, FORMATS, GZIP, data_file, recompressed, spoil, write_volume

SLICE = 9 * 8 * 2  # bytes


def flipped(place: float) -> Callable[[bytes], bytes]:
    """One bit of a file, at a share of its length; from its end where negative."""

    def change(content: bytes) -> bytes:
        spoiled = bytearray(content)
        spoiled[int(place) if place <= -1 else int(len(content) * place)] ^= 1
        return bytes(spoiled)

    return change


TEST_CASE_FAULTS: dict[str, tuple[tuple[str, ...], Callable[[bytes], bytes], str]] = {
    "cut in half": (FORMATS, lambda b: b[: len(b) // 2], "truncated or damaged"),
    "the last byte is missing": (FORMATS, lambda b: b[:-1], "truncated or damaged"),
    "no checksum": (COMPRESSED, lambda b: b[:-4], "truncated or damaged"),
    "a bit of the checksum": (COMPRESSED, flipped(-3), "truncated or damaged"),
    "a bit in the middle": (COMPRESSED, flipped(0.6), "truncated or damaged"),
    "a bit of the length": (GZIP, flipped(-1), "truncated or damaged"),
    "something behind it": (COMPRESSED, lambda b: b + b"garbage", "something follows the end of the compressed data"),
    "half a member behind it": (GZIP, lambda b: b + gzip.compress(b"0" * 99)[:-9], "truncated or damaged"),
    "a slice is missing": (FORMATS, recompressed(lambda b: b[:-SLICE]), "truncated or damaged: the header promises"),
    "a voxel is missing": (FORMATS, recompressed(lambda b: b[:-2]), "truncated or damaged: the header promises 9 x 8"),
    "a slice too many": (FORMATS, recompressed(lambda b: b + bytes(SLICE)), "holds 144 bytes behind the 9 x 8 x 7"),
    "twice the voxels": (FORMATS, recompressed(lambda b: b + b), "behind the 9 x 8 x 7 voxels of int16"),
}  # fmt: skip
FAULTS = [(name, kind) for name, (kinds, _, _) in TEST_CASE_FAULTS.items() for kind in kinds]


@pytest.mark.parametrize(("name", "kind"), FAULTS)
def test_damaged_files_are_refused_by_every_reader(tmp_path: Path, name: str, kind: str) -> None:
    _, change, message = TEST_CASE_FAULTS[name]
    path = spoil(write_volume(tmp_path, kind), change)
    for read in (read_volume, VolumeReader().read, lambda p: read_label_map(p, "prediction")):
        with pytest.raises(ValueError, match=message) as error:
            read(path)
        assert str(data_file(path)) in str(error.value)
    with pytest.raises(ValueError, match="label files that cannot be used"):
        check_volumes("here", [{"image": str(path), "label": str(path), "case": "v"}], "nonzero")


TEST_CASE_FINE: dict[str, tuple[tuple[str, ...], Callable[[bytes], bytes], str]] = {
    "as written": (FORMATS, lambda b: b, ""),
    "zeros of a tape": (COMPRESSED, lambda b: b + bytes(100), ""),
    "two members": (GZIP, lambda b: b, ""),
    "an empty member": (GZIP, lambda b: b + gzip.compress(b""), ""),
    "a few bytes behind the voxels": (FORMATS, recompressed(lambda b: b + b"\n"), "1 bytes follow the last voxel"),
}  # fmt: skip
FINE = [(name, kind) for name, (kinds, _, _) in TEST_CASE_FINE.items() for kind in kinds]


@pytest.mark.parametrize(("name", "kind"), FINE)
def test_whole_files_are_read(tmp_path: Path, name: str, kind: str) -> None:
    _, change, message = TEST_CASE_FINE[name]
    path = spoil(write_volume(tmp_path, kind), change)
    if name == "two members":
        content = data_file(path).read_bytes()
        start = content.find(b"\x1f\x8b")
        voxels = gzip.decompress(content[start:])
        parts = gzip.compress(voxels[:100]) + gzip.compress(voxels[100:])
        data_file(path).write_bytes(content[:start] + parts)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, ARRAY)
    assert volume.array.dtype == np.int16
    assert volume.array.flags.writeable
    assert [message in remark for remark in volume.header.remarks] == [True] * bool(message)


@pytest.mark.parametrize("packed", [True, False])
def test_content_counts_not_the_name(tmp_path: Path, packed: bool) -> None:
    path = write_volume(tmp_path, "nii.gz" if packed else "nii")
    other = path.rename(tmp_path / ("w.nii" if packed else "w.nii.gz"))
    volume = read_volume(other)
    np.testing.assert_array_equal(volume.array, ARRAY)
    assert volume.header.remarks == (f"is {'' if packed else 'not '}compressed, against its name",)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    content=st.binary(max_size=3000),
    cuts=st.lists(st.integers(0, 3000), max_size=4),
    skip=st.integers(0, 40),
    size=st.integers(0, 3000),
)
def test_members_of_any_length(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, cuts: list[int], skip: int, size: int
) -> None:
    path = tmp_path_factory.mktemp("members") / "x.gz"
    ends = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    path.write_bytes(b"".join(gzip.compress(content[a:b]) for a, b in itertools.pairwise(ends)))
    assert read_start(path, 50) == content[:50]
    stored = Stored(path, codec="gzip", skip=skip)
    if skip + size > len(content):
        with pytest.raises(ValueError, match="truncated or damaged"):
            read_stored(stored, size, "some voxels", 10**6)
        return
    found, remarks = read_stored(stored, size, "some voxels", 10**6)
    assert found.tobytes() == content[skip : skip + size]
    assert bool(remarks) == (skip + size < len(content))


def test_more_than_a_file_can_hold_is_refused_before_memory_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(bytes(10**6)))
    check_length(Stored(path, codec="gzip"), 10**6, "a million voxels")
    with pytest.raises(ValueError, match=r"the header promises all \(1000000000000 bytes\), but the file holds only"):
        check_length(Stored(path, codec="gzip"), 10**12, "all")
    with pytest.raises(ValueError, match="holds only 0 bytes"):
        check_length(Stored(path, start=10**6), 1, "one")

    def none(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate")

    monkeypatch.setattr("sa2_monai.io.volumes.streams.np.empty", none)
    with pytest.raises(MemoryError, match=r"x\.gz: not enough memory for its voxels \(2\.0 GiB\); close other"):
        allocate(path, 2**31)
