# SPDX-License-Identifier: Apache-2.0
"""The built wheel and sdist: what is in them, and the commands from an empty folder, without a checkout."""

from __future__ import annotations

import email.parser
import re
import stat
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from pathlib import Path

import pytest

from sa2_monai.io.digest import sha256_of
from tests.support.programs import run_untraced
from tests.support.small_models import GLANDS, save_model

pytestmark = pytest.mark.integration

#: What a checkout in use holds beside the tracked files, and no distribution may.
JUNK = (
    "bundles/sa2net/models/model.pt",
    "bundles/sa2net/eval/metrics_per_case.csv",
    "bundles/sa2net/configs/__pycache__/x.pyc",
    "sa2_monai/__pycache__/x.pyc",
    "runs/sa2net-nuclei/models/model.pt",
)
#: In one process, since importing PyTorch and MONAI is most of what a command takes.
SESSION = """
import sys
from pathlib import Path
import sa2_monai
from sa2_monai.bundle import bundles_folder
from sa2_monai.cli import main

def call(*words):
    assert main(list(words)) == 0, words

package = Path(sys.argv[1])
assert Path(sa2_monai.__file__).parent == package, sa2_monai.__file__
assert bundles_folder() == package / "bundles"
call("sample", "data", "--training", "2", "--validation", "1", "--test", "1", "--size", "48")
call("datasets", "check", "folder", "data")
call("bundles", "copy", "svanet", "mine")
call("inspect", "mine")
call("predict", "data/images", "--weights", "model.pt", "--output", "out")
call("evaluate", "--predictions", "out/predictions", "--references", "data/labels", "--classes", "background,nucleus",
     "--output", "scores")
call("package", "--weights", "model.pt", "--dataset", "glas", "--output", "packaged")
call("export", "--weights", "model.pt", "--to", "torchscript")
bundle = sa2_monai.load_bundle("sa2net", weights="model.pt", device="cpu")
names = {"class_names": ["background", "nucleus"], "num_workers": 0}
print(bundle.train("data", "folder", max_epochs=1, **names))
assert bundle.evaluate("data", "folder", num_workers=0).cases
"""


@pytest.fixture(scope="module")
def tracked(repository: Path) -> list[str]:
    """The tracked files of the checkout."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{repository} is no git checkout")
    return [name for name in done.stdout.split("\0") if name and (repository / name).is_file()]


@pytest.fixture(scope="module")
def built(repository: Path, tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel, made of the sdist, and the sdist, made of the tracked files and some junk, without git."""
    source = tmp_path_factory.mktemp("source")
    for name in (*tracked, *JUNK):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(b"junk" if name in JUNK else (repository / name).read_bytes())
    done = run_untraced([sys.executable, "-m", "build", "--no-isolation"], source)
    assert done.returncode == 0, done.stderr
    (wheel,), (sdist,) = source.glob("dist/*.whl"), source.glob("dist/*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="module")
def metadata(built: tuple[Path, Path]) -> Message:
    """The metadata of the wheel; its description is the payload."""
    with zipfile.ZipFile(built[0]) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        return email.parser.Parser().parsestr(wheel.read(name).decode())


def test_they_hold_the_package_and_its_bundles_and_nothing_else(built: tuple[Path, Path], tracked: list[str]) -> None:
    ours = {name for name in tracked if name.startswith(("sa2_monai/", "bundles/"))}
    assert any(name.endswith("sa2net/configs/train.yaml") for name in ours)
    with zipfile.ZipFile(built[0]) as wheel:
        found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert found == {name if name.startswith("sa2_monai/") else f"sa2_monai/{name}" for name in ours}
    with tarfile.open(built[1]) as sdist:
        inside = {member.name.partition("/")[2] for member in sdist.getmembers() if member.isfile()}
    more = {"CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "PKG-INFO", "README.md"}
    more |= {"pyproject.toml", "setup.cfg", "setup.py"}
    assert {name for name in inside if not name.startswith("sa2_monai.egg-info/")} == ours | more


def test_a_package_index_takes_and_shows_them(built: tuple[Path, Path], metadata: Message) -> None:
    done = run_untraced([sys.executable, "-m", "twine", "check", "--strict", *map(str, built)])
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == 2
    description = metadata.get_payload()
    assert isinstance(description, str)
    assert description.lstrip().startswith("# sa2_monai")
    relative = r"""(?:\]\(|(?:href|src|srcset)=["'])(?!https?:|#)[^)"']*"""
    assert re.findall(relative, description) == [], "links and images that an index does not have"
    caption = "The median test case of a generated set"
    assert caption in (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert caption not in description, "the caption of an image that an index does not have"
    versions = [f"Programming Language :: Python :: 3.{minor}" for minor in (10, 11, 12, 13)]
    assert set(versions) <= set(metadata.get_all("Classifier", []))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert metadata.get_all("Project-URL")


def test_every_command_works_from_an_empty_folder(built: tuple[Path, Path], tmp_path: Path) -> None:
    site, work = tmp_path / "site", tmp_path / "work"
    options = ("--quiet", "--no-deps", "--no-index", "--target", str(site))
    done = run_untraced([sys.executable, "-m", "pip", "install", *options, str(built[0])])
    assert done.returncode == 0, done.stderr
    save_model(work / "model.pt", GLANDS)
    installed = [path for path in sorted(site.rglob("*")) if path.is_file()]
    before = {path: sha256_of(path) for path in installed}
    for path in (site, *site.rglob("*")):  # for root, to whom this means nothing, the files are compared
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    try:
        commands = (
            [sys.executable, "-c", SESSION, str(site / "sa2_monai")],
            [sys.executable, "-m", "sa2_monai", "info"],
            [str(site / "bin" / "sa2-monai"), "bundles"],
        )
        runs = [run_untraced(command, work, PYTHONPATH=str(site), PYTHONDONTWRITEBYTECODE="1") for command in commands]
    finally:
        for path in (site, *site.rglob("*")):
            path.chmod(path.stat().st_mode | stat.S_IWUSR)
    assert [run.returncode for run in runs] == [0, 0, 0], "\n".join(run.stderr for run in runs)
    session, info, bundles = (run.stdout for run in runs)
    assert str(site / "sa2_monai" / "bundles" / "sa2net") in info
    assert str(site / "sa2_monai" / "bundles" / "sa2net") in bundles
    assert session.splitlines()[-1].endswith(str(Path("runs", "sa2net-data", "models", "model.pt")))
    made = {path.name for path in work.iterdir()}
    assert made == {"data", "mine", "model.json", "model.pt", "model.ts", "out", "packaged", "runs", "scores"}
    after = {path: sha256_of(path) for path in sorted(site.rglob("*")) if path.is_file()}
    assert after == before, "something was written into the installed package"
