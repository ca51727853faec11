# SPDX-License-Identifier: Apache-2.0
"""The library of the pretended accelerator: built once for each version of its source and of torch, then kept."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sysconfig
from pathlib import Path

from filelock import FileLock

__all__ = ["build_library", "why_not"]

SOURCE = Path(__file__).with_name("fakegpu.cpp")
COMPILER = os.environ.get("CXX", "g++")


def why_not() -> str | None:
    """Why the library cannot be built here; ``None`` where it can."""
    import torch

    if torch.version.cuda or torch.version.hip:
        return "the pretended accelerator needs a build of torch for CPUs; here the tests marked gpu say more"
    if shutil.which(COMPILER) is None:
        return f"the pretended accelerator is built with a C++ compiler, and there is no {COMPILER}"
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        return "the pretended accelerator is built with Python.h, which is not installed"
    return None


def build_library() -> Path:
    """The folder of the module ``fakegpu_C``, built where it is not yet (half a minute)."""
    import torch

    build = f"{torch.__version__} {sysconfig.get_config_var('EXT_SUFFIX')} {platform.platform()} {COMPILER}"
    digest = hashlib.sha256(SOURCE.read_bytes() + build.encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "sa2_monai" / "tests" / f"fakegpu-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / f"fakegpu_C{sysconfig.get_config_var('EXT_SUFFIX')}"
    with FileLock(folder / "lock"):  # tests run in several processes
        if not library.exists():
            _compile(library)
    return folder


def _compile(library: Path) -> None:
    import torch
    from torch.utils.cpp_extension import include_paths

    of_torch = Path(torch.__file__).parent / "lib"
    unfinished = library.with_suffix(".unfinished")
    subprocess.run(
        [
            *(COMPILER, "-O1", "-std=c++20", "-fPIC", "-shared", "-w", str(SOURCE), "-o", str(unfinished)),
            *(f"-I{path}" for path in (*include_paths(), sysconfig.get_paths()["include"])),
            *(f"-L{of_torch}", f"-Wl,-rpath,{of_torch}", "-ltorch", "-ltorch_cpu", "-ltorch_python", "-lc10"),
        ],
        check=True,
    )
    unfinished.replace(library)
