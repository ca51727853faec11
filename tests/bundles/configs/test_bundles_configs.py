# SPDX-License-Identifier: Apache-2.0
"""The text of every bundle's configurations: names, references, expressions, overlays. Nothing is run here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from bundle_tools import (
    ALL_MERGES,
    BASES,
    BUNDLES,
    EDITORS,
    ROOT,
    Merge,
    config_files,
    configs,
    datasets,
    leaves,
    metadata,
    overlays,
)
from config_rules import (
    check_components,
    check_expression,
    check_expressions,
    check_paths,
    check_references,
    references,
)

# Ids that MONAI itself asks for, without any reference in the configuration.
ENTRY_POINTS = {"initialize", "run", "finalize", "training", "tracking_uri", "experiment_name", "run_name"}
SWITCHES = (
    *("dataset_dir", "output_dir", "in_channels", "out_channels", "class_names", "roi_size", "batch_size"),
    *(
        "max_epochs",
        "learning_rate",
        "val_interval",
        "precision",
        "resume",
        "seed",
        "num_workers",
        "pretrained",
        "device",
    ),
)
EVERY_MERGE = pytest.mark.parametrize("merge", ALL_MERGES, ids=str)
EVERY_BUNDLE = pytest.mark.parametrize("bundle", BUNDLES)


class StrictLoader(yaml.SafeLoader):
    """MONAI only warns of a key that stands in a mapping twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"{node.start_mark}: a key stands twice in {keys}"
        return super().construct_mapping(node, deep)


def raw(path: str | Path) -> dict[str, Any]:
    return yaml.load(Path(path).read_text(encoding="utf-8"), StrictLoader)


@pytest.mark.parametrize(
    "text",
    [
        "$import os",
        "$__import__('os').remove('x')",
        "$os.environ['RANK']",
        "$sys.path",
        "$torch.os.remove('x')",
        "$open('x')",
        "$a = 1",
        "$print(1); print(2)",
        "$().__class__",
        "$[x for x in @a]",
        "$f'{1}'",
        "$(x := 1)",
        "$eval('1')",
    ],
)
def test_the_check_of_expressions_refuses(text: str) -> None:
    with pytest.raises((AssertionError, SyntaxError)):
        check_expression(text)


def test_there_is_a_bundle() -> None:
    assert "sa2net" in BUNDLES


@EVERY_BUNDLE
def test_the_files_are_there(bundle: str) -> None:
    folder = ROOT / bundle
    for name in (
        "train",
        "inference",
        "evaluate",
        "evaluate_paper",
        "ensemble",
        "multi_gpu_train",
        "multi_gpu_evaluate",
    ):
        assert (folder / "configs" / f"{name}.yaml").is_file(), name
    for name in ("configs/metadata.json", "configs/logging.conf", "LICENSE", "docs/README.md", "docs/data_license.txt"):
        assert (folder / name).is_file(), name
    # MONAI Label takes JSON first, the model zoo YAML: there must be one of them.
    assert [path.name for path in folder.glob("configs/*.json") if not path.stem.endswith("meta")] == ["metadata.json"]
    assert not list(folder.rglob("*.py")), "code belongs to the package"
    committed = [path.name for path in (folder / "models").glob("*.p[tk]*")]
    assert not [name for name in committed if name != "model.pt"]


@EVERY_BUNDLE
def test_every_dataset_has_its_label_names(bundle: str) -> None:
    assert datasets(bundle)
    assert {path.stem for path in configs(bundle).glob("*_meta.json")} == {f"{name}_meta" for name in datasets(bundle)}


@EVERY_BUNDLE
def test_the_switches_stand_on_top(bundle: str) -> None:
    train, inference = (raw(file) for file in config_files(bundle, "train", "inference"))
    missing = [name for name in SWITCHES if name not in train]
    assert not missing
    # The switches come first, in one block that can be read without scrolling.
    first = [key for key in train if key not in ENTRY_POINTS][: list(train).index("network_def")]
    assert set(SWITCHES) <= set(first)
    for name in ("dataset_dir", "output_dir", "in_channels", "class_names", "roi_size", "batch_size", "device"):
        assert name in inference, name


