# SPDX-License-Identifier: Apache-2.0
"""Bundles as wholes: use from Python, prediction of many files, cross-validation, ensembles, packaging, export.

============ ==========================================================================================================
loaded       ``load_bundle``: predict, evaluate and train from Python; model is what such a bundle holds
locate       where a bundle is, its configuration files and overlays; unzip takes one out of a zip file
included     the bundles that come with the package: list, copy to edit, where results of them go
baselines/   what MONAI's networks are trained with: overlays and texts for a bundle of another network
workflow     running the configurations in this process; verbatim takes values through MONAI's parser,
               parsed_workflow is MONAI's workflow of files that are read already
numerics     seeds, deterministic algorithms, TF32: what ``initialize`` of the configurations sets
successive   several runs of MONAI's command line in one process
sidecar      model metadata beside weights (``model.json``), which overrule the configuration
network      the network of a configuration with its weights
instances    settings with which touching objects are divided, chosen on the validation part
calibration/ ``sa2-monai calibrate``: one temperature for the weights, and what it is worth
trust/       which configurations run without a question, and which need ``--trust``
describe     what a bundle or a weight file is (``sa2-monai inspect``); dataset_overlays: which bundles know a data set
switches/    names, types and ranges of the switches, checked wherever a value comes from
prediction/  ``sa2-monai predict``: cases, batches, parts for several programs
slides/      whole slides and very large images, block by block, for ``sa2-monai predict``
run/         ``sa2-monai train``: a run is a bundle; ``evaluate --bundle``
crossval/    ``sa2-monai crossval``: folds, all cases out of fold, their ensemble
launch/      long jobs side by side, on several devices and machines
ensemble/    several runs, or a cross-validation, as one bundle
comparison/  ``sa2-monai compare``: several networks on the same folds
stress/      ``sa2-monai stress``: how a model bears corrupted images
packaging/   ``sa2-monai package``: stand-alone bundles with weights and a model card
planning/    ``sa2-monai plan``: from the fingerprint of the data to switches with reasons
exporting/   ``sa2-monai export``: TorchScript, ONNX, OpenVINO, TensorRT, compared with the network
============ ==========================================================================================================

Importing this package imports neither torch nor MONAI: its names are loaded when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sa2_monai.aliases import lazy_names

if TYPE_CHECKING:
    from sa2_monai.bundle.describe import describe_path
    from sa2_monai.bundle.exporting.export import FORMATS, export_network
    from sa2_monai.bundle.exporting.parity import ParityReport
    from sa2_monai.bundle.included import copy_bundle
    from sa2_monai.bundle.loaded import LoadedBundle, load_bundle
    from sa2_monai.bundle.locate import bundles_folder, find_bundle, open_bundle
    from sa2_monai.bundle.numerics import set_numerics
    from sa2_monai.bundle.packaging.package import package_bundle
    from sa2_monai.bundle.planning.make import make_plan
    from sa2_monai.bundle.planning.plan import Choice, Plan
    from sa2_monai.bundle.switches import SwitchError, check_switches
    from sa2_monai.bundle.switches.validated import as_validated
    from sa2_monai.bundle.unzip import extract_bundle

__all__ = [
    "FORMATS",
    "Choice",
    "LoadedBundle",
    "ParityReport",
    "Plan",
    "SwitchError",
    "as_validated",
    "bundles_folder",
    "check_switches",
    "copy_bundle",
    "describe_path",
    "export_network",
    "extract_bundle",
    "find_bundle",
    "load_bundle",
    "make_plan",
    "open_bundle",
    "package_bundle",
    "set_numerics",
]

__getattr__ = lazy_names(
    __name__,
    {
        "FORMATS": f"{__name__}.exporting.export",
        "Choice": f"{__name__}.planning.plan",
        "LoadedBundle": f"{__name__}.loaded",
        "ParityReport": f"{__name__}.exporting.parity",
        "Plan": f"{__name__}.planning.plan",
        "SwitchError": f"{__name__}.switches",
        "as_validated": f"{__name__}.switches.validated",
        "bundles_folder": f"{__name__}.locate",
        "check_switches": f"{__name__}.switches",
        "copy_bundle": f"{__name__}.included",
        "describe_path": f"{__name__}.describe",
        "export_network": f"{__name__}.exporting.export",
        "extract_bundle": f"{__name__}.unzip",
        "find_bundle": f"{__name__}.locate",
        "load_bundle": f"{__name__}.loaded",
        "make_plan": f"{__name__}.planning.make",
        "open_bundle": f"{__name__}.locate",
        "package_bundle": f"{__name__}.packaging.package",
        "set_numerics": f"{__name__}.numerics",
    },
)
