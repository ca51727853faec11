# SPDX-License-Identifier: Apache-2.0
"""Reading checkpoint files that may come from anywhere."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from sa2_monai.io.causes import raise_if_memory
from sa2_monai.io.limits.zips import check_expansion

__all__ = ["read_checkpoint", "read_safely", "tensors_in"]

_CONTAINER = "state_dict"
_PREFIXES = ("module.", "_orig_mod.")  # DataParallel and DistributedDataParallel; torch.compile


def read_safely(path: str | os.PathLike[str]) -> Any:
    """What a checkpoint or a file of safetensors holds, without ever executing code of it, or one clear error.

    Returns:
        What the file holds, on the CPU.

    Raises:
        FileNotFoundError: when there is no such file.
        OSError: when it cannot be read.
        ValueError: when it is no checkpoint, is damaged, or holds objects other than tensors and plain values.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(
            f"checkpoint {path} {what}. Train first, give the path of a checkpoint file, or get one with "
            "'sa2-monai import-weights'."
        )
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors(path)
    try:
        with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
            check_expansion(path, archive)
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise_if_memory(error, path)
        if error.errno == errno.EINVAL:  # torch looked for the table of contents in front of the file's beginning
            raise _damaged(path, error) from error
        raise OSError(error.errno, f"cannot read checkpoint {path}: {error.strerror or error}.") from error
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        if found is None:
            raise _damaged(path, error) from error
        raise ValueError(
            f"{path} holds Python objects ({found.group(1)}), and loading these could run code of the file: refused. "
            "Ask its author for a file with the state dict only, or, if you trust it, save one from it in a process "
            "of its own: torch.save(network.state_dict(), ...)."
        ) from error
    except Exception as error:  # torch reports damage by many types, as it happens to be noticed
        if "TorchScript" in str(error):
            raise ValueError(
                f"{path} is an exported TorchScript network, not a checkpoint. Use the .pt file it was exported from."
            ) from error
        raise _damaged(path, error) from error


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except OSError as error:
        raise_if_memory(error, path)
        raise OSError(error.errno, f"cannot read {path}: {error.strerror or error}.") from error
    except Exception as error:  # the package has an exception of its own for damage
        raise_if_memory(error, path)
        raise ValueError(
            f"{path} is not a safetensors file or is damaged ({path.stat().st_size} bytes; {error}). Copy or download "
            "it again."
        ) from error


def _damaged(path: Path, error: Exception) -> ValueError:
    raise_if_memory(error, path)
    size = path.stat().st_size
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ValueError(
        f"{path} is not a PyTorch checkpoint or is damaged ({size} bytes; {reason}). "
        "Copy or download it again, or restore it from a backup."
    )


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint: a bare state dict, or a dict that holds one under ``state_dict``.

    The prefixes of ``DataParallel`` and ``torch.compile`` are removed when all names have them.

    Returns:
        Tensors by name, on the CPU.

    Raises:
        FileNotFoundError, OSError, ValueError: as :func:`read_safely`, and ``ValueError`` for a file with something
            else in it.
    """
    return tensors_in(read_safely(path), path)


def tensors_in(content: Any, path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """Tensors by name in the content of a checkpoint file; see :func:`read_checkpoint`.

    Raises:
        ValueError: when the content is something else.
    """
    if isinstance(content, Mapping) and isinstance(content.get(_CONTAINER), Mapping):
        content = content[_CONTAINER]
    if not isinstance(content, Mapping) or not content:
        what = "an empty dict" if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise ValueError(f"{path} holds {what}, not a state dict (tensors by name). Give the path of a checkpoint.")
    others = [f"{name} ({type(value).__name__})" for name, value in content.items() if not _is_entry(name, value)]
    if others:
        raise ValueError(
            f"{path} is not a state dict: besides tensors it holds {', '.join(others[:8])}"
            f"{f' and {len(others) - 8} more' if len(others) > 8 else ''}. Expected are tensors by name, bare or under "
            f"the key {_CONTAINER!r}."
        )
    tensors: dict[str, torch.Tensor] = dict(content)
    for prefix in _PREFIXES * 2:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name[len(prefix) :]: value for name, value in tensors.items()}
    return tensors


def _is_entry(name: Any, value: Any) -> bool:
    return isinstance(name, str) and isinstance(value, torch.Tensor)
