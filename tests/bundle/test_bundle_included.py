# SPDX-License-Identifier: Apache-2.0
"""The bundles that come with the package: listed, copied, never written to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sa2_monai.bundle import bundles_folder, copy_bundle, export_network, find_bundle, load_bundle
from sa2_monai.bundle.included import is_included, list_bundles, run_folder
from sa2_monai.bundle.locate import bundle_names, bundle_of_weights
from sa2_monai.data import make_sample
from sa2_monai.networks.catalogue import CATALOGUE
from tests.support.small_models import GLANDS, save_model

# Path of the data, whether it is a file; folder of the run.
RUN_FOLDERS = [
    ("nuclei", False, "runs/sa2net-nuclei"),
    ("a/nuclei.v2", False, "runs/sa2net-nuclei.v2"),
    ("a/nuclei/dataset.json", True, "runs/sa2net-nuclei"),
    ("a/pairs.csv", True, "runs/sa2net-pairs"),
    ("/", False, "runs/sa2net-data"),
]


@pytest.fixture
def own_bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a bundle of the package, with weights, in the place of those of the package."""
    folder = tmp_path / "bundles"
    copy_bundle("sa2net", folder / "sa2net")
    save_model(folder / "sa2net" / "models" / "model.pt", GLANDS)
    for module in ("locate", "included"):
        monkeypatch.setattr(f"sa2_monai.bundle.{module}.bundles_folder", lambda: folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_there_is_one_for_each_network(repository: Path) -> None:
    assert bundles_folder() == repository / "bundles"
    assert set(bundle_names()) == set(CATALOGUE)
    listed = list_bundles()
    assert list(listed) == bundle_names()
    assert listed["sa2net"]["folder"] == str(find_bundle("sa2net"))
    assert {"monuseg", "folder", "sample"} <= set(listed["sa2net"]["overlays"])
    assert not {"train", "paper", "evaluate"} & set(listed["sa2net"]["overlays"])


def test_an_installation_has_them_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "site" / "sa2_monai" / "bundle" / "locate.py"
    monkeypatch.setattr("sa2_monai.bundle.locate.__file__", str(module))
    assert bundles_folder() == tmp_path / "site" / "bundles"
    (tmp_path / "site" / "sa2_monai" / "bundles").mkdir(parents=True)
    assert bundles_folder() == tmp_path / "site" / "sa2_monai" / "bundles"


def test_what_lies_in_them(tmp_path: Path) -> None:
    assert is_included(bundles_folder() / "sa2net" / "models" / "model.pt")
    (tmp_path / "link").symlink_to(bundles_folder() / "sa2net")
    assert is_included(tmp_path / "link")
    assert not is_included(tmp_path / "bundles" / "sa2net")


@pytest.mark.parametrize(("data", "is_file", "expected"), RUN_FOLDERS)
def test_the_folder_of_a_run(
    data: str, is_file: bool, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if is_file:
        Path(data).parent.mkdir(parents=True)
        Path(data).touch()
    assert run_folder("sa2net", data) == Path(expected)


def test_a_copy_is_a_bundle_to_edit(own_bundles: Path, tmp_path: Path) -> None:
    source = own_bundles / "sa2net"
    (source / "LICENSE").chmod(0o444)
    files = copy_bundle("sa2net", tmp_path / "new" / "mine")
    mine = tmp_path / "new" / "mine"
    assert sorted(files) == sorted(path for path in mine.rglob("*") if path.is_file())
    assert {path.name for path in mine.iterdir()} == {"LICENSE", "configs", "docs"}, "no weights"
    assert all(path.read_bytes() == (source / path.relative_to(mine)).read_bytes() for path in files)
    assert (mine / "LICENSE").stat().st_mode & 0o200, "may be edited"
    assert find_bundle(mine) == mine
    assert [path.name for path in mine.parent.iterdir()] == ["mine"], "nothing temporary stays"


def test_a_copy_replaces_nothing_unless_told(own_bundles: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    copy_bundle("sa2net", mine)
    (mine / "configs" / "train.yaml").write_text("mine")
    (mine / "configs" / "own.yaml").write_text("own")
    with pytest.raises(FileExistsError, match=r"mine is not empty.*--force"):
        copy_bundle("sa2net", mine)
    assert (mine / "configs" / "train.yaml").read_text() == "mine"
    shutil.rmtree(mine / "docs")
    copy_bundle("sa2net", mine, force=True)
    assert (mine / "configs" / "train.yaml").read_text() != "mine"
    assert (mine / "configs" / "own.yaml").read_text() == "own"
    assert (mine / "docs" / "README.md").is_file()


def test_a_copy_that_fails_leaves_nothing(own_bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match="No space left"):
        copy_bundle("sa2net", tmp_path / "mine")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "folder", "error", "message"),
    [
        ("sanet", "mine", FileNotFoundError, "sanet: no such bundle; the package has sa2net"),
        ("..", "mine", FileNotFoundError, "no such bundle"),
        ("sa2net", "bundles/mine", ValueError, "where nothing is written"),
        ("sa2net", "file", NotADirectoryError, "file is a file"),
    ],
)
def test_a_copy_that_is_refused(
    name: str, folder: str, error: type[Exception], message: str, own_bundles: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(error, match=message):
        copy_bundle(name, tmp_path / folder)
    assert not (tmp_path / "mine").exists()


def test_nothing_is_written_into_them(own_bundles: Path, tmp_path: Path) -> None:
    """Their weights are read, where there are some; what is made goes to the working directory or is asked for."""
    make_sample(tmp_path / "nuclei", seed=0, num_training=2, num_validation=1, num_test=1, size=(48, 40))
    before = sorted(own_bundles.rglob("*"))
    bundle = load_bundle("sa2net", device="cpu")
    assert bundle.weights == own_bundles / "sa2net" / "models" / "model.pt"
    assert bundle_of_weights(bundle.weights) == own_bundles / "sa2net"
    with pytest.raises(ValueError, match="where nothing is written"):
        export_network(bundle.root)
    disk_cache = tmp_path / "cached.yaml"
    configs = own_bundles / "sa2net" / "configs"
    disk_cache.write_text("\n".join((configs / name).read_text() for name in ("folder.yaml", "disk_cache.yaml")))
    names = {"class_names": ["background", "nucleus"], "num_workers": 0}
    new = bundle.train(tmp_path / "nuclei", disk_cache, max_epochs=1, **names)
    assert new == tmp_path / "runs" / "sa2net-nuclei" / "models" / "model.pt"
    assert (tmp_path / "runs" / "sa2net-nuclei" / "cache").is_dir()
    assert bundle.evaluate(tmp_path / "nuclei", "folder", num_workers=0).cases
    assert sorted(own_bundles.rglob("*")) == before
