# SPDX-License-Identifier: Apache-2.0
"""What one switch may be, by ``schema.yaml``, and the words for what it is not."""

from __future__ import annotations

import difflib
import functools
import math
import numbers
import operator
import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

__all__ = ["close_match", "networks", "problem", "switch_names"]

_FILE = Path(__file__).with_name("schema.yaml")


def networks() -> set[str]:
    """Names of the networks whose bundles the schema describes."""
    return set(_content()["definitions"]["networks"])


def switch_names(network: str | None) -> set[str]:
    """Names of the switches that a network's bundle has; of all bundles for ``None`` or a network of somebody else.

    Args:
        network: name of the network.
    """
    return set(_properties(network))


def problem(name: str, value: Any, network: str | None, config: Mapping[str, Any]) -> str | None:
    """What is wrong with a value, in one line; ``None`` when nothing is, or the schema does not know the switch.

    Args:
        name: of the switch.
        value: plain, no expression.
        network: name of the network, whose choices may be others.
        config: the configuration, for choices that are its own.
    """
    found = _properties(network).get(name)
    if found is None:
        return None
    schema = _with_choices(found, config)
    plain = _plain(value)
    errors = list(_validator()(schema).iter_errors(plain))
    if not errors:
        return None
    what = f"{name} is {_shown(value)}, expected {schema.get('description') or _choices_text(schema)}"
    words_alone = not _takes_numbers(schema) and any(isinstance(one, str) for one in _choices(schema))
    if isinstance(plain, str) and _is_number(plain) and not words_alone:
        return f"{what}; it is a text (YAML reads 1e-4 as one: write 1.0e-4)"
    wrong = plain if isinstance(plain, str) else next((e.instance for e in errors if isinstance(e.instance, str)), None)
    near = close_match(wrong, [one for one in _choices(schema) if isinstance(one, str)]) if wrong else None
    return f"{what} (did you mean {near}?)" if near else what


def close_match(word: str, known: Iterable[str], cutoff: float = 0.7) -> str | None:
    """The known word that was probably meant, or ``None``.

    Args:
        word: what was written.
        known: words that there are.
        cutoff: how near it has to be, from 0 to 1.
    """
    by_form = {_form(one): one for one in known}
    near = difflib.get_close_matches(_form(word), list(by_form), n=1, cutoff=cutoff)
    return by_form[near[0]] if near else None


def _form(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "").replace(" ", "")


@functools.cache
def _content() -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same content, ten times as fast
    return dict(yaml.load(_FILE.read_text(encoding="utf-8"), loader))


@functools.cache
def _properties(network: str | None) -> dict[str, Any]:
    content = _content()
    networks = content["definitions"]["networks"]
    if network in networks:
        return {**content["properties"], **networks[network]["properties"]}
    # A network of somebody else may have the switches and the choices of any of ours.
    merged: dict[str, list[Any]] = {}
    for schemas in (content["properties"], *(one["properties"] for one in networks.values())):
        for name, schema in schemas.items():
            if schema not in merged.setdefault(name, []):
                merged[name].append(schema)
    return {name: one[0] if len(one) == 1 else {"anyOf": one} for name, one in merged.items()}


def _with_choices(schema: Any, config: Mapping[str, Any]) -> Any:
    """A schema that stands alone: references and the keywords of our own replaced."""
    if isinstance(schema, list):
        return [_with_choices(one, config) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = dict(schema)
    if "$ref" in found:
        found = {**_content()["definitions"][found.pop("$ref").split("/")[-1]], **found}
    if "names" in found:
        found["enum"] = list(_table(found.pop("names")))
    table = config.get(found.pop("keys", None))
    if isinstance(table, Mapping):
        found["enum"] = list(table)
    return {key: value if key == "enum" else _with_choices(value, config) for key, value in found.items()}


@functools.cache
def _table(path: str) -> Iterable[str]:
    """A table of the package by its dotted path."""
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            module = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        return list(operator.attrgetter(".".join(parts[cut:]))(module))
    raise ImportError(f"there is no {path}")


@functools.cache
def _validator() -> Any:
    import jsonschema  # type: ignore[import-untyped]

    base = jsonschema.Draft7Validator
    # As Python has them: 5.0 epochs cannot be counted, and nothing is below or above NaN.
    types = base.TYPE_CHECKER.redefine("integer", lambda _, v: isinstance(v, int) and not isinstance(v, bool))
    types = types.redefine(
        "number", lambda _, v: isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v)
    )
    return jsonschema.validators.extend(base, type_checker=types)


def _plain(value: Any) -> Any:
    """A value of Python as JSON would have it."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, numbers.Number) and not isinstance(value, (bool, int, float)) and hasattr(value, "item"):
        return value.item()
    if isinstance(value, os.PathLike) or type(value).__module__ == "torch":  # torch.device
        return str(value)
    return value


def _takes_numbers(schema: Mapping[str, Any]) -> bool:
    return any(part.get("type") in ("integer", "number") for part in (schema, *schema.get("anyOf", [])))


def _choices(schema: Mapping[str, Any]) -> list[Any]:
    found = [*schema.get("enum", []), *schema.get("words", [])]
    for part in (*schema.get("anyOf", []), schema.get("items"), schema.get("propertyNames")):
        if isinstance(part, Mapping):
            found += _choices(part)
    return list(dict.fromkeys(found))


def _choices_text(schema: Mapping[str, Any]) -> str:
    words = [_word(one) for one in _choices(schema)]
    if {"type": "null"} in schema.get("anyOf", []):
        words.append("null")
    return f"one of {', '.join(words)}" if words else "something else"


def _word(value: Any) -> str:
    """A value as YAML has it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _shown(value: Any) -> str:
    text = _word(value) if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
