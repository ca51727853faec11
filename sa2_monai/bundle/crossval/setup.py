# SPDX-License-Identifier: Apache-2.0
"""What all runs of a cross-validation share, and the configuration that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sa2_monai.bundle.locate import find_bundle

__all__ = ["OWN_IDS", "ROLES", "CrossvalSetup", "find_configs"]

#: Files of a bundle that are no data sets; a cross-validation puts them in their places itself.
ROLES = ("train", "inference", "evaluate", "evaluate_paper", "ensemble", "paper")
#: Ids that a cross-validation sets itself.
OWN_IDS = ("dataset_dir", "ckpt_dir", "output_dir", "fold", "num_folds", "split_seed", "resume", "fold_checkpoints")


@dataclass(frozen=True)
class CrossvalSetup:
    """What all runs of a cross-validation share.

    Attributes:
        configs: folder ``configs`` of the bundle.
        overlays: files that are merged after ``train.yaml``.
        dataset_dir: folder of the data set, absolute.
        output: folder for models, scores and splits, absolute.
        folds: number of folds, at least 2.
        seed: of the folds.
        paper: whether training and scores are those of the published protocol.
        overrides: values by id, which come last.
        tracking: ``"mlflow"``, or ``None``.
    """

    configs: Path
    overlays: list[str]
    dataset_dir: str
    output: Path
    folds: int
    seed: int
    paper: bool
    overrides: dict[str, Any]
    tracking: str | None = None

    def model(self, fold: int) -> Path:
        """File of the weights of a fold."""
        return self.output / "models" / f"fold{fold}" / "model.pt"

    def config_files(self, step: str) -> list[str]:
        """Configuration files of a step, in the order of merging.

        Args:
            step: ``"train"``, ``"evaluate"`` or ``"ensemble"``.

        Raises:
            FileNotFoundError: when the bundle lacks one of them.
        """
        names = ["train"]
        names += ["paper"] if self.paper else []
        names += ["evaluate"] if step != "train" else []
        names += ["evaluate_paper"] if step != "train" and self.paper else []
        names += ["ensemble"] if step == "ensemble" else []
        first, *others = [self._config_file(name) for name in names]
        return [first, *self.overlays, *others]

    def merged(self, step: str) -> dict[str, Any]:
        """Merged content of the files of a step, by id."""
        from monai.bundle import ConfigParser

        return dict(ConfigParser.load_config_files(self.config_files(step)))

    def overridden(self, step: str) -> dict[str, Any]:
        """The same with the overrides."""
        from monai.bundle import ConfigParser

        parser = ConfigParser(self.merged(step))
        for name, value in self.overrides.items():
            parser[name.replace("::", "#")] = value
        config: dict[str, Any] = parser.get()
        return config

    def resolved(self, step: str, name: str) -> Any:
        """Value of an id as the bundle sees it, with the overrides; of a component, its arguments."""
        from monai.bundle import ConfigComponent, ConfigParser

        found = ConfigParser(self.overridden(step)).get_parsed_content(name, instantiate=False)
        return found.get_config() if isinstance(found, ConfigComponent) else found

    def record(self) -> Mapping[str, Any]:
        """What has to be the same when a cross-validation is resumed, as JSON has it."""
        from sa2_monai.weights import plain

        return {
            "bundle": self.configs.parent.name,
            "config": [Path(overlay).name for overlay in self.overlays],
            "dataset_dir": self.dataset_dir,
            "folds": self.folds,
            "seed": self.seed,
            "paper": self.paper,
            "overrides": plain(self.overrides),
        }

    def _config_file(self, name: str) -> str:
        paths = (self.configs / f"{name}{suffix}" for suffix in (".json", ".yaml"))
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise FileNotFoundError(f"{self.configs} has no {name}.yaml, which a cross-validation needs")
        return str(path)


def find_configs(bundle: str) -> Path:
    """Folder ``configs`` of a bundle.

    Args:
        bundle: see :func:`sa2_monai.bundle.find_bundle`.

    Raises:
        FileNotFoundError, ValueError: no such bundle, or a zip file.
    """
    folder = find_bundle(bundle)
    if folder.is_file():
        raise ValueError(f"{folder} is a zip file; a cross-validation needs the folder of a bundle. Extract it first.")
    return folder / "configs"
