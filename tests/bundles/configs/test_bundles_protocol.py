# SPDX-License-Identifier: Apache-2.0
"""The configurations against the published protocols, as docs/protocols/ states them.

Each data set of a paper: the merged configuration is resolved, and what it says (tools/lib/protocol_facts.py) is either
what was published, or a deviation that a row of the card names with its reason.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from bundle_tools import BUNDLES, ROOT, datasets

LIB = ROOT.parent / "tools" / "lib"


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, LIB / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


protocol, protocol_facts = tool("protocol"), tool("protocol_facts")
TABLES = {path.stem: protocol.read(path) for path in protocol.tables()}
# Overlays that belong to no paper of the network, or to no paper at all.
OTHERS = {"folder", "nifti_folder", "sample", "sample_volumes"}
NOT_PUBLISHED = {("daeformer", "acdc"), ("hsaunet", "acdc"), ("msa2net", "acdc"), ("hsaunet", "synapse_archive")}


def cases() -> Iterator[tuple[str, str, str]]:
    for bundle, table in TABLES.items():
        for section in table["sections"]:
            for overlay in section.get("overlays", ()):
                yield bundle, section["title"], overlay


EVERY_CASE = pytest.mark.parametrize(("bundle", "title", "overlay"), list(cases()))


def section_of(bundle: str, title: str) -> dict[str, Any]:
    (section,) = (section for section in TABLES[bundle]["sections"] if section["title"] == title)
    return dict(section)


def names(overlay: str) -> list[str]:
    return [overlay] if overlay else []


def test_every_data_set_of_a_paper_has_its_table() -> None:
    assert sorted(TABLES) == BUNDLES
    covered = {(bundle, overlay) for bundle, _, overlay in cases()}
    wanted = {(bundle, overlay) for bundle in BUNDLES for overlay in datasets(bundle) if overlay not in OTHERS}
    assert wanted - covered <= NOT_PUBLISHED
    assert covered - {(bundle, "") for bundle in BUNDLES} <= wanted


@EVERY_CASE
def test_the_configuration_is_the_published_one_or_the_card_says_why(bundle: str, title: str, overlay: str) -> None:
    published, ours = protocol.expected(TABLES[bundle], section_of(bundle, title), overlay)
    found = protocol_facts.facts(bundle, names(overlay))
    assert {name: value for name, value in found.items() if value is not None or name in ours} == ours
    assert {"loss", "optimiser", "rate", "decay", "schedule", "batch", "epochs", "augmentation"} <= set(published)
    assert {"resize", "intensity", "channels", "precision", "validation", "stop"} <= set(published)


# What brings the published protocol back, as far as a switch does: bundle, title, overlay, further overlays, switches,
# and what remains of the deviations.
AS_PUBLISHED: list[tuple[str, str, str, list[str], dict[str, Any], set[str]]] = [
    ("daeformer", "Synapse", "synapse", ["paper"], {"published_noise": True, "patience": 400}, set()),
    ("hsaunet", "Synapse", "synapse", ["paper"], {"published_noise": True, "patience": 400}, set()),
    ("msa2net", "Synapse", "synapse", ["paper"], {"published_noise": True, "patience": 700}, set()),
    ("sa2net", "MoNuSeg and GlaS", "glas", ["paper"], {"validation": "auto"}, set()),
    ("sa2net", "ISIC 2018", "isic2018", ["paper"], {"split": "published-like", "validation": "auto"}, {"schedule"}),
    ("svanet", "FIVES", "fives", ["paper"], {}, set()),
    (
        *("daeformer", "ISIC 2018", "isic2018", [], {"split": "published-like", "validation": "auto"}),
        {"schedule", "resize", "intensity", "loss"},
    ),
]


@pytest.mark.parametrize(("bundle", "title", "overlay", "more", "switches", "left"), AS_PUBLISHED)
def test_the_published_protocol_is_to_be_had(
    bundle: str, title: str, overlay: str, more: list[str], switches: dict[str, Any], left: set[str]
) -> None:
    published, _ = protocol.expected(TABLES[bundle], section_of(bundle, title), overlay)
    common = {"precision": "fp32", "validation": "none"}
    if published.get("encoder_weights"):
        common["encoder_weights"] = published["encoder_weights"]
    found = protocol_facts.facts(bundle, [overlay, *more], **{**common, **switches})
    assert {name for name, value in published.items() if found.get(name) != value} == left


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_deviation_has_its_reason(bundle: str) -> None:
    table = TABLES[bundle]
    rows = [*table.get("general", ()), *(row for section in table["sections"] for row in section.get("rows", ()))]
    assert len(rows) > 20
    for row in rows:
        assert set(row) <= {"what", "published", "here", "why", "facts", "facts_of", "ours", "ours_of"}, row["what"]
        differing = {**row.get("ours", {}), **{k: v for own in row.get("ours_of", {}).values() for k, v in own.items()}}
        if any(row.get("facts", {}).get(name, ...) != value for name, value in differing.items()):
            assert row.get("here", "the same") != "the same", f"{row['what']}: say what is done here"
            assert row.get("why"), f"{row['what']}: say why"
        assert set(row.get("ours", {})) <= set(row.get("facts", {})), row["what"]


@pytest.mark.parametrize("bundle", BUNDLES)
def test_the_card_is_up_to_date(bundle: str) -> None:
    """tools/protocol writes it."""
    card = (ROOT / bundle / "docs" / "README.md").read_text(encoding="utf-8")
    assert protocol.with_section(card, protocol.rendered(TABLES[bundle])) == card


def test_the_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folder, tables = tmp_path / "bundles" / "x" / "docs", tmp_path / "docs" / "protocols"
    for one in (folder, tables):
        one.mkdir(parents=True)
    (folder / "README.md").write_text("# X\n\n## Protocol\n\nold\n\n## Data\n\nkept\n", encoding="utf-8")
    (tables / "x.yaml").write_text(
        "intro: Words.\nsections:\n- {title: A, rows: [{what: loss, published: CE}, "
        "{what: batch, published: 4, here: 8, why: speed, facts: {batch: 4}, ours: {batch: 8}}]}\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(protocol, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["protocol", "--check"])
    assert protocol.main() == 1
    assert "is out of date" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["protocol"])
    assert protocol.main() == 0
    assert (folder / "README.md").read_text(encoding="utf-8") == (
        "# X\n\n## Protocol\n\nWords.\n\n### A\n\n| | published code | default here | why |\n|---|---|---|---|\n"
        "| loss | CE | the same | |\n| batch | 4 | 8 | speed |\n\n## Data\n\nkept\n"
    )
    monkeypatch.setattr(sys, "argv", ["protocol", "--check"])
    assert protocol.main() == 0


# ---- the schedules over the whole run, written down from the specifications


def polynomial(steps: int, rate: float) -> list[float]:
    return [rate * (1 - max(k - 1, 0) / steps) ** 0.9 for k in range(steps)]


def warm_restarts(epochs: int, rate: float) -> list[float]:
    """Published: period of 10 steps, two steps an epoch, not below 1e-4."""
    steps = [2 * epoch % 10 for epoch in range(epochs)]
    return [1e-4 + (rate - 1e-4) * (1 + math.cos(math.pi * step / 10)) / 2 for step in steps]


def two_stages(epochs: int, pretrained: bool) -> list[float]:
    """Published: f(e) is set behind epoch e; warm-up of half the milestone (a tenth), of all of it from scratch."""
    milestone, rates = -(-epochs // 10), [1e-6]
    period, warm_up, begin = (milestone, milestone // 2, 0) if pretrained else (epochs, milestone, 0)
    step = (5e-4 - 5e-5) / warm_up
    for epoch in range(epochs - 1):
        if pretrained and epoch == milestone:
            period, warm_up, begin = epochs, warm_up + epoch, epoch - 1
        if epoch < warm_up:
            rates.append(5e-5 + (epoch - begin) * step)
        elif epoch + 1 < period:
            rates.append(1e-6 + 0.5 * (5e-4 - 1e-6) * (1 + math.cos(math.pi * epoch / period)))
        else:
            rates.append(1e-6)
    return rates


SCHEDULES: dict[str, Callable[[dict[str, Any], int], list[float]]] = {
    "poly": lambda told, length: polynomial(told["epochs"] * length, told["rate"]),
    "cosine": lambda told, length: warm_restarts(told["epochs"], told["rate"]),
    "constant": lambda told, length: [told["rate"]] * told["epochs"],
    "two_stage_cosine": lambda told, length: two_stages(told["epochs"], pretrained=False),
}


@EVERY_CASE
def test_the_learning_rate_of_the_whole_run(bundle: str, title: str, overlay: str) -> None:
    section = section_of(bundle, title)
    published, ours = protocol.expected(TABLES[bundle], section, overlay)
    if ours["schedule"] == "plateau":
        config = protocol_facts.merged(bundle, names(overlay))["schedules"]["plateau"]
        assert (config["factor"], config["patience"]) == (0.5, 10)
        assert published["schedule"] == "plateau of the validation loss"
        return
    first, *others = section["overlays"]
    if ours["schedule"] == "poly" and overlay in others:  # tens of thousands of steps, once is enough
        same = ("lr_scheduler", "schedules", "schedule", "max_epochs", "learning_rate")
        one, other = (protocol_facts.merged(bundle, names(name)) for name in (first, overlay))
        assert {name: one[name] for name in same} == {name: other[name] for name in same}
        return
    length = section.get("epoch_length", 1)
    told = {**published, "epochs": ours["epochs"]}
    found = protocol_facts.learning_rates(bundle, names(overlay), length)
    assert found == pytest.approx(SCHEDULES[published["schedule"]](told, length), rel=1e-12, abs=0)
    if bundle == "svanet":
        found = protocol_facts.learning_rates(bundle, names(overlay), length, encoder_weights="resnet50.pth")
        assert found == pytest.approx(two_stages(told["epochs"], pretrained=True), rel=1e-12, abs=0)
