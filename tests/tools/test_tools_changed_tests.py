# SPDX-License-Identifier: Apache-2.0
"""Which tests ``tools/test --quick`` chooses for a change."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

# Changed file, tests that must be among the chosen, tests that must not.
TEST_CASES = [
    ("sa2_monai/io/volumes/nifti.py", ["io/volumes/test_io_volumes_nifti.py"], ["io/volumes/test_io_volumes_itk.py"]),
    (
        "sa2_monai/data/checks/images.py",
        ["data/checks/test_data_checks_volumes.py"],
        ["io/images/test_io_images_tiff.py"],
    ),
    ("sa2_monai/io/images/read.py", ["io/images/test_io_images_read.py"], ["io/volumes/test_io_volumes_read.py"]),
    (
        "sa2_monai/data/datasets/segpc.py",
        ["data/datasets/test_data_datasets_segpc.py"],
        ["data/datasets/test_data_datasets_fives.py"],
    ),
    ("sa2_monai/bundle/exporting/export.py", ["bundle/test_bundle_export.py"], ["bundle/test_bundle_verbatim.py"]),
    ("sa2_monai/networks/svanet.py", ["networks/test_networks_svanet.py"], ["networks/test_networks_sa2net.py"]),
    ("tests/support/full_disk.py", ["weights/test_weights_files.py"], ["io/test_io_paths.py"]),
    ("tests/io/test_io_paths.py", ["io/test_io_paths.py"], ["io/test_io_text.py"]),
    ("bundles/svanet/configs/train.yaml", ["bundles/test_bundles_svanet.py"], ["bundles/test_bundles_sa2net.py"]),
    ("CONTRIBUTING.md", ["docs/test_docs_text.py"], ["tools/test_tools_slurm.py"]),
    ("mkdocs.yml", ["docs/test_docs_site.py"], ["tools/test_tools_slurm.py"]),
    (
        "tools/lib/benchmark/volume.py",
        ["tools/benchmark/test_tools_benchmark_volume.py"],
        ["tools/test_tools_slurm.py"],
    ),
]


@pytest.fixture(scope="module")
def tool(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("changed_tests", repository / "tools" / "lib" / "changed_tests.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("changed", "chosen", "others"), TEST_CASES, ids=[case[0] for case in TEST_CASES])
def test_selection(tool: ModuleType, repository: Path, changed: str, chosen: list[str], others: list[str]) -> None:
    tests = sorted((repository / "tests").rglob("test_*.py"))
    found = {test.relative_to(repository / "tests").as_posix() for test in tool.selected([Path(changed)], tests)}
    assert set(chosen) <= found
    assert not set(others) & found


def test_every_folder_of_the_package_is_covered(tool: ModuleType, repository: Path) -> None:
    """A change of any module runs something: tests of its name, of its mirror, or that import it."""
    tests = sorted((repository / "tests").rglob("test_*.py"))
    modules = [path.relative_to(repository) for path in (repository / "sa2_monai").rglob("*.py")]
    folders = {module.parent for module in modules if module.stem != "__init__" and tool.selected([module], tests)}
    assert folders == {module.parent for module in modules if module.stem not in ("__init__", "version")}


def test_changes_since_the_last_commit(tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New and edited files; after a commit those of the commit; since another one with SA2_BASE."""

    def git(*words: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.delenv("SA2_BASE", raising=False)
    git("init")
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text("1")
        git("add", name)
        git("commit", "-m", name)
    assert tool.changed_files() == [Path("c")]
    (tmp_path / "a").write_text("2")
    (tmp_path / "new").write_text("1")
    assert tool.changed_files() == [Path("a"), Path("new")]
    monkeypatch.setenv("SA2_BASE", "HEAD~1")
    assert tool.changed_files() == [Path("a"), Path("c"), Path("new")]
