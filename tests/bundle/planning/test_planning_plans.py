# SPDX-License-Identifier: Apache-2.0
"""Whole plans: every network, own data and public sets; the overlay is what the bundle takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sa2_monai.bundle import Choice, Plan, SwitchError, make_plan
from sa2_monai.bundle.baselines import overlays_of, source_of
from sa2_monai.bundle.locate import find_bundle, find_config, load
from sa2_monai.bundle.planning.draft import Draft
from sa2_monai.bundle.planning.make import decide
from sa2_monai.bundle.switches import check_config
from sa2_monai.data import find_data, make_sample_volumes
from sa2_monai.data.fingerprint import Fingerprint
from sa2_monai.networks.catalogue import network_names
from tests.support.fingerprints import GPU, images, one_class, volumes
from tests.support.miniatures import patients

NETWORKS = network_names()
FINGERPRINTS: list[Fingerprint] = [
    images(),
    images((one_class("vessel", 8.0),), (1000, 1000)),
    images((one_class("one"), one_class("two", slices=0.2)), machine=GPU),
    volumes((one_class("left kidney", one_piece=1.0), one_class("right kidney", one_piece=1.0))),
    volumes((one_class("lesion", 2.0),), (512, 512), machine=GPU),
]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("fingerprint", FINGERPRINTS)
def test_every_decision_fits_every_network(fingerprint: Fingerprint, network: str, tmp_path: Path) -> None:
    base = [find_config(source_of(network), "train"), *overlays_of(network, source_of(network))]
    # A number of epochs that is given: the timing of steps is for the machine of the user.
    draft = Draft(fingerprint, network, load(*base), {"max_epochs": 40, "slices_per_epoch": None})
    decide(draft)
    plan = Plan(network, "chosen", draft.choices, fingerprint)
    plan.write(tmp_path / "plan.yaml")
    merged = load(*base, tmp_path / "plan.yaml")
    check_config(merged, unknown=True)
    for switch, value in plan.values().items():
        assert merged[switch] == value
    assert json.loads((tmp_path / "fingerprint.json").read_text())["kind"] == fingerprint.kind


def test_a_plan_is_a_table_and_an_overlay_with_reasons() -> None:
    long = "because " * 30
    choices = {
        "class_names": Choice(["background", "a b", "on"], "three"),
        "label_values": Choice({0: 0, 255: 1}, "a table"),
        "pixdim": Choice(None, long),
        "learning_rate": Choice(1e-5, "small"),
    }
    plan = Plan("sa2net", "asked for", choices, images())
    text = plan.overlay_text()
    assert yaml.safe_load(text) == plan.values()
    assert max(map(len, text.splitlines())) <= 120
    assert "label_values: {0: 0, 255: 1}    # a table\n" in text
    assert "# sa2net: asked for\n# Rests on 64 of 64 training cases; numbers in fingerprint.json.\n" in text
    table = plan.table().splitlines()
    assert table[0].split() == ["network", "sa2net", "asked", "for"]
    assert max(map(len, table)) <= 120
    brief = [line.split()[0] for line in plan.table(brief=True).splitlines() if line[0] != " "]
    assert set(brief) < {line.split()[0] for line in table if line[0] != " "}
    assert "label_values" in brief
    assert not {"dataset_dir", "pixdim", "num_workers"} & set(brief)


@pytest.fixture(scope="module")
def organs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("organs") / "data"
    return make_sample_volumes(folder, num_training=8, num_validation=1, num_test=1)


def test_generated_images(sample_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sa2_monai.bundle.planning.make.seconds_per_step", lambda config, size: 0.5)
    plan = make_plan(find_data(sample_dir), device="cpu", minutes=2)
    found = plan.values()
    assert plan.network == "sa2net"
    assert {name: found[name] for name in ("layout", "kind", "class_names", "in_channels", "intensity")} == {
        "layout": "folder",
        "kind": "images",
        "class_names": ["background", "nucleus"],
        "in_channels": 3,
        "intensity": "percentiles",
    }
    # 2 minutes x 0.85 are 204 steps of half a second, two in an epoch of 8 images.
    assert (found["batch_size"], found["max_epochs"], found["val_interval"]) == (4, 98, 7)
    assert list(found) == [name for name in load(find_config(find_bundle("sa2net"), "train")) if name in found]


def test_generated_volumes(organs: Path) -> None:
    given = {"max_epochs": 3, "slices_per_epoch": None}
    plan = make_plan(find_data(organs), given=given, device="cpu")
    found = plan.values()
    assert plan.network == "daeformer"
    assert (found["intensity"], found["slice_axis"], found["view"]) == ("window", "axial", "whole")
    assert -200 < found["intensity_range"][0] < 0 < 100 < found["intensity_range"][1] < 400
    assert found["class_names"] == ["background", "liver", "spleen", "left kidney", "right kidney"]
    assert found["augment"] is False
    assert not {"max_epochs", "slices_per_epoch"} & set(found)


def test_what_is_given_is_not_planned_and_what_rests_on_it_follows(sample_dir: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("view: windows\nmax_epochs: 12\n")
    given = {
        "roi_size": "$[8 * 8, 64]",
        "optimizer#betas": [0.8, 0.9],
        "class_names": ["background", "cell"],
        "slices_per_epoch": None,
    }
    found = make_plan(find_data(sample_dir), None, [overlay], given, "cpu").values()
    assert not {"view", "max_epochs", "roi_size", "class_names"} & set(found)
    assert found["batch_size"] == 8  # all of them; of 128 x 128 it would be 4
    assert found["overlap"] == 0.25
    assert 12 % found["val_interval"] == 0


@pytest.mark.parametrize("network", [None, "hsaunet", "sa2net"])
def test_a_public_set_is_planned_as_published(network: str | None, tmp_path: Path) -> None:
    patients.acdc(tmp_path)
    plan = make_plan(find_data(tmp_path, "acdc"), network, device="cpu")
    protocol: dict[str, Any] = load(find_config(find_bundle(plan.network), "acdc"))
    planned = plan.values()
    assert Path(planned.pop("dataset_dir")) == tmp_path
    assert planned == protocol
    assert "published for ACDC" in plan.choices["class_names"].reason


def test_a_time_budget_shortens_a_published_protocol(tmp_path: Path) -> None:
    patients.acdc(tmp_path)
    given = {"embed_dims": [32, 64, 128], "channel_heads": 4, "batch_size": 2}  # for the timing of its steps
    plan = make_plan(find_data(tmp_path, "acdc"), "daeformer", given=given, device="cpu", minutes=1)
    assert plan.choices["max_epochs"].reason.startswith("1 minute x 0.85 / ")
    assert plan.values()["max_epochs"] % plan.values()["val_interval"] == 0


def test_a_public_set_without_a_protocol_of_the_network_is_planned(tmp_path: Path) -> None:
    patients.acdc(tmp_path)
    given = {"max_epochs": 4, "slices_per_epoch": None, "slice_axis": "axial"}
    plan = make_plan(find_data(tmp_path, "acdc"), "svanet", given=given, device="cpu")
    assert plan.values()["class_names"] == ["background", "right ventricle", "myocardium", "left ventricle"]
    assert plan.values()["base_channels"] == 8


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"bathc_size": 3}, "bathc_size is no switch of this configuration, .* (did you mean batch_size?)"),
        ({"batch_size": 0}, "batch_size is 0, expected a whole number of at least 1"),
    ],
)
def test_given_values_that_cannot_be(given: dict[str, Any], told: str, sample_dir: Path) -> None:
    with pytest.raises(SwitchError, match=told.replace("(", r"\(").replace("?)", r"\?\)")):
        make_plan(find_data(sample_dir), given=given, device="cpu")


def test_minutes_must_be_above_zero(sample_dir: Path) -> None:
    with pytest.raises(ValueError, match="minutes is 0, expected a number above 0"):
        make_plan(find_data(sample_dir), minutes=0)


# data set -> kind, view, network, intensity
REAL = {
    "bbbc038_nuclei": ("images", "windows", "sa2net", "percentiles"),
    "kvasir_polyps": ("images", "whole", "sa2net", "percentiles"),
    "isic2017_skin": ("images", "whole", "sa2net", "percentiles"),
    "chase_db1": ("images", "windows", "sa2net", "percentiles"),
    "fives_sample": ("images", "windows", "sa2net", "percentiles"),
    "msd_hippocampus": ("volumes", "whole", "daeformer", "percentiles"),
}


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_real_data(name: str, real_data: Path) -> None:
    given = {"max_epochs": 40, "slices_per_epoch": None}
    plan = make_plan(find_data(real_data / name), given=given, device="cpu")
    found = plan.values()
    assert (found["kind"], found["view"], plan.network, found["intensity"]) == REAL[name]
    assert len(found["class_names"]) == (3 if name == "msd_hippocampus" else 2)
