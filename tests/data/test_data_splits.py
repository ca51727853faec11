# SPDX-License-Identifier: Apache-2.0
"""Splits: membership fixed by name and seed, and nothing in two parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sa2_monai.data import check_disjoint, kfold, split_test, write_splits

# What KFold(n_splits, shuffle=True, random_state=seed) of scikit-learn holds out by fold, computed from its definition
# outside this package: (cases, folds, seed).
SKLEARN = {
    (13, 5, 999): [[2, 4, 11], [6, 7, 12], [3, 9, 10], [1, 8], [0, 5]],
    (30, 5, 999): [
        [3, 14, 21, 23, 24, 29],
        [4, 6, 9, 10, 12, 18],
        [2, 7, 11, 15, 17, 27],
        [13, 16, 19, 20, 22, 25],
        [0, 1, 5, 8, 26, 28],
    ],
    (7, 3, 0): [[1, 2, 6], [0, 3], [4, 5]],
}


@pytest.mark.parametrize("key", list(SKLEARN))
def test_folds_are_those_of_scikit_learn(key: tuple[int, int, int]) -> None:
    folds = kfold(*key)
    assert [held_out for _, held_out in folds] == SKLEARN[key]
    for training, held_out in folds:
        assert sorted(training + held_out) == list(range(key[0]))


def test_folds_by_definition() -> None:
    """Shuffle 0..n-1 with RandomState(seed), cut in order, the first n % k folds one longer."""
    order = np.arange(37)
    np.random.RandomState(11).shuffle(order)
    sizes, start = [8, 8, 7, 7, 7], 0
    for (_, held_out), size in zip(kfold(37, 5, 11), sizes, strict=True):
        assert held_out == sorted(order[start : start + size].tolist())
        start += size


@pytest.mark.parametrize(("cases", "folds"), [(4, 5), (10, 1), (0, 2)])
def test_impossible_folds(cases: int, folds: int) -> None:
    with pytest.raises(ValueError, match=f"{folds} folds of {cases} cases are not possible"):
        kfold(cases, folds)


def test_test_part_depends_on_names_not_on_order() -> None:
    names = [f"c{i:02d}" for i in range(20)]
    rest, test = split_test(names, 0.2, 3)
    assert len(test) == 4
    assert sorted(rest + test) == list(range(20))
    shuffled = names[::-1]
    _, again = split_test(shuffled, 0.2, 3)
    assert [shuffled[i] for i in again] == [names[i] for i in test]
    assert split_test(names, 0.2, 4)[1] != test
    assert split_test(names, 0, 3) == (list(range(20)), [])
    assert len(split_test(names[:2], 0.01, 3)[1]) == 1


def test_groups_stay_together() -> None:
    names = [f"c{i:02d}" for i in range(12)]
    groups = [f"g{i % 4}" for i in range(12)]
    rest, test = split_test(names, 0.25, 0, groups)
    assert len({groups[i] for i in test}) == 1
    assert len(test) == 3
    assert not {groups[i] for i in test} & {groups[i] for i in rest}


def test_test_part_errors() -> None:
    with pytest.raises(ValueError, match=r"test_fraction is 1, expected a number in \[0, 1\)"):
        split_test(["a", "b"], 1)
    with pytest.raises(ValueError, match=r"1 case.* too few to hold out 20% as test part; add images"):
        split_test(["a"], 0.2)


def test_split_files(tmp_path: Path) -> None:
    parts = {"train": [{"case": "b"}, {"case": "a"}], "val": ["c"], "test": []}
    files = write_splits(tmp_path / "splits" / "set", parts)
    assert [f.name for f in files] == ["train.txt", "val.txt", "test.txt"]
    assert files[0].read_text() == "a\nb\n"
    assert files[2].read_text() == ""
    assert sorted(p.name for p in files[0].parent.iterdir()) == ["test.txt", "train.txt", "val.txt"]


def test_no_half_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_splits(tmp_path, {"train": ["a"]})
    assert list(tmp_path.iterdir()) == []


def test_shared_cases_groups_and_images_are_named() -> None:
    def case(name: str, **more: str) -> dict[str, str]:
        return {"case": name, "image": f"/d/{name}.png", **more}

    check_disjoint({"train": [case("a", group="1")], "test": [case("b", group="2")]})
    with pytest.raises(ValueError, match=r"the same case stands in two parts of the data: a \(train and test\)"):
        check_disjoint({"train": [case("a")], "test": [case("a")]})
    with pytest.raises(ValueError, match=r"the same group .*: 1 \(train and val\)"):
        check_disjoint({"train": [case("a", group="1")], "val": [case("b", group="1")]})
    with pytest.raises(ValueError, match="the same image stands"):
        check_disjoint({"train": [{"case": "a", "image": "x"}], "val": [{"case": "b", "image": "x"}]})
    many = [case(f"c{i:02d}") for i in range(14)]
    with pytest.raises(ValueError, match=r"c09 \(train and test\) and 4 more"):
        check_disjoint({"train": many, "test": many})