@EVERY_BUNDLE
def test_the_actions(bundle: str) -> None:
    """An empty run id evaluates the whole configuration: it must hold one action only (bundle contract, 3.4)."""
    train, inference = (raw(file) for file in config_files(bundle, "train", "inference"))
    assert train["training"] == "@run"
    assert train["run"][-1] == "$@train#trainer.run()"
    check = {"_target_": "sa2_monai.bundle.check_switches"}
    assert train["initialize"] == [check, "@numerics"]
    assert train["numerics"]["_target_"] == "sa2_monai.bundle.set_numerics"
    numerics = {"_target_": "sa2_monai.bundle.set_numerics", "matmul_precision": "@matmul_precision"}
    assert inference["initialize"] == [check, numerics]
    for name in ("multi_gpu_train", "multi_gpu_evaluate"):
        # before the processes start: cuBLAS reads its variable when a GPU is first used
        assert raw(*config_files(bundle, name))["initialize"][:2] == [check, "@numerics"], name
    assert inference["run"][-1] == "$@evaluator.run()"
    for config, runs in ((train, 1), (inference, 1)):
        actions = [value for _, value in leaves(config) if isinstance(value, str) and ".run()" in value]
        assert len(actions) == runs
    # MONAI Label overrides nothing but this one.
    assert train["train"]["trainer"]["max_epochs"] == "@max_epochs"
    # A list that raises must be inline, where MONAI Label replaces it; what it calls raises nothing before.
    assert train["load_datalist"]["_mode_"] == "callable"
    for part, section in (("train", "training"), ("validate", "validation")):
        assert train[part]["dataset"]["data"] == f"$@load_datalist(section='{section}')"
        assert all("_target_" in handler for handler in train[part]["handlers"])


@EVERY_BUNDLE
def test_yaml_reads_as_it_looks(bundle: str) -> None:
    number = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|true|false|yes|no|on|off", re.IGNORECASE)
    for name in ("train", "inference", *overlays(bundle)):
        (file,) = config_files(bundle, name)
        for where, value in leaves(raw(file)):
            is_number = isinstance(value, str) and number.fullmatch(value.strip())
            assert not is_number, f"{file}: {where} is the text {value!r}"


@EVERY_BUNDLE
def test_no_personal_paths(bundle: str) -> None:
    for name in ("train", "inference", *overlays(bundle)):
        check_paths(raw(*config_files(bundle, name)))


@EVERY_MERGE
def test_components_exist_and_take_their_arguments(merge: Merge) -> None:
    assert check_components(merge.load()) > 10


@EVERY_MERGE
def test_expressions(merge: Merge) -> None:
    check_expressions(merge.load())


@EVERY_MERGE
def test_references(merge: Merge) -> None:
    check_references(merge.load())


@EVERY_BUNDLE
def test_every_file_is_in_a_merge(bundle: str) -> None:
    """What no test merges, nothing above has looked at."""
    walked = {name for merge in ALL_MERGES if merge.bundle == bundle for name in merge.names}
    assert walked == {*BASES, *overlays(bundle)}


def overlay_cases() -> Iterator[tuple[str, str]]:
    for bundle in BUNDLES:
        for name in overlays(bundle):
            yield bundle, name


@pytest.mark.parametrize(("bundle", "name"), list(overlay_cases()))
def test_overlays_set_nothing_that_is_not_there(bundle: str, name: str) -> None:
    """MONAI accepts an override of an unknown id in silence: a typo would do nothing."""
    overlay = raw(*config_files(bundle, name))
    bases = {key for file in config_files(bundle, "train", "inference") for key in raw(file)}
    if name == "evaluate_paper":
        bases |= set(raw(*config_files(bundle, "evaluate")))
    own = references(overlay)
    for key in overlay:
        assert not key.startswith("+"), f"{name}: {key} extends what it may not see; replace the whole item"
        if "#" not in key:
            if name in datasets(bundle) or name == "paper":
                assert key in bases, f"{name}: nothing has the id {key}"
            else:
                assert key in bases | own | ENTRY_POINTS, f"{name}: nothing uses {key}"
            continue
        assert name in (*EDITORS, "ensemble"), f"{name}: {key} does not exist in all of train, evaluate and inference"
        before = ("evaluate", "inference") if name == "ensemble" else ("train",)
        *path, leaf = key.split("#")
        for file in config_files(bundle, *before):
            parent: Any = raw(file)
            for part in path:
                assert part in parent, f"{name}: {key} leads nowhere in {file}"
                parent = parent[part]
            # A new leaf is an argument of a component (its signature is tested above) or something referred to.
            known = leaf in parent or "_target_" in parent or key.replace("#", "::") in own
            assert known, f"{name}: nothing uses {key}"


@EVERY_BUNDLE
def test_every_switch_does_something(bundle: str) -> None:
    for merge in (Merge(bundle, ("train",)), Merge(bundle, ("inference",))):
        used = {name.split("::")[0] for name in references(merge.load())}
        allowed = ENTRY_POINTS | {"train", "validate", "evaluator"}
        idle = [key for key in merge.load() if key not in used | allowed]
        assert not idle, f"{merge}: nothing refers to {idle}"


@EVERY_BUNDLE
def test_the_schedule_of_an_overlay_resolves_in_inference_too(bundle: str) -> None:
    for name in datasets(bundle):
        used = {one.split("::")[0] for one in references(raw(*config_files(bundle, name)))}
        assert "train" not in used, f"{name}: inference.yaml has no 'train'"


@EVERY_BUNDLE
def test_metadata_overlays_change_only_what_is_there(bundle: str) -> None:
    base = metadata(bundle)
    for name in datasets(bundle):
        merged = metadata(bundle, name)
        assert set(merged) == set(base), f"{name}_meta.json has unknown entries {set(merged) ^ set(base)}"
