# SPDX-License-Identifier: Apache-2.0
"""Train and evaluate the models of a K-fold cross-validation, and their ensemble.

The training cases are folded, sorted by name, with a stated seed. For each fold a model is trained, its part of the
training cases selecting the checkpoint, and scored on the test cases; then the ensemble of all models (average of their
probabilities) is scored. Each step is an ordinary 'python -m monai.bundle run', whose command line is printed. Finished
folds are kept in OUTPUT/crossval.json: after an interruption, --resume goes on with the first that is not there.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from sa2_monai.bundle.crossval.run import STATE, cross_validate
from sa2_monai.bundle.crossval.scores import crossval_table
from sa2_monai.bundle.crossval.setup import OWN_IDS, ROLES, CrossvalSetup, find_configs
from sa2_monai.bundle.switches import close_match
from sa2_monai.cli.common import read_override
from sa2_monai.cli.main import UsageError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai crossval``."""
    parser.epilog = "example: sa2-monai crossval --config monuseg --dataset-dir DATA --output OUT max_epochs=500"
    parser.add_argument(
        "overrides", nargs="*", metavar="ID=VALUE", help="values of the bundle to override, in YAML; they come last"
    )
    parser.add_argument(
        "--bundle", metavar="DIR", help="bundle: folder or name, see 'sa2-monai bundles' (default: sa2net)"
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
        SwitchError, OSError, ValueError, RuntimeError: as :func:`~sa2_monai.bundle.crossval.run.cross_validate`.
    """
    setup = _read_setup(args)
    state = cross_validate(setup, args.resume)
    print(f"\n{crossval_table(state)}\n\nScores:  {setup.output / STATE}\nSplits:  {setup.output / 'splits'}")
    print(f"Models:  {setup.output / 'models'}, one folder per fold")
    return 0


def _read_setup(args: argparse.Namespace) -> CrossvalSetup:
    configs = find_configs(args.bundle or "sa2net")
    if args.folds < 2:
        raise UsageError(f"--folds is {args.folds}, expected at least 2")
    setup = CrossvalSetup(
        configs=configs,
        overlays=[_find_overlay(configs, name) for name in args.config],
        dataset_dir=os.path.abspath(args.dataset_dir),
        output=Path(os.path.abspath(args.output)),
        folds=args.folds,
        seed=args.seed,
        paper=args.paper,
        overrides=dict(_read_override(text) for text in args.overrides),
        tracking=args.tracking,
    )
    known = setup.merged("ensemble")
    unknown = sorted({name for name in setup.overrides if name.replace("::", "#").split("#")[0] not in known})
    if unknown:  # MONAI accepts them in silence
        near = {name: close_match(name, known) for name in unknown}
        names = ", ".join(f"{name} (did you mean {near[name]}?)" if near[name] else name for name in unknown)
        raise UsageError(f"the bundle has no {names}; its switches stand at the top of train.yaml")
    return setup


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
    if name in OWN_IDS:
        raise UsageError(f"{name} is set by the command itself; see --help for its options")
    return name, value
