# SPDX-License-Identifier: Apache-2.0
"""Switches that have another name now: ``amp`` and ``amp_dtype`` are ``precision``.

The earlier names are understood for one more version, in files and on the command line. Bundles of earlier versions
have ``amp`` in configurations of their own, and keep it; where such a bundle can, it takes ``precision`` as well.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monai.bundle import ConfigParser

__all__ = ["EARLIER", "current_words", "precision_of", "uses_amp"]

EARLIER = ("amp", "amp_dtype")
_INFERERS = ("sa2_monai.inference.inferer_for", "sa2_monai.inference.VolumeInferer")
_ON_CUDA = "torch.device(@device).type == 'cuda'"


def current_words(known: Collection[str], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides in the words of a configuration.

    Args:
        known: ids of the configuration; the merged configuration itself, where somebody wants ``precision`` of a bundle
            of an earlier version.
        overrides: values by id.

    Raises:
        ValueError: ``precision`` is given by both names, or a value that ``amp`` did not have.
    """
    given = {name: overrides[name] for name in EARLIER if name in overrides}
    if "precision" not in known:
        return _for_earlier(known, overrides)
    if not given:
        return dict(overrides)
    if "precision" in overrides:
        raise ValueError(f"{' and '.join(given)}: earlier words for precision, which is given as well; leave them out")
    rest = {name: value for name, value in overrides.items() if name not in EARLIER}
    precision = precision_of(**given)
    return rest if precision is None else {**rest, "precision": precision}


def precision_of(amp: Any = None, amp_dtype: str = "float16") -> str | None:
    """What the earlier switches mean, as a value of ``precision``; with a ``DeprecationWarning``.

    Args:
        amp: ``True``, ``False`` or an expression; ``None`` when it is not given, which was true with a GPU.
        amp_dtype: ``"float16"``, on GPUs alone, or ``"bfloat16"``.

    Returns:
        A precision, or an expression for it; ``None`` where nothing was said.

    Raises:
        ValueError: another value.
    """
    is_expression = isinstance(amp, str) and amp[:1] in ("$", "@")
    if not (amp is None or isinstance(amp, bool) or is_expression):
        raise ValueError(f"amp is {amp!r}, expected true or false; it is called precision now (fp32, bf16, fp16, auto)")
    if amp_dtype not in ("float16", "bfloat16"):
        raise ValueError(f"amp_dtype is {amp_dtype!r}, expected float16 or bfloat16; it is called precision now")
    warnings.warn(
        "amp and amp_dtype are called precision now: amp=false is precision=fp32, amp=true precision=fp16 (GPUs), with "
        "amp_dtype=bfloat16 precision=bf16. The earlier names go with the next minor version.",
        DeprecationWarning,
        stacklevel=3,
    )
    half = "bf16" if amp_dtype == "bfloat16" else "fp16"
    if amp is False:
        return "fp32"
    if amp is None:
        return None if half == "fp16" else f"$'bf16' if {_ON_CUDA} else 'fp32'"
    where = [f"({amp.lstrip('$')})"] if is_expression else []
    where += [_ON_CUDA] if half == "fp16" else []  # on CPUs it changed nothing
    return f"${half!r} if {' and '.join(where)} else 'fp32'" if where else half


def uses_amp(parser: ConfigParser) -> bool:
    """Whether a bundle of an earlier version leaves it to its engine to open an autocast region on a GPU.

    Args:
        parser: with its configuration.
    """
    config = parser.get()
    return "precision" not in config and "amp" in config and bool(parser.get_parsed_content("amp"))


def _for_earlier(known: Collection[str], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """``precision`` for the inferer of a bundle of an earlier version, where that is one of this package."""
    if "precision" not in overrides or not isinstance(known, Mapping):
        return dict(overrides)
    places = {"inferer": known.get("inferer"), "validate#inferer": _inferer_of(known.get("validate"))}
    if "train" in known and "section" not in known:  # a training
        return dict(overrides)
    for place, inferer in places.items():
        if isinstance(inferer, Mapping) and inferer.get("_target_") in _INFERERS:
            rest = {name: value for name, value in overrides.items() if name != "precision"}
            engine = {"amp": False} if "amp" in known else {}  # else it would open a region around it
            return {**rest, **engine, f"{place}#precision": overrides["precision"]}
    return dict(overrides)


def _inferer_of(validate: Any) -> Any:
    return validate.get("inferer") if isinstance(validate, Mapping) else None
