# SPDX-License-Identifier: Apache-2.0
"""One loaded bundle for several processes and threads, for a ``with`` block, and for image after image."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from sa2_monai import load_bundle
from sa2_monai.bundle import LoadedBundle, copy_bundle
from sa2_monai.bundle import model as bundle_model

IMAGES = [np.random.default_rng(seed).integers(0, 256, (24, 40, 3)).astype(np.uint8) for seed in range(3)]


def temporary(bundle: LoadedBundle) -> list[Path]:
    return list(bundle._scratch.iterdir())


def loaded(what: str, glands: Path, glands_bundle: tuple[Path, Path], place: Path) -> LoadedBundle:
    folder, archive = glands_bundle
    arguments: dict[str, tuple[Any, ...]] = {
        "weights": ("sa2net", glands),
        "folder": (folder,),
        "zip": (archive,),
        "ensemble": ([folder, shutil.copytree(folder, place / "second")] if what == "ensemble" else [],),
    }
    return load_bundle(*arguments[what], device="cpu")


@pytest.mark.parametrize("what", ["weights", "folder", "zip", "ensemble"])
def test_copies_are_loaded_anew(what: str, glands: Path, glands_bundle: tuple[Path, Path], tmp_path: Path) -> None:
    bundle = loaded(what, glands, glands_bundle, tmp_path)
    expected = bundle.predict(IMAGES[0])
    assert len(np.unique(expected)) == 2
    first = pickle.loads(pickle.dumps(bundle))
    second = copy.deepcopy(first)
    assert len({one._scratch for one in (bundle, first, second)}) == 3
    assert first.device == second.device == "cpu"
    first.close()
    for one in (second, bundle):
        np.testing.assert_array_equal(one.predict(IMAGES[0]), expected)


def test_copies_find_their_files_from_another_folder(
    glands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_bundle("sa2net", tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    bundle = load_bundle("mine", weights=os.path.relpath(glands), device="cpu")
    monkeypatch.chdir("/")
    again = pickle.loads(pickle.dumps(bundle))
    assert (again.root, again.weights) == (tmp_path / "mine", glands)


def test_a_pool_of_processes(glands_bundle: tuple[Path, Path]) -> None:
    bundle = load_bundle(glands_bundle[1], device="cpu")  # a zip file, whose folder is a temporary one
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(bundle.predict, IMAGES))
    for mask, image in zip(found, IMAGES, strict=True):
        np.testing.assert_array_equal(mask, bundle.predict(image))


def test_threads_take_turns(glands: Path) -> None:
    switches: list[dict[str, Any]] = [{}, {"tta": True}, {"largest_component": True}]
    bundle = load_bundle("sa2net", weights=glands, device="cpu")
    jobs = [(image, more) for image, more in zip(IMAGES, switches, strict=True)] * 2
    expected = [load_bundle("sa2net", weights=glands, device="cpu").predict(image, **more) for image, more in jobs[:3]]
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda job: bundle.predict(job[0], **job[1]), jobs))
    for mask, wanted in zip(found, expected * 2, strict=True):
        np.testing.assert_array_equal(mask, wanted)
    assert (torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()) == before
    assert not temporary(bundle)


def test_a_with_block_lets_go(glands_bundle: tuple[Path, Path], tmp_path: Path) -> None:
    with load_bundle(glands_bundle[1], device="cpu") as bundle:
        bundle.predict(IMAGES[0])
    assert not bundle._scratch.exists()
    assert bundle._network is None
    bundle.close()  # a second time
    for use in (bundle.predict, bundle.evaluate, bundle.train, bundle.evaluation_parser):
        with pytest.raises(ValueError, match=r"is closed\. Load the bundle again|comes from a zip file"):
            use(tmp_path)
    with pytest.raises(ValueError, match="is closed"), bundle:
        pass


def test_a_forked_process_leaves_the_files_of_its_parent(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    bundle_model._remove_scratch(tmp_path / "scratch", os.getpid() + 1)
    assert (tmp_path / "scratch").exists()
    bundle_model._remove_scratch(tmp_path / "scratch", os.getpid())
    assert not (tmp_path / "scratch").exists()


def test_image_after_image_nothing_is_read_again_and_nothing_piles_up(
    glands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_bundle("sa2net", weights=glands, device="cpu")
    whole = bundle.predict(IMAGES[0])
    read: list[str] = []
    load = ConfigParser.load_config_file
    monkeypatch.setattr(ConfigParser, "load_config_file", lambda file, **_: read.append(str(file)) or load(file))
    paths = list(sys.path)
    np.testing.assert_array_equal(bundle.predict(IMAGES[0]), whole)
    bundle.predict(IMAGES[0], output_dir=tmp_path / "out")
    assert {Path(file).name for file in read} == {"None", "metadata.json"}
    assert sys.path == paths
    with pytest.raises(ValueError, match="cannot predict a dict"):
        bundle.predict({})
    assert not temporary(bundle)


def test_switches_act_on_every_call(glands: Path) -> None:
    """Also where the configuration is not read again."""
    bundle = load_bundle("sa2net", weights=glands, device="cpu")
    whole = bundle.predict(IMAGES[0])
    cleaned = bundle.predict(IMAGES[0], min_volume=10_000.0)
    assert whole.any()
    assert not cleaned.any()
    with pytest.raises(ValueError, match="precision"):
        bundle.predict(IMAGES[0], precision="fp17")
    np.testing.assert_array_equal(bundle.predict(IMAGES[0]), whole)


def test_a_configuration_that_changed_is_read_again(glands: Path, tmp_path: Path) -> None:
    copy_bundle("sa2net", tmp_path / "mine")
    bundle = load_bundle(tmp_path / "mine", weights=glands, device="cpu")
    assert bundle.predict(IMAGES[0]).any()
    file = tmp_path / "mine" / "configs" / "inference.yaml"
    file.write_text(file.read_text().replace("\nmin_volume: null", "\nmin_volume: 10000.0"))
    assert not bundle.predict(IMAGES[0]).any()
