# SPDX-License-Identifier: Apache-2.0
"""What a command imports, and that MONAI is the same afterwards."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.programs import run_untraced

NEVER = ("mlflow", "pandas", "sklearn", "itk", "tensorboard", "matplotlib", "pydicom", "h5py", "nibabel", "SimpleITK")
NEVER += ("torch.distributed.fsdp", "torchvision", "transformers", "sympy")
AS_A_PROGRAM = """
import json, sys
from sa2_monai.cli.main import main
sys.argv = ["sa2-monai", *sys.argv[1:]]
try:
    code = main()
except SystemExit as ended:
    code = ended.code
"""
TELL = """
print()
print(json.dumps([code, sorted(sys.modules)]))
"""


def modules_of(program: str, *words: object) -> tuple[int, set[str]]:
    """Exit code, and modules that a fresh process has imported."""
    done = run_untraced([sys.executable, "-c", program + TELL, *map(str, words)])
    assert done.returncode == 0, done.stderr
    code, names = json.loads(done.stdout.splitlines()[-1])
    return code, set(names)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("image") / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(file)
    return file


COMMANDS = [
    (["--help"], ("torch", "monai", "numpy", "yaml")),
    (["info"], ("torch", "monai")),
    (["evaluate", "-p", "{folder}", "-r", "{folder}", "--output", "{out}"], ("mlflow", "tensorboard", "monai.apps")),
]


@pytest.mark.parametrize(("words", "never"), COMMANDS)
def test_commands_without_a_network(image: Path, tmp_path: Path, words: list[str], never: tuple[str, ...]) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    Image.fromarray(np.eye(16, dtype=np.uint8)).save(masks / "a.png")
    code, names = modules_of(AS_A_PROGRAM, *(word.format(folder=masks, out=tmp_path / "out") for word in words))
    assert code == 0
    assert names.isdisjoint(never)


def test_predict_imports_what_it_needs(image: Path, tmp_path: Path) -> None:
    """Objects of the starter model need scipy.ndimage and skimage's watershed; nothing else of the long list."""
    code, names = modules_of(AS_A_PROGRAM, "predict", image, "--model", "nuclei", "--output", tmp_path / "out")
    assert code == 0
    assert names.isdisjoint(NEVER)
    assert {"torch", "monai", "skimage.segmentation"} <= names


LIBRARY = """
import json, sys
import sa2_monai
bundle = sa2_monai.load_bundle("nuclei")
import numpy as np
code = int(bundle.predict(np.zeros((64, 64, 3), dtype=np.uint8)).max())
"""


def test_a_library_leaves_monai_alone() -> None:
    """Who imports the package has MONAI as it is."""
    code, names = modules_of(LIBRARY)
    assert code == 0
    assert "monai.visualize.utils" in names
    assert names.isdisjoint(("mlflow", "sa2_monai.cli.quick_start"))


SAME = """
import json, sys
from sa2_monai.cli import quick_start
if sys.argv[1] == "quick":
    quick_start.install()
import monai
from monai.bundle import ConfigParser, ComponentLocator
code = 0
before = "monai.visualize.utils" in sys.modules
locator = ComponentLocator()
names = ["Compose", "EnsureTyped", "DataLoader", "CacheDataset", "DiceCELoss", "StatsHandler", "SupervisedTrainer",
         "UNet", "Unet", "LoadImageD", "matshow3d", "blend_images", "HausdorffDTLoss", "VNet", "NoSuchThing"]
found = {name: locator.get_component_module_name(name) for name in names}
found["attribute"] = monai.visualize.utils.__name__
found["optional"] = monai.transforms.utils.ndimage.label([0, 1])[1]
found["isinstance"] = isinstance(3, monai.handlers.tensorboard_handlers.SummaryWriter)
found["component"] = type(ConfigParser({"a": {"_target_": "FillHolesd", "keys": "x"}}).get_parsed_content("a")).__name__
sys.stderr.write(json.dumps([before, found]))
"""


def test_monai_is_the_same_in_the_end() -> None:
    """Names in a configuration, attributes and optional packages, put off or not."""
    answers = {}
    for how in ("quick", "full"):
        done = run_untraced([sys.executable, "-W", "ignore", "-c", SAME, how])
        assert done.returncode == 0, done.stderr
        answers[how] = json.loads(done.stderr.splitlines()[-1])
    assert answers["quick"][0] is False
    assert answers["full"][0] is True
    assert answers["quick"][1] == answers["full"][1]
    assert answers["full"][1]["Unet"] == "monai.networks.nets.unet"
