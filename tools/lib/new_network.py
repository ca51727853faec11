# SPDX-License-Identifier: Apache-2.0
"""What a network of the package needs, and what of it is missing."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from sa2_monai.networks.catalogue import CATALOGUE

__all__ = ["main", "missing"]

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ("train", "evaluate", "inference", "multi_gpu_train", "multi_gpu_evaluate", "inference_trt", "ensemble")


def missing(name: str, root: Path = ROOT) -> list[str]:
    """What is missing for a network, one line each, in the order in which one writes it; empty when nothing is.

    Args:
        name: lower-case name of the network.
        root: folder of the repository.
    """
    return list(_missing(name, root))


def _missing(name: str, root: Path) -> Iterator[str]:
    record = CATALOGUE.get(name)
    class_name = record.class_name if record else "its class"
    bundle = root / "bundles" / name
    if record is None:
        yield "sa2_monai/networks/catalogue.py: the record, which names the class, options, stages and published facts"
    yield from _file(root, f"sa2_monai/networks/{name}.py", rf"^class {class_name}\b", f"the network, {class_name}")
    tester = rf'^class \w+\(BaseNetworkTester\):(.|\n)*?NAME = "{name}"'
    yield from _file(root, f"tests/networks/test_networks_{name}.py", tester, "its tests, after BaseNetworkTester")
    for suffix, what in ((".json", "description"), (".npz", "arrays")):
        yield from _file(root, f"tests/goldens/{name}{suffix}", None, f"outputs of the published code: {what}")
    reference = rf"^class Published{class_name}\b"
    yield from _file(root, f"tests/reference/{name}.py", reference, "the published order of operations")
    if not (root / "sa2_monai" / "weights" / "published" / f"{name}.py").is_file():
        yield f"sa2_monai/weights/published/{name}.py: the converter of published checkpoints"
    for config in CONFIGS:
        yield from _file(root, f"bundles/{name}/configs/{config}.yaml", None, "configuration of the bundle")
    for file, what in (
        ("configs/metadata.json", "metadata of the bundle"),
        ("configs/logging.conf", "format of its logs"),
        ("LICENSE", "licence of the bundle"),
        ("docs/README.md", "model card"),
        ("docs/data_license.txt", "terms of the data"),
    ):
        yield from _file(root, f"bundles/{name}/{file}", None, what)
    protocol = "the published protocol, what the configurations do, and why they differ"
    yield from _file(root, f"docs/protocols/{name}.yaml", None, protocol)
    overlays = [
        path for path in bundle.glob("configs/*_meta.json") if path.with_name(path.name[:-10] + ".yaml").is_file()
    ]
    if not overlays:
        yield f"bundles/{name}/configs/<data set>.yaml and <data set>_meta.json: at least one data set"


def _file(root: Path, path: str, pattern: str | None, what: str) -> Iterator[str]:
    """A line for a file that is not there, is empty, or does not hold what it is for."""
    file = root / path
    if not file.is_file() or file.stat().st_size == 0:
        yield f"{path}: {what}"
    elif pattern is not None and not re.search(pattern, file.read_text(encoding="utf-8"), re.MULTILINE):
        yield f"{path}: is there, but lacks {what}"


def main() -> int:
    """Print what is missing; exit code 1 when something is."""
    parser = argparse.ArgumentParser(prog="tools/new-network", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help=f"lower-case name; those of the catalogue: {', '.join(CATALOGUE)}")
    name = parser.parse_args().name
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        parser.error(f"{name!r} is no name of a network: lower-case letters, digits and underscores, e.g. sa2net.")
    lines = missing(name)
    if not lines:
        print(f"{name}: nothing is missing. Its tests: tools/test tests/networks tests/bundles -k {name}")
        return 0
    print(f"{name}: {len(lines)} missing")
    for line in lines:
        print(f"  {line}")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
