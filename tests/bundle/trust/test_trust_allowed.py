# SPDX-License-Identifier: Apache-2.0
"""The lists: what runs without a question, and that the rest does not, in whatever clothes it comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sa2_monai.bundle import bundles_folder, extract_bundle
from sa2_monai.bundle.locate import bundle_names
from sa2_monai.bundle.trust.code import code_beside
from sa2_monai.bundle.trust.outside import outside_of, outside_of_bundle
from tests.cli.mini_bundle import make_bundle

PACKAGED = Path(__file__).resolve().parents[2] / "packaged"

INSIDE: list[Any] = [
    {"_target_": "monai.networks.nets.UNet", "spatial_dims": 2},
    {"_target_": "LoadImaged", "keys": "image", "reader": "NibabelReader"},
    {"_target_": "LoadImaged", "reader": {"_target_": "monai.data.NumpyReader", "allow_pickle": False}},
    {"_target_": "torch.optim.AdamW", "params": "$@network.parameters()"},
    {"_target_": "torch.optim.lr_scheduler.StepLR", "_mode_": "callable", "step_size": 3},
    {"_target_": "ignite.handlers.ProgressBar"},
    {"_target_": "sa2_monai.data.Image2DReader"},  # has moved
    {"_target_": "monai.networks.nets.OfALaterVersion"},  # is not there
    "$import sa2_monai",
    "$sa2_monai.__version__",
    "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
    "$torch.nn.Linear(1, 1)",
    "$@losses[@loss_name](@network)",
    "$lambda engine: engine.state.metrics.get('val_mean_dice', 0.0) if @schedule == 'plateau' else ()",
    "$'\\U0000002ftmp\\U00000024x'",
    "%train#optimizer",
    "a mail to someone@example.org",
    {"text": "costs 5 $"},
]
OUTSIDE: list[Any] = [
    # By the name of a class or function.
    {"_target_": "os.system", "command": "id"},
    {"_target_": "subprocess.Popen", "args": ["id"]},
    {"_target_": "exec"},
    {"_target_": "builtins.eval"},
    {"_target_": "run"},  # of monai.bundle
    {"_target_": "run_cmd", "cmd_list": ["id"]},
    {"_target_": "scripts.network.Network"},
    {"_target_": "my_package.Network"},
    {"_target_": "torch.load", "f": "evil.pt", "weights_only": False},
    {"_target_": "torch.hub.load", "repo_or_dir": "a/b"},
    {"_target_": "torch.jit.load"},
    {"_target_": "torch.os.system"},
    {"_target_": "monai.data.utils.pickle.loads"},
    {"_target_": "monai.data.dataset.torch.load"},
    {"_target_": "monai.transforms.io.array.locate"},
    {"_target_": "monai.transforms.Compose.__init__"},
    {"_target_": "monai.utils.run_cmd"},
    {"_target_": "monai.bundle.run"},
    {"_target_": "monai.apps.download_and_extract"},
    {"_target_": "monai.losses.PerceptualLoss"},  # torch.hub
    {"_target_": "PerceptualLoss"},
    {"_target_": "sa2_monai.networks.lazy_names"},
    {"_target_": "sa2_monai.cli.main"},
    {"_target_": "sa2_monai.bundle.load_bundle"},
    {"_target_": "torch.nn"},
    {"_target_": "monai.transforms.Compo\u017fe"},
    # By a name that is not written down.
    {"_target_": "@name"},
    {"_target_": "$'os.' + 'system'"},
    {"_target_": "%name"},
    {"_target_": {"_target_": "sa2_monai.data.input_kind"}},
    {"network_def#_target_": "os.system"},
    {"+network_def::_target_": "os.system"},
    # By arguments.
    {"_target_": "LoadImaged", "keys": "image", "reader": "subprocess.Popen"},
    {"_target_": "LoadImaged", "keys": "image", "reader": ["NibabelReader", "os.system"]},
    {"_target_": "LoadImaged", "keys": "image", "reader": "@name"},
    {"_target_": "SaveImaged", "keys": "pred", "writer": "os.system"},
    {"_target_": "monai.inferers.PatchInferer", "merger_cls": "os.system"},
    {"_target_": "monai.data.NumpyReader", "allow_pickle": True},
    {"_target_": "monai.data.PersistentDataset", "weights_only": False},
    {"_target_": "monai.networks.nets.UNet", "_mode_": "debug"},
    # By expressions.
    "$__import__('os').system('id')",
    "$open('file', 'w')",
    "$eval('1')",
    "$import os",
    "$import torch.hub",
    "$from os import system",
    "$import torch; import os",
    "$().__class__.__base__.__subclasses__()",
    "$@network.__class__",
    "$@network.load_state_dict",
    "$torch.load('evil.pt', weights_only=False)",
    "$torch.hub.load('a/b', 'c')",
    "$torch.os.system('id')",
    "$np.load('evil.npy', allow_pickle=True)",
    "$monai.utils.optional_import('os')[0].system('id')",
    "$monai.transforms.LoadImage('os.system')",
    "$sa2_monai.slices.StrictLoadImaged('image', 'os.system')",
    "$torch.nn.modules.module.torch.load('evil.pt')",
    "$getattr(torch, 'load')('evil.pt')",
    "$[f for f in (1,)]",
    "$f'{@a}'",
    "$'@a +open(1)+ '",  # what MONAI writes for @a ends the text
    "$(lambda f: f('id'))(@a)",
    "$dict(**@a)",
    "$(x := 1)",
    "$2 ** 10 ** 10",
    "$\uff45val('1')",
    "$",
    "%/tmp/other.json::network",
    "%../other.yaml",
    # Wherever they stand.
    [{"deep": [{"er": "$open('file')"}]}],
    {"$open('file')": 1},
]


@pytest.mark.parametrize("entry", INSIDE, ids=str)
def test_inside(entry: Any) -> None:
    assert outside_of({"id": entry}) == []
    assert outside_of(entry) == []


@pytest.mark.parametrize("entry", OUTSIDE, ids=str)
def test_outside(entry: Any) -> None:
    (told, *_) = outside_of({"id": entry})
    assert told.startswith("id")
    assert "\n" not in told


@pytest.mark.parametrize("name", bundle_names())
def test_the_bundles_of_the_package_are_inside(name: str) -> None:
    assert outside_of_bundle(bundles_folder() / name) == []


@pytest.mark.parametrize("package", sorted(PACKAGED.glob("*.zip")), ids=lambda path: path.stem)
def test_packages_of_earlier_versions_are_inside(package: Path, tmp_path: Path) -> None:
    assert outside_of_bundle(extract_bundle(package, tmp_path / "bundle")) == []


def test_what_says_a_thing_in_many_places_is_looked_at_once() -> None:
    bomb: Any = ["$open('file')"]
    for _ in range(60):
        bomb = [bomb, bomb]
    assert len(outside_of({"id": bomb})) == 1
    deep: Any = "plain"
    for _ in range(100_000):
        deep = [deep]
    assert outside_of({"id": deep}) == ["it is nested too deeply to be looked at"]


def test_cached_cases_that_come_with_a_bundle(tmp_path: Path) -> None:
    """Packages of version 0.1 name ``weights_only: false`` for a cache that they make; none may bring one along."""
    bundle = make_bundle(tmp_path / "b")
    (bundle / "configs" / "disk_cache.json").write_text('{"train#dataset#weights_only": false}')
    assert outside_of_bundle(bundle) == []
    (bundle / "a" / "b").mkdir(parents=True)
    (bundle / "a" / "b" / f"{'0f' * 16}.pt").touch()
    assert outside_of_bundle(bundle) == ["configs/disk_cache.json: train#dataset#weights_only: false"]


CODE = [
    ("scripts/network.py", True),
    ("scripts/__init__.py", True),
    ("network.py", True),
    ("skimage/__init__.py", True),
    ("network.pyc", True),
    ("fast.so", True),
    ("models/model.pt", False),
    ("docs/example.py", False),  # no import leads there that a configuration may name
    ("notes.txt", False),
]


@pytest.mark.parametrize(("name", "found"), CODE)
def test_python_code_beside_a_bundle(name: str, found: bool, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "b")
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).touch()
    assert code_beside(bundle) == ([name] if found else [])
    assert outside_of_bundle(bundle) == ([f"{name}: Python code"] if found else [])
