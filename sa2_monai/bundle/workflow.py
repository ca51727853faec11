# SPDX-License-Identifier: Apache-2.0
"""Running the configurations of a bundle in this process."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.bundle.locate import load, load_one
from sa2_monai.bundle.numerics import kept_numerics
from sa2_monai.bundle.parsed_workflow import parsed_workflow, search_path_once
from sa2_monai.bundle.switches import check_config, close_match
from sa2_monai.bundle.switches.renamed import current_words
from sa2_monai.bundle.switches.schema import switch_names
from sa2_monai.io.causes import unwrapped
from sa2_monai.io.kinds import current_word
from sa2_monai.io.paths import verbatim_paths

__all__ = ["check_ids", "choose_device", "run_inference", "run_training", "run_workflow", "sees_volumes"]

#: Called for each case that is through, with its record: ``case``, ``status`` ("ok" or "failed"), where the bundle's
#: evaluator tells them ``seconds`` and ``error``.
Report = Callable[[Mapping[str, Any]], None]

# The runs of a process take turns: numerics, filters of warnings and levels of logs, which a run sets and puts back,
# belong to the whole process. One that begins within another has its turn already.
_TURN = threading.RLock()


def _begin_afresh() -> None:
    """A forked process does not wait for the end of a run of its parent."""
    global _TURN
    _TURN = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_begin_afresh)


def run_workflow(
    files: Sequence[str | os.PathLike[str]],
    overrides: Mapping[str, Any],
    kind: str,
    prepare: Callable[[Any], None] | None = None,
    tracking: str | None = None,
) -> Any:
    """Run a bundle from the first to the last step. Called in several threads, one waits for the other.

    Args:
        files: configuration files in the order of merging.
        overrides: values by id; texts with the special characters of MONAI's parser as
            :func:`~sa2_monai.bundle.verbatim.verbatim` makes them.
        kind: ``"train"`` or ``"infer"``.
        prepare: called with the workflow before it runs.
        tracking: ``"mlflow"``, a file with tracking settings of MONAI, or ``None``.

    Returns:
        The finished ``monai.bundle.ConfigWorkflow``.

    Raises:
        ValueError: when the configuration does not have an id of ``overrides``, or a switch has a value that is no
            choice.
        ImportError: tracking with MLflow without its package.
        Exception: what a component raises, such as :class:`~sa2_monai.io.problems.FailedCasesError`, without the
            ``RuntimeError`` that MONAI puts around it.
    """
    from monai.utils import optional_import

    if tracking == "mlflow" and not optional_import("mlflow")[1]:
        raise ImportError("tracking with MLflow needs the package mlflow: python -m pip install 'sa2_monai[mlflow]'.")
    # What this refuses is not run: also metadata, which the configuration may refer to, and settings of the tracking.
    known = load(*files)
    beside: list[str | Path] = [
        Path(files[0]).with_name("metadata.json"),
        *([tracking] if tracking and tracking != "mlflow" else []),
    ]
    for file in beside:
        if os.path.isfile(file):
            load_one(file)
    overrides = current_words(known, overrides)
    check_ids(known, overrides, str(files[0]))
    # MONAI warns that there is no logging file; Ignite logs every exception that ends a run, which is reported anyway.
    with (
        _TURN,
        _log_level("monai.bundle.workflows", logging.ERROR),
        _log_level("ignite", logging.CRITICAL),
        warnings.catch_warnings(),
        search_path_once(),
        verbatim_paths(),
        kept_numerics(),
    ):
        warnings.filterwarnings("ignore", message="parsing (config|meta)_file", category=UserWarning)
        workflow = parsed_workflow(Path(files[0]), known, overrides, kind, tracking)
        wrapped: Exception
        try:
            check_config(workflow.parser.get())
            workflow.initialize()
            if prepare is not None:
                prepare(workflow)
            workflow.run()
            workflow.finalize()
            return workflow
        except Exception as error:
            wrapped = error
    # Outside of the block, where the cause does not get its own wrapper as context.
    raise unwrapped(wrapped)


def run_inference(config: Path, overrides: Mapping[str, Any], report: Report | None = None) -> Any:
    """Run ``configs/inference.yaml`` (or ``.json``) of a bundle; see :func:`run_workflow`.

    Args:
        config: the configuration file.
        overrides: values by id.
        report: called for each case that is through.
    """
    from ignite.engine import Engine, Events

    def prepare(workflow: Any) -> None:
        evaluator = workflow.parser.get_parsed_content("evaluator")
        told = 0

        def tell(engine: Engine) -> None:
            nonlocal told
            records = getattr(evaluator, "cases", None)
            if records is None:  # an older bundle, whose first error ends the run
                fresh = [{"case": item["case"], "status": "ok"} for item in engine.state.batch]
            else:
                fresh, told = records[told:], len(records)
            if report is not None:
                for record in fresh:
                    report(record)

        evaluator.add_event_handler(Events.ITERATION_COMPLETED, tell)

    return run_workflow([config], overrides, "infer", prepare)


def run_training(
    files: Sequence[str | os.PathLike[str]],
    overrides: Mapping[str, Any],
    tracking: str | None = None,
    prepare: Callable[[Any], None] | None = None,
) -> Any:
    """Run a training or an evaluation, see :func:`run_workflow`; the caller's process keeps no fixed seeds.

    Args:
        files: configuration files in the order of merging.
        overrides: values by id.
        tracking: see :func:`run_workflow`.
        prepare: see :func:`run_workflow`.
    """
    from monai.utils import set_determinism

    try:
        return run_workflow(files, overrides, "train", prepare, tracking)
    finally:
        set_determinism(None)


def check_ids(known: Mapping[str, Any], overrides: Mapping[str, Any], source: str) -> None:
    """Refuse overrides of ids that a configuration does not have; MONAI accepts them in silence.

    Args:
        known: the merged configuration.
        overrides: values by id.
        source: its file, for the message.

    Raises:
        ValueError: naming the ids.
    """
    unknown = sorted(name for name in overrides if name.replace("::", "#").split("#")[0] not in known)
    if unknown:
        switches = switch_names(None)  # right in another bundle
        near = {name: None if name in switches else close_match(name, known) for name in unknown}
        names = ", ".join(f"{name} (did you mean {near[name]}?)" if near[name] else name for name in unknown)
        raise ValueError(
            f"{source} has no {names}, which has to be set here. Its switches stand at the top of the "
            "file; an older bundle may lack them."
        )


def sees_volumes(config: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Whether a model predicts volumes; by default those of a bundle are what it was made for.

    Args:
        config: content of the bundle's inference configuration.
        settings: those of the weights.
    """
    default = "volumes" if "slice_axis" in config else "images"  # bundles of earlier versions have no `kind`
    return bool(current_word(settings.get("kind", config.get("kind", default))) != "images")


def choose_device(wanted: str | None) -> str:
    """``wanted``, or ``"cuda"`` when there is one and ``"cpu"`` otherwise.

    Raises:
        ValueError: for a CUDA device that cannot be used.
    """
    import torch

    if wanted and wanted.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(
            f"there is no usable CUDA device for --device {wanted}. Leave the option out to run on the CPU."
        )
    return wanted or ("cuda" if torch.cuda.is_available() else "cpu")


@contextlib.contextmanager
def _log_level(name: str, level: int) -> Iterator[None]:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
