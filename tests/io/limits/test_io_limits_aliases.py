# SPDX-License-Identifier: Apache-2.0
"""YAML that stands for more than is written: refused by whoever reads configurations, before it is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sa2_monai.bundle.locate import load, load_one, merged
from sa2_monai.bundle.network import metadata_of
from sa2_monai.bundle.packaging.inputs import read_texts
from sa2_monai.bundle.run.ids import read_plain
from sa2_monai.cli.common import read_override
from sa2_monai.io.limits.aliases import safe_yaml

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]\n" for k in range(1, 10)
)
MERGES = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 10)}]}}\n" for k in range(1, 10)
)
TEST_CASES = {
    "lists": (LAUGHS, r"stands for 1\.\d+e\+10 values by its aliases, \d+ are written"),
    "merged keys": (MERGES, r"stands for \S+e\+\d+ values by its aliases"),
    "itself": ("a: &a [*a]\n", "holds itself by an alias"),
    "brackets": ("a: " + "[" * 5000 + "]" * 5000 + "\n", "more than 200 levels within each other"),
    "braces": ("a: " + "{a: " * 5000 + "1" + "}" * 5000 + "\n", "more than 200 levels within each other"),
    "levels": ("- " * 5000 + "1\n", "more than 200 levels within each other"),
    "levels and an alias": ("a: &a 1\nb: *a\nc:\n  " + "- " * 5000 + "1\n", "more than 200 levels within each other"),
}
READERS: dict[str, Callable[[Path], Any]] = {
    "overlay or plan": load_one,
    "configuration": load,
    "merged": lambda path: merged({}, [path]),
    "texts": read_texts,
    "values of switches": read_plain,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("case", TEST_CASES)
def test_refused(tmp_path: Path, case: str, reader: str) -> None:
    text, message = TEST_CASES[case]
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        READERS[reader](path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_json(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    path = tmp_path / "configs" / "metadata.json"
    path.write_text('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}")
    for read in (load_one, load, lambda path: metadata_of(tmp_path)):
        with pytest.raises(ValueError, match="more than 200 levels"):
            read(path)
    path.write_text(json.dumps({"a": "&a *a", "b": list(range(30_000))}))
    assert load_one(path) == metadata_of(tmp_path) == json.loads(path.read_text())


@pytest.mark.parametrize("text", ["", "- 1\n- 2\n", "1\n"])
def test_what_is_no_mapping(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    for read in (load_one, load):
        with pytest.raises(ValueError, match=r"c\.yaml: holds .*, expected values by their ids"):
            read(tmp_path / "c.yaml")


def test_what_a_user_types() -> None:
    with pytest.raises(ValueError, match=r"holds itself"):
        read_override("a=&a [*a]")
    assert read_override("a=[1, 2]") == ("a", [1, 2])


def test_ordinary_aliases() -> None:
    text = "a: &a [1, 2]\nb: *a\nc: {<<: &c {x: 1}, y: *a}\nd: $@a & 1\n"
    assert safe_yaml(text, "c") == {"a": [1, 2], "b": [1, 2], "c": {"x": 1, "y": [1, 2]}, "d": "$@a & 1"}
    many = f"a: &a {list(range(1000))}\n" + "".join(f"b{k}: *a\n" for k in range(9))
    assert len(safe_yaml(many, "c")) == 10
