# SPDX-License-Identifier: Apache-2.0
"""Train and evaluate the models of a K-fold cross-validation, and their ensemble.

The training cases are folded, sorted by name, with a stated seed. For each fold a model is trained, its part of the
training cases selecting the checkpoint, and scored on the test cases; then the ensemble of all models (average of their
probabilities) is scored. Each step is an ordinary 'python -m monai.bundle run', whose command line is printed. Finished
folds are kept in OUTPUT/crossval.json: after an interruption, --resume goes on with the first that is not there.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sa2_monai.bundle.locate import find_bundle
from sa2_monai.bundle.switches import check_config, close_match
from sa2_monai.bundle.verbatim import verbatim
from sa2_monai.cli.common import read_override
from sa2_monai.cli.main import UsageError

__all__ = ["add_arguments", "run", "summarize", "table"]

STATE = "crossval.json"
#: Overlay with those overrides that are null.
NULLS = "null_overrides.json"
#: Files of a bundle that are no data sets and are put in their places here.
ROLES = ("train", "inference", "evaluate", "evaluate_paper", "ensemble", "paper")
#: Ids that the command itself sets.
OWN = ("dataset_dir", "ckpt_dir", "output_dir", "fold", "num_folds", "split_seed", "resume", "fold_checkpoints")
SCORES = ("dice", "iou")
#: Arguments of load_datalist, beside the folder and the folds, on which the parts depend.
_LIST_OPTIONS = ("dataset", "test_fraction", "cache_dir", "patient_pattern", "split")
_CURE = "Choose another --output folder, or restore what the cross-validation began with."


class Setup(NamedTuple):
    """What all runs of a cross-validation share."""

    configs: Path
    overlays: list[str]
    dataset_dir: str
    output: Path
    folds: int
    seed: int
    paper: bool
    overrides: dict[str, Any]
    tracking: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai crossval``."""
    parser.epilog = "example: sa2-monai crossval --config monuseg --dataset-dir DATA --output OUT max_epochs=500"
    parser.add_argument(
        "overrides", nargs="*", metavar="ID=VALUE", help="values of the bundle to override, in YAML; they come last"
    )
    parser.add_argument(
        "--bundle", metavar="DIR", help="folder of the bundle (default: bundles/sa2net of the checkout)"
    )
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="NAME",
        help="overlay after train.yaml: a name of the bundle (monuseg, synapse, folder) or a file; repeatable",
    )
    parser.add_argument("--dataset-dir", required=True, metavar="DIR", help="folder of the data set")
    parser.add_argument("--output", "-o", required=True, metavar="DIR", help="folder for models, scores and splits")
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="number of folds (default: 5)")
    parser.add_argument("--seed", type=int, default=999, metavar="N", help="seed of the folds (default: 999)")
    parser.add_argument("--paper", action="store_true", help="the published protocol (paper.yaml, evaluate_paper.yaml)")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted cross-validation")
    parser.add_argument(
        "--tracking", choices=["mlflow"], help="runs of MLflow beside TensorBoard; tracking_uri=ADDRESS for a server"
    )


def run(args: argparse.Namespace) -> int:
    """Run the cross-validation and print the table.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0. Failures are raised.

    Raises:
        UsageError: an override or an overlay that the bundle does not know.
        SwitchError: an override with a value that is no choice.
        OSError: a folder or file is missing, or the output folder cannot be written.
        ValueError: data that cannot be folded, or an output folder that holds another cross-validation.
        RuntimeError: a run failed; its own message stands above.
    """
    from sa2_monai.inference import check_writable
    from sa2_monai.weights import write_json

    setup = _read_setup(args)
    check_writable(setup.output)
    state = _read_state(setup, args.resume)
    splits = _write_splits(setup, args.resume)
    write_json(setup.output / STATE, state)
    for fold in range(setup.folds):
        done = state["folds"].get(str(fold))
        if done is not None and _is_current(setup, fold, done):
            print(f"fold {fold} is finished and skipped: {_scores_text(done)}", flush=True)
            continue
        sizes = ", ".join(f"{len(cases)} {part}" for part, cases in splits[fold].items())
        print(f"\nfold {fold} of {setup.folds}: {sizes}", flush=True)
        state["ensemble"] = None  # made of other models, if there is one
        state["folds"][str(fold)] = _run_fold(setup, fold, resume=args.resume)
        write_json(setup.output / STATE, state)
    if state["ensemble"] is None:
        print(f"\nensemble of {setup.folds} models", flush=True)
        state["ensemble"] = _run_ensemble(setup)
    state["summary"] = summarize([state["folds"][str(fold)] for fold in range(setup.folds)])
    write_json(setup.output / STATE, state)
    print(f"\n{table(state)}\n\nScores:  {setup.output / STATE}\nSplits:  {setup.output / 'splits'}")
    print(f"Models:  {setup.output / 'models'}, one folder per fold")
    return 0


