# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai datasets calibrate``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the action."""
    parser.add_argument("archive", metavar="ARCHIVE_FILE", help="such as test_vol_h5/case0008.npy.h5")
    parser.add_argument("image", metavar="NIFTI_IMAGE", help="the same case as downloaded, such as img0008.nii.gz")
    parser.add_argument("label", metavar="NIFTI_LABEL", nargs="?", help="its labels, compared too")
    parser.add_argument("--output", "-o", default="orientation.json", metavar="FILE", help="default: orientation.json")


def run(args: argparse.Namespace) -> int:
    """Write the orientation to a file."""
    from sa2_monai.data import calibrate
    from sa2_monai.io.atomic import write_atomically

    found = calibrate(args.archive, args.image, args.label)
    path = Path(args.output)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(found, indent=1) + "\n").encode())
    print(f"{path}: {json.dumps(found)}")
    return 0
