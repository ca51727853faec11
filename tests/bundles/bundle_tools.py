# SPDX-License-Identifier: Apache-2.0
"""What the contract tests know about a bundle: its files, the legal merges of its configurations, how to run it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from monai.bundle import ConfigParser, ConfigWorkflow

from tests.support.fast_yaml import install
from tests.support.narrow import WIDTH as WIDTH

install()

ROOT = Path(__file__).resolve().parents[2] / "bundles"
BUNDLES = sorted(folder.name for folder in ROOT.iterdir() if (folder / "configs" / "train.yaml").is_file())
#: The kind of files that a bundle takes without an overlay; with one, every bundle takes the others, too.
DEFAULT_KIND = {b: ConfigParser.load_config_file(ROOT / b / "configs" / "train.yaml")["kind"] for b in BUNDLES}
VOLUME_BUNDLES = [bundle for bundle, kind in DEFAULT_KIND.items() if kind == "volumes"]

# Overlays that are no data sets. EDITORS may reach into train# and validate#, and never follow inference.yaml.
EDITORS = ("evaluate", "evaluate_paper", "multi_gpu_train", "multi_gpu_evaluate", "disk_cache", "debug")
SHARED = ("ensemble", "paper")
# Those that only inference.yaml can precede.
PREDICTORS = ("inference_trt",)
BASES = ("train", "inference")

# A bundle on a small image set and a slow machine.
TINY: dict[str, Any] = {"roi_size": [32, 32], "batch_size": 2, "num_workers": 0, "device": "cpu", "precision": "fp32"}


class Merge(NamedTuple):
    """One legal sequence of configuration files of a bundle."""

    bundle: str
    names: tuple[str, ...]

    @property
    def files(self) -> list[str]:
        return config_files(self.bundle, *self.names)

    def load(self) -> dict[str, Any]:
        return ConfigParser.load_config_files(self.files)

    def __str__(self) -> str:
        return "-".join((self.bundle, *self.names))


def configs(bundle: str) -> Path:
    return ROOT / bundle / "configs"


def config_files(bundle: str, *names: str) -> list[str]:
    return [str(configs(bundle) / f"{name}.yaml") for name in names]


def overlays(bundle: str) -> list[str]:
    return sorted(path.stem for path in configs(bundle).glob("*.yaml") if path.stem not in BASES)


def datasets(bundle: str) -> list[str]:
    return [name for name in overlays(bundle) if name not in (*EDITORS, *SHARED, *PREDICTORS)]


def merges(bundle: str) -> Iterator[Merge]:
    """All legal merges of the base files; of each data set the shortest and the longest ones."""
    have = {*BASES, *overlays(bundle)}
    for dataset in datasets(bundle):
        yield Merge(bundle, ("train", dataset))
        yield Merge(bundle, ("train", dataset, "paper", "evaluate", "evaluate_paper", "ensemble"))
        yield Merge(bundle, ("inference", dataset, "paper"))
    for names in (
        ("train",),
        ("train", "paper"),
        ("train", "multi_gpu_train"),
        ("train", "evaluate", "multi_gpu_evaluate"),
        ("train", "multi_gpu_train", "evaluate", "multi_gpu_evaluate"),
        ("train", "disk_cache"),
        ("train", "debug"),
        ("train", "evaluate"),
        ("train", "evaluate", "ensemble"),
        ("train", "evaluate", "multi_gpu_evaluate"),
        ("train", "paper", "evaluate", "evaluate_paper", "multi_gpu_evaluate"),
        ("train", "paper", "evaluate", "evaluate_paper"),
        ("inference",),
        ("inference", "ensemble"),
        ("inference", "inference_trt"),
    ):
        if have.issuperset(names):
            yield Merge(bundle, names)


ALL_MERGES = [merge for bundle in BUNDLES for merge in merges(bundle)]


def metadata(bundle: str, dataset: str | None = None) -> dict[str, Any]:
    files = [configs(bundle) / "metadata.json"]
    files += [configs(bundle) / f"{dataset}_meta.json"] if dataset else []
    return ConfigParser.load_config_files([str(file) for file in files])


def resolved(config: Mapping[str, Any], *ids: str) -> list[Any]:
    parser = ConfigParser(dict(config))
    return [parser.get_parsed_content(name) for name in ids]


def leaves(config: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every plain value with its id."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            yield from leaves(value, f"{where}::{key}" if where else str(key))
    elif isinstance(config, list):
        for index, value in enumerate(config):
            yield from leaves(value, f"{where}::{index}")
    else:
        yield where, config


def components(config: Any, where: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every dictionary with a ``_target_``, with its id."""
    if isinstance(config, Mapping):
        if "_target_" in config:
            yield where, config
        for key, value in config.items():
            yield from components(value, f"{where}::{key}" if where else str(key))
    elif isinstance(config, list):
        for index, value in enumerate(config):
            yield from components(value, f"{where}::{index}")


def make_workflow(bundle: str, *names: str, **overrides: Any) -> ConfigWorkflow:
    """The bundle as ``python -m monai.bundle run`` builds it, small; ``names`` are those of the configurations."""
    return ConfigWorkflow(
        config_files(bundle, *names),
        logging_file=False,  # would replace the handlers of the test process
        workflow_type="infer" if names[0] == "inference" else "train",
        **{**TINY, **WIDTH.get(bundle, {}), **overrides},
    )


def run(bundle: str, *names: str, **overrides: Any) -> ConfigWorkflow:
    """Run a bundle from the first to the last step."""
    workflow = make_workflow(bundle, *names, **overrides)
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    return workflow


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def error_chain(error: BaseException | None) -> str:
    """All messages from the exception to its first cause."""
    messages = []
    while error is not None:
        messages.append(str(error))
        error = error.__cause__ or error.__context__
    return "\n".join(messages)


def failure(bundle: str, *names: str, **overrides: Any) -> str:
    """Run a bundle that must fail; return all messages of the chain of exceptions.

    Raises:
        AssertionError: when it does not fail.
    """
    try:
        run(bundle, *names, **overrides)
    except Exception as error:  # MONAI wraps what fails into exceptions of its own
        return error_chain(error)
    raise AssertionError("the run was expected to fail")