def summarize(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over the models of the folds, all scored on the same test cases.

    Args:
        folds: scores ``dice`` and ``iou`` of each model, in [0, 1] or ``None`` where undefined.

    Returns:
        For each score ``mean`` and ``std`` (``ddof=1``); ``None`` where a fold has none, or for the deviation of one.
    """
    summary: dict[str, Any] = {}
    for score in SCORES:
        values = [fold[score] for fold in folds]
        if not values or any(value is None for value in values):
            summary[score] = {"mean": None, "std": None}
            continue
        mean = math.fsum(values) / len(values)
        deviation = math.fsum((value - mean) ** 2 for value in values)
        std = math.sqrt(deviation / (len(values) - 1)) if len(values) > 1 else None
        summary[score] = {"mean": mean, "std": std}
    return summary


def table(state: Mapping[str, Any]) -> str:
    """Text table of the folds, their mean and standard deviation, and the ensemble.

    Args:
        state: content of ``crossval.json``.
    """
    rows = [(f"fold {fold}", scores) for fold, scores in sorted(state["folds"].items(), key=lambda item: int(item[0]))]
    for name, label in (("mean", "mean"), ("std", "sd")):
        rows.append((label, {score: state["summary"][score][name] for score in SCORES}))
    rows.append(("ensemble", state["ensemble"]))
    lines = [f"{'':10}{'Dice':>8}{'IoU':>8}"]
    lines += [f"{name:10}" + "".join(f"{_number(scores[score]):>8}" for score in SCORES) for name, scores in rows]
    protocol = state["configuration"]["paper"]
    lines.append(f"Test cases: {state['ensemble']['cases']}; protocol: {'paper' if protocol else 'clinical'}.")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _scores_text(scores: Mapping[str, Any]) -> str:
    return f"Dice {_number(scores['dice'])}, IoU {_number(scores['iou'])}"


# ---- what was asked for


def _read_setup(args: argparse.Namespace) -> Setup:
    configs = _find_configs(args.bundle)
    if args.folds < 2:
        raise UsageError(f"--folds is {args.folds}, expected at least 2")
    overlays = [_find_overlay(configs, name) for name in args.config]
    overrides = dict(_read_override(text) for text in args.overrides)
    setup = Setup(
        configs=configs,
        overlays=overlays,
        dataset_dir=os.path.abspath(args.dataset_dir),
        output=Path(os.path.abspath(args.output)),
        folds=args.folds,
        seed=args.seed,
        paper=args.paper,
        overrides=overrides,
        tracking=args.tracking,
    )
    known = _merged(setup, "ensemble")
    unknown = sorted({name for name in overrides if name.replace("::", "#").split("#")[0] not in known})
    if unknown:  # MONAI accepts them in silence
        near = {name: close_match(name, known) for name in unknown}
        names = ", ".join(f"{name} (did you mean {near[name]}?)" if near[name] else name for name in unknown)
        raise UsageError(f"the bundle has no {names}; its switches stand at the top of train.yaml")
    for step in ("train", "ensemble"):
        check_config(_overridden(setup, step))
    return setup


def _find_configs(bundle: str | None) -> Path:
    folder = find_bundle(bundle or "sa2net")
    if folder.is_file():
        raise ValueError(f"{folder} is a zip file; a cross-validation needs the folder of a bundle. Extract it first.")
    return folder / "configs"


def _find_overlay(configs: Path, name: str) -> str:
    if name in ROLES:
        raise UsageError(f"--config {name}: this file is used anyway; name a data set or a file of your own")
    inside = [path for path in sorted(configs.glob(f"{name}.*")) if path.suffix in (".yaml", ".json")]
    if os.sep not in name and inside:
        return str(inside[0])
    if not Path(name).is_file():
        raise UsageError(f"--config {name}: neither an overlay of {configs} nor a file")
    return os.path.abspath(name)


def _read_override(text: str) -> tuple[str, Any]:
    name, value = read_override(text)
    if name in OWN:
        raise UsageError(f"{name} is set by the command itself; see --help for its options")
    return name, value


def _files(setup: Setup, step: str) -> list[str]:
    """Configuration files of a step (``train``, ``evaluate`` or ``ensemble``), in the order of merging."""
    names = ["train"]
    after = ["paper"] if setup.paper else []
    if step != "train":
        after += [
            "evaluate",
            *(["evaluate_paper"] if setup.paper else []),
            *(["ensemble"] if step == "ensemble" else []),
        ]
    found = []
    for name in (*names, *after):
        paths = [setup.configs / f"{name}{suffix}" for suffix in (".json", ".yaml")]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise FileNotFoundError(f"{setup.configs} has no {name}.yaml, which a cross-validation needs")
        found.append(str(path))
    return [found[0], *setup.overlays, *found[1:]]


def _merged(setup: Setup, step: str) -> dict[str, Any]:
    from monai.bundle import ConfigParser

    return dict(ConfigParser.load_config_files(_files(setup, step)))


def _overridden(setup: Setup, step: str) -> dict[str, Any]:
    from monai.bundle import ConfigParser

    parser = ConfigParser(_merged(setup, step))
    for override, value in setup.overrides.items():
        parser[override.replace("::", "#")] = value
    config: dict[str, Any] = parser.get()
    return config


def _resolved(setup: Setup, step: str, name: str) -> Any:
    """Value of an id as the bundle sees it, with the overrides; of a component, its arguments."""
    from monai.bundle import ConfigComponent, ConfigParser

    found = ConfigParser(_overridden(setup, step)).get_parsed_content(name, instantiate=False)
    return found.get_config() if isinstance(found, ConfigComponent) else found


# ---- splits and state


def _write_splits(setup: Setup, resume: bool) -> list[dict[str, list[str]]]:
    """Case names by part, for each fold; the files in ``splits`` are written, or compared when resuming."""
    from sa2_monai.data import load_parts, write_splits

    listed = _list_options(setup)
    splits = []
    for fold in range(setup.folds):
        parts = load_parts(setup.dataset_dir, fold=fold, num_folds=setup.folds, split_seed=setup.seed, **listed)
        splits.append({part: sorted(str(case["case"]) for case in cases) for part, cases in parts.items()})
    for fold, split in enumerate(splits):
        folder = setup.output / "splits" / f"fold{fold}"
        for part, cases in split.items():
            file = folder / f"{part}.txt"
            if resume and file.is_file() and file.read_text(encoding="utf-8").splitlines() != cases:
                raise ValueError(f"{file} lists other cases than {setup.dataset_dir} has now. {_CURE}")
    for fold, split in enumerate(splits):
        write_splits(setup.output / "splits" / f"fold{fold}", split)
    return splits


def _list_options(setup: Setup) -> dict[str, Any]:
    """What decides the parts beside the folds: the arguments of the bundle's own training list, resolved as it does."""
    from sa2_monai.data import DATASETS
    from sa2_monai.data.registry import check_kind, unknown_dataset

    listed = _overridden(setup, "train")["train"]["dataset"]["data"]
    # A call of what the configuration calls load_datalist, or, in bundles of earlier versions, the component itself.
    found: Any = listed
    if isinstance(listed, Mapping) or (isinstance(listed, str) and listed.startswith("$@load_datalist(")):
        found = _resolved(setup, "train", "train#dataset#data" if isinstance(listed, Mapping) else "load_datalist")
    if not isinstance(found, Mapping) or "dataset" not in found:
        raise ValueError(
            f"train#dataset#data is {found!r}, which cannot be folded; expected sa2_monai.data.load_datalist"
        )
    if found["dataset"] not in DATASETS:
        raise ValueError(unknown_dataset(found["dataset"]))
    check_kind(found["dataset"], found.get("kind"))
    return {name: found[name] for name in _LIST_OPTIONS if name in found}


def _read_state(setup: Setup, resume: bool) -> dict[str, Any]:
    """What is finished; refuses an output folder that holds something else."""
    from sa2_monai.weights import plain

    configuration = {
        "bundle": setup.configs.parent.name,
        "config": [Path(overlay).name for overlay in setup.overlays],
        "dataset_dir": setup.dataset_dir,
        "folds": setup.folds,
        "seed": setup.seed,
        "paper": setup.paper,
        "overrides": plain(setup.overrides),
    }
    path = setup.output / STATE
    if not path.is_file():
        return {"configuration": configuration, "folds": {}, "ensemble": None, "summary": None}
    if not resume:
        raise ValueError(f"{setup.output} holds a cross-validation. Go on with --resume, or choose another --output.")
    state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    then = state["configuration"]
    wrong = [f"{key} is {now!r}, was {then.get(key)!r}" for key, now in configuration.items() if now != then.get(key)]
    if wrong:
        raise ValueError(f"{path} was begun with other settings: {'; '.join(wrong)}. {_CURE}")
    return state


def _is_current(setup: Setup, fold: int, scores: Mapping[str, Any]) -> bool:
    """Whether the model that was scored is still the one that is there."""
    from sa2_monai.weights import sha256_of

    model = _model(setup, fold)
    return model.is_file() and sha256_of(model) == scores["model_sha256"]


def _model(setup: Setup, fold: int) -> Path:
    return setup.output / "models" / f"fold{fold}" / "model.pt"


# ---- the runs


def _run_fold(setup: Setup, fold: int, resume: bool) -> dict[str, Any]:
    from sa2_monai.weights import sha256_of

    folder = setup.output / f"fold{fold}"
    common = {"ckpt_dir": str(_model(setup, fold).parent), "output_dir": str(folder), "fold": fold}
    _run_bundle(setup, "train", f"training of fold {fold}", {**common, "resume": resume})
    _run_bundle(setup, "evaluate", f"evaluation of fold {fold}", common)
    return {**_read_scores(folder), "model_sha256": sha256_of(_model(setup, fold))}


def _run_ensemble(setup: Setup) -> dict[str, Any]:
    folder = setup.output / "ensemble"
    values: dict[str, Any] = {
        "ckpt_dir": str(setup.output / "models"),
        "output_dir": str(folder),
        "fold_checkpoints": [str(_model(setup, fold)) for fold in range(setup.folds)],
        # The published numbers of SA2-Net's ensemble have a formula of their own.
        **({"family": "image_ensemble"} if setup.paper and _resolved(setup, "ensemble", "family") == "image" else {}),
    }
    _run_bundle(setup, "ensemble", "evaluation of the ensemble", values)
    return _read_scores(folder)


def _run_bundle(setup: Setup, step: str, what: str, values: Mapping[str, Any]) -> None:
    everything = {
        "dataset_dir": verbatim(setup.dataset_dir),
        "num_folds": setup.folds,
        "split_seed": setup.seed,
        **setup.overrides,
        **{name: verbatim(value) for name, value in values.items()},
        **({} if setup.tracking is None else {"tracking": setup.tracking}),
    }
    files = _files(setup, step)
    nulls = {name: None for name, value in everything.items() if value is None}
    if nulls:  # MONAI drops None from its command line, and the value of the file would stay
        from sa2_monai.weights import write_json

        write_json(setup.output / NULLS, nulls)
        files.append(str(setup.output / NULLS))
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(files)]
    for name, value in everything.items():
        if value is not None:
            command += [f"--{name}", _argument(value)]
    print(shlex.join(command), flush=True)
    code = subprocess.run(command, check=False).returncode
    if code:
        raise RuntimeError(
            f"the {what} failed with exit code {code}; its message stands above. Correct the cause and go on with "
            "--resume."
        )


def _argument(value: Any) -> str:
    """A value such that the command line of ``monai.bundle``, which Fire parses, gives it back."""
    from fire.parser import DefaultParseValue  # type: ignore[import-untyped]

    if not isinstance(value, str):
        return repr(value)
    return value if DefaultParseValue(value) == value and not value.startswith("-") else repr(value)


def _read_scores(folder: Path) -> dict[str, Any]:
    """Dice and IoU of an evaluation: means over classes of the means over cases, or the numbers of the paper."""
    from sa2_monai.evaluation.result import JSON_NAME

    summary = json.loads((folder / JSON_NAME).read_text(encoding="utf-8"))
    if "paper" in summary:
        values = summary["paper"]  # of volumes, no overlap but Dice is published
        dice, iou = values.get("dice"), values.get("iou", values.get("jaccard"))
    else:
        dice, iou = (summary["overall"][name]["mean_of_class_means"] for name in ("dice", "jaccard"))
    return {"dice": dice, "iou": iou, "cases": summary["cases"]}
