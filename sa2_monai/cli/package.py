# SPDX-License-Identifier: Apache-2.0
"""Write a bundle that stands alone: one network, one data set, its weights, TorchScript and model card, all in JSON.

What comes out needs ``sa2_monai`` to be installed and nothing of this repository; its TorchScript needs neither. It is
what MONAI Label, ``monai.bundle.load`` and the model zoo take. The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sa2_monai.cli.common import read_overrides
from sa2_monai.cli.main import UsageError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai package``."""
    parser.epilog = (
        "example: sa2-monai package --bundle daeformer --dataset synapse --weights model.pt --output out --zip"
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="ID=VALUE", help="values at the top of the configurations, in YAML"
    )
    parser.add_argument(
        "--bundle",
        nargs="+",
        metavar="DIR",
        help="run, or bundle: folder or name; by default that of the weights' network; several, or a folder of "
        "'crossval': their ensemble as one bundle",
    )
    parser.add_argument(
        "--dataset", metavar="NAME", help="overlay of the data set, a name or a file; else the bundle's own"
    )
    parser.add_argument("--weights", metavar="FILE", help="trained weights; models/model.pt of the bundle by default")
    parser.add_argument(
        "--output", "-o", required=True, metavar="DIR", help="folder in which the bundle's folder is made"
    )
    parser.add_argument("--results", metavar="FILE", help="metrics_summary.json of an evaluation of the weights")
    parser.add_argument("--name", help="name of the folder (default: DATASET_NETWORK_segmentation)")
    parser.add_argument("--bundle-version", metavar="X.Y.Z", help="version of the new bundle (default: the source's)")
    parser.add_argument(
        "--metadata", metavar="FILE", help="texts for metadata.json (authors, data_source, ...), JSON or YAML"
    )
    parser.add_argument(
        "--large-files",
        metavar="URL",
        help="where the weights will be published: the folder gets large_files.yml instead of them, and "
        "NAME_vVERSION_large_files beside it holds what to upload",
    )
    parser.add_argument(
        "--installed-versions", action="store_true", help="state the package versions of this environment"
    )
    parser.add_argument("--zip", action="store_true", help="also write NAME_vVERSION.zip")
    parser.add_argument("--force", action="store_true", help="replace what is there")


def run(args: argparse.Namespace) -> int:
    """Package.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0. Failures are raised.

    Raises:
        UsageError: an override that is not of the form ID=VALUE, or neither bundle nor weights.
        OSError: missing files, or an output that is there or cannot be written.
        ValueError: weights that do not belong to the bundle or the data set, or texts or an address that are none.
        ImportError: --installed-versions without one of the packages.
        RuntimeError: no TorchScript can be made of the network.
    """
    from sa2_monai.bundle.ensemble.paths import bundles_first

    named, behind = bundles_first(args.bundle or [])
    overrides = read_overrides([*behind, *args.overrides])
    if args.bundle is None and args.weights is None:
        raise UsageError("give --bundle, --weights, or both")

    from sa2_monai.bundle import package_bundle
    from sa2_monai.bundle.ensemble.open import is_ensemble, open_bundles
    from sa2_monai.bundle.locate import bundle_of_weights
    from sa2_monai.bundle.packaging.large_files import missing_weights
    from sa2_monai.bundle.run.results import name_of_package, results_of, results_of_ensemble

    bundles: list[str | Path] = [*named] or [bundle_of_weights(args.weights)]
    if args.weights and is_ensemble(bundles):
        raise UsageError("--weights are those of one bundle, and --bundle names an ensemble, which has its own")
    with open_bundles(bundles) as folder:
        weights = Path(args.weights or folder / "models" / "model.pt")
        if not weights.is_file() and args.weights is None:
            raise FileNotFoundError(f"{folder} has no models/model.pt. {missing_weights(weights)}")
        if is_ensemble(bundles):
            results = results_of_ensemble(Path(bundles[0])) if len(bundles) == 1 else None
        else:
            results = results_of(folder) if args.weights is None else None
        written = package_bundle(
            folder,
            weights,
            args.output,
            dataset=args.dataset,
            results=args.results or results,
            name=args.name or (name_of_package(folder) if args.dataset is None else None),
            version=args.bundle_version,
            overrides=overrides,
            make_zip=args.zip,
            force=args.force,
            metadata=args.metadata,
            large_files=args.large_files,
            use_installed_versions=args.installed_versions,
        )
    for path in written:
        print(path)
    return 0
