# SPDX-License-Identifier: Apache-2.0
"""What all folds of a cross-validation share: bundle, overlays, plan, data; all of it checked before anything runs."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sa2_monai.bundle.crossval.request import CrossvalRequest
from sa2_monai.bundle.included import is_included
from sa2_monai.bundle.locate import find_bundle, find_config, merged
from sa2_monai.bundle.run.ids import find_overlays, known_ids, named_bundle, read_keys, refuse_unknown
from sa2_monai.bundle.switches import check_config
from sa2_monai.bundle.switches.renamed import current_words

if TYPE_CHECKING:
    from sa2_monai.bundle.planning import Plan
    from sa2_monai.data import FoundData

__all__ = ["OUT_OF_FOLD", "PLAN", "RESTORE", "CrossvalSetup", "evaluation_files", "set_up"]

#: What to do when a cross-validation that is resumed is not the one that was begun.
RESTORE = "Choose another --output folder, or restore what the cross-validation began with."

#: In the output folder: the plan of all folds, and the table of cases that were found by patterns.
PLAN, PAIRS = "plan.yaml", "pairs.csv"
#: In the output folder: the scores of all cases by the models that have not seen them; the cases of each fold.
OUT_OF_FOLD, FOLD_LIST = "out_of_fold", "splits/folds.json"
#: Layouts of people's own data, whose folds are made alike; those of public data sets stay as published.
_OWN = ("folder", "decathlon", "volumes")
#: Where neither the caller nor a plan chooses.
_NETWORK = "sa2net"


@dataclass(frozen=True)
class CrossvalSetup:
    """A cross-validation that is decided.

    Attributes:
        request: what the caller asks for.
        output: folder of the cross-validation, absolute.
        network: what ``--network`` of a training says: the name, of a bundle of somebody's own the folder.
        bundle: its folder.
        overlays: of the trainings, in the order of merging: the plan, those of the caller, the published protocol.
        overrides: those of the caller that a training knows; the others are of the evaluation.
        chosen: values of the trainings that the cross-validation chooses, where the caller does not.
        fold_list: file with the cases of each fold; ``None`` where they are drawn as the data set is published.
        data: what a training takes as DATA, absolute.
        config: training configuration of the first fold, with all its values.
        plan: what was planned now; ``None`` where nothing was, or where the plan of before is used.
        pairs: the data as found by patterns, to be written as a table; else ``None``.
    """

    request: CrossvalRequest
    output: Path
    network: str
    bundle: Path
    overlays: list[Path]
    overrides: dict[str, Any]
    data: Path
    config: dict[str, Any]
    plan: Plan | None = None
    pairs: FoundData | None = None
    chosen: dict[str, Any] = field(default_factory=dict)
    fold_list: Path | None = None

    @property
    def ensemble(self) -> Path:
        """Folder of the scores of the ensemble."""
        return self.output / "ensemble"

    @property
    def out_of_fold(self) -> Path:
        """Folder of the scores of all cases by the models that have not seen them."""
        return self.output / OUT_OF_FOLD

    @property
    def suffix(self) -> str:
        """Of the label maps."""
        return ".png" if self.resolved("kind") == "images" else ".nii.gz"

    def fold(self, fold: int) -> Path:
        """Folder of the run of a fold."""
        return self.output / f"fold{fold}"

    def model(self, fold: int) -> Path:
        """File of the weights of a fold."""
        return self.fold(fold) / "models" / "model.pt"

    def resolved(self, name: str) -> Any:
        """Value of an id of the training; of a component, its arguments."""
        return _resolved(self.config, name)

    def evaluation(self, name: str) -> Any:
        """Value of an id as the evaluation of the ensemble sees it."""
        return _resolved(_evaluation_config(self, evaluation_files(self.bundle, self.request.paper, True)), name)

    def out_of_fold_evaluation(self, name: str, files: list[Path]) -> Any:
        """Value of an id as another evaluation sees it, whose data are not listed."""
        config = _evaluation_config(self, files)
        config["validate"]["dataset"]["data"] = []
        return _resolved(config, name)


def set_up(request: CrossvalRequest, then: Mapping[str, Any] | None = None) -> CrossvalSetup:
    """Find out what the data are, plan what is not given, and merge it all; nothing is written.

    Args:
        request: what the caller asks for.
        then: ``configuration`` of a cross-validation that goes on.

    Raises:
        SwitchError: unknown ids, or values that are no choice.
        FileNotFoundError: no such data, bundle or overlay.
        ValueError: data that nobody can be certain about, or of which there is no published protocol.
    """
    from sa2_monai.bundle.run.setup import plan_run

    output = Path(os.path.abspath(request.output))
    network = request.network or (then["network"] if then is not None else _default_network(request))
    name, bundle = named_bundle(network)
    own = find_overlays(request.overlays, bundle)
    planned = not any("layout" in read_keys(file) for file in own)
    if bundle is not None:
        own += [find_config(bundle, "paper")] if request.paper else []
    known = known_ids(network, [str(file) for file in own])[0]
    evaluated = known.union(*map(read_keys, evaluation_files(bundle or find_bundle(_NETWORK), request.paper, True)))
    request = replace(request, overrides=current_words(evaluated, request.overrides))
    refuse_unknown(request.overrides, evaluated, name)
    overrides = {key: value for key, value in request.overrides.items() if _root(key) in known}
    if not os.path.exists(request.data):
        raise FileNotFoundError(f"{request.data}: no such file or folder; give the folder of your images and masks.")
    if planned and request.paper:
        _check_published(request, str(name))

    earlier = [output / PLAN] if planned and then is not None else []
    if earlier and not earlier[0].is_file():
        raise FileNotFoundError(f"{earlier[0]}: no such file; it is the plan of all folds. {RESTORE}")
    training = request.training(network, [*earlier, *own], overrides, plan=planned and then is None)
    first = plan_run(training)
    overlays = [*([output / PLAN] if planned else []), *own]
    chosen = named_bundle(network or first.network)[1] or find_bundle(_NETWORK)
    setup = CrossvalSetup(
        request=request,
        output=output,
        network=first.network if is_included(chosen) else str(chosen),
        bundle=chosen,
        overlays=overlays,
        overrides=overrides,
        data=Path(os.path.abspath(request.data)) if first.pairs is None else output / PAIRS,
        config=first.contents.train,
        plan=first.plan,
        pairs=first.pairs,
        chosen=_choose(request, first.contents.train, own),
        fold_list=output / FOLD_LIST if _is_own(request, first.contents.train) else None,
    )
    check_config(_evaluation_config(setup, evaluation_files(setup.bundle, request.paper, True)))
    return setup


def evaluation_files(bundle: Path, paper: bool, ensemble: bool) -> list[Path]:
    """Configuration files of an evaluation, which are merged after that of the training.

    Args:
        bundle: folder of the bundle, or of a run of it.
        paper: whether the scores are those of the published protocol.
        ensemble: of all folds together.

    Raises:
        FileNotFoundError: the bundle lacks one of them.
    """
    names = ["evaluate", *(["evaluate_paper"] if paper else []), *(["ensemble"] if ensemble else [])]
    return [find_config(bundle, name) for name in names]


def _default_network(request: CrossvalRequest) -> str | None:
    """``None`` where the plan chooses; overlays that have only a name, and the published protocol, are of a bundle."""
    named = any(not os.path.isfile(overlay) for overlay in request.overlays)
    decided = named or any("layout" in read_keys(Path(overlay)) for overlay in request.overlays)
    return _NETWORK if request.paper or decided else None


def _check_published(request: CrossvalRequest, network: str) -> None:
    from sa2_monai.bundle.planning.published import networks_of, protocol
    from sa2_monai.data import find_data

    found = find_data(request.data, request.overrides.get("layout"), request.images, request.labels, request.colours)
    if not protocol(network, found.dataset):
        others = networks_of(found.dataset)
        hint = f"--network {' or '.join(others)} has one" if others else "--config OVERLAY can say how data are read"
        raise ValueError(
            f"{request.data}: {network} has no published protocol for these data ({found.description}); {hint}. "
            "Leave --paper out to measure your own."
        )


def _choose(request: CrossvalRequest, config: Mapping[str, Any], overlays: list[Path]) -> dict[str, Any]:
    """The last epoch makes the model, or the cases that are scored out of fold would have chosen it.

    Not in the published protocol, where somebody has said which epoch does, in bundles that know no such choice, and
    where the validation steers the learning rate.
    """
    said = "select" in request.overrides or any("select" in read_keys(overlay) for overlay in overlays)
    can = "select" in config and _resolved(dict(config), "schedule") != "plateau"
    return {"select": "last"} if can and not said and not request.paper else {}


def _is_own(request: CrossvalRequest, config: Mapping[str, Any]) -> bool:
    """Whether the folds are made alike: of one's own data, unless somebody has said how they are split."""
    return not request.paper and config.get("layout") in _OWN and "split" in config and config["split"] is None


def _root(name: str) -> str:
    return name.replace("::", "#").split("#")[0]


def _evaluation_config(setup: CrossvalSetup, later: list[Path]) -> dict[str, Any]:
    """Configuration of an evaluation, as far as it is known before there are runs."""
    from monai.bundle import ConfigParser

    parser = ConfigParser(merged(setup.config, later))
    for name, value in setup.request.overrides.items():
        parser[name.replace("::", "#")] = value
    config: dict[str, Any] = parser.get()
    return config


def _resolved(config: dict[str, Any], name: str) -> Any:
    from monai.bundle import ConfigComponent, ConfigParser

    found = ConfigParser(copy.deepcopy(config)).get_parsed_content(name, instantiate=False)
    return found.get_config() if isinstance(found, ConfigComponent) else found
