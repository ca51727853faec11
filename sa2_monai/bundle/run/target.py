# SPDX-License-Identifier: Apache-2.0
"""Which folder a training may begin in."""

from __future__ import annotations

import os
from pathlib import Path

from sa2_monai.io.ownership import claim_folder, is_claim
from sa2_monai.networks.catalogue import network_names

__all__ = ["BEST", "LOG", "STATE", "check_target", "is_run"]

#: Files of a run.
LOG, BEST, STATE = "logs/train.log", "models/model.pt", "models/last_state.pt"


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run, trained or only begun.

    Args:
        folder: the folder.
    """
    return (folder / LOG).is_file() and (folder / "configs").is_dir()


def check_target(folder: Path) -> None:
    """Refuse to begin a training in a folder that holds something else, or weights of an earlier one.

    Args:
        folder: of the new run; it need not exist.

    Raises:
        FileExistsError: naming what is there and what to do.
        FolderInUseError: another program trains in it.
        ValueError: the folder has the name of a network, which its weights could not be told from.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; --output is the folder of the run.")
    if folder.is_dir() and any(not is_claim(path) for path in folder.iterdir()):
        if not is_run(folder):
            raise FileExistsError(f"{folder} holds other files, and no run. Choose another --output.")
        with claim_folder(folder, "training"):  # it may be at work
            pass
        if (folder / BEST).is_file() or (folder / STATE).is_file():
            raise FileExistsError(
                f"{folder} holds a trained run. Go on with it by --resume, or choose another --output."
            )
    if folder.name in network_names():
        raise ValueError(
            f"--output {folder}: the name is that of a network; choose another, such as {folder.name}_run."
        )
