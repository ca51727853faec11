# SPDX-License-Identifier: Apache-2.0
"""Ignite handlers for training: exact resume, selection of the best weights, early stop, a record of each run.

All handlers are written inline in the ``handlers`` list of a bundle's YAML. The engine arrives through ``attach``, so
no handler refers to the trainer that lists it. In ``train#handlers``, :class:`OneWriter` comes first,
:class:`LoadPretrained` and :class:`LoadEncoder` before :class:`CheckpointHandler` and :class:`EarlyStop` after it;
:class:`RunRecord` comes behind all that, and :class:`TrackedRun` last.
"""

from sa2_monai.training.checkpoint import CheckpointHandler
from sa2_monai.training.class_dice import ClassDice
from sa2_monai.training.clean_up_check import CleanUpCheck
from sa2_monai.training.debugging import debug
from sa2_monai.training.disk_cache import DiskCacheDataset
from sa2_monai.training.distributed import start_processes
from sa2_monai.training.divergence import DivergedError, DivergenceCheck
from sa2_monai.training.early_stop import EarlyStop
from sa2_monai.training.epoch_seed import EpochSeed
from sa2_monai.training.freeze import FreezeEncoder
from sa2_monai.training.load_pretrained import LoadPretrained
from sa2_monai.training.load_weights import LoadEncoder, LoadWeights
from sa2_monai.training.one_writer import OneWriter, check_folder
from sa2_monai.training.overflow import OverflowCheck
from sa2_monai.training.parameter_groups import parameter_groups
from sa2_monai.training.progress import show_progress
from sa2_monai.training.run_record import RunRecord
from sa2_monai.training.schedules.cosine import CosineLR
from sa2_monai.training.schedules.late_polynomial_lr import LatePolynomialLR
from sa2_monai.training.schedules.two_stage_cosine import TwoStageCosine
from sa2_monai.training.schedules.with_floor import CosineRestarts, Plateau
from sa2_monai.training.steps.average import WeightAverage
from sa2_monai.training.steps.class_weights import class_weights
from sa2_monai.training.steps.network_form import NetworkForm
from sa2_monai.training.steps.statistics import PreciseStatistics
from sa2_monai.training.steps.update import autocast_options, iteration_update
from sa2_monai.training.steps.warm_up import WarmUp
from sa2_monai.training.tracking.run import TrackedRun

__all__ = [
    "CheckpointHandler",
    "ClassDice",
    "CleanUpCheck",
    "CosineLR",
    "CosineRestarts",
    "DiskCacheDataset",
    "DivergedError",
    "DivergenceCheck",
    "EarlyStop",
    "EpochSeed",
    "FreezeEncoder",
    "LatePolynomialLR",
    "LoadEncoder",
    "LoadPretrained",
    "LoadWeights",
    "NetworkForm",
    "OneWriter",
    "OverflowCheck",
    "Plateau",
    "PreciseStatistics",
    "RunRecord",
    "TrackedRun",
    "TwoStageCosine",
    "WarmUp",
    "WeightAverage",
    "autocast_options",
    "check_folder",
    "class_weights",
    "debug",
    "iteration_update",
    "parameter_groups",
    "show_progress",
    "start_processes",
]
