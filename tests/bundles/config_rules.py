# SPDX-License-Identifier: Apache-2.0
"""What a configuration of a bundle may say: names, expressions, references. Nothing of it is run."""

from __future__ import annotations

import ast
import inspect
import pydoc
import re
from collections.abc import Mapping
from typing import Any

from monai.bundle import ConfigParser, ReferenceResolver
from monai.bundle.config_item import ComponentLocator

from tests.bundles.bundle_tools import components, leaves

PACKAGES = ("monai", "torch", "ignite", "sa2_monai")
ARGUMENTS = ("_target_", "_disabled_", "_requires_", "_desc_", "_mode_")
MODULES = {"monai", "torch", "np", "numpy"}  # what MONAI lets an expression use without an import
FUNCTIONS = {"len", "str", "int", "float", "bool", "list", "tuple", "dict", "min", "max", "sum", "round", "range"}
FORBIDDEN_NODES = (
    *(ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom, ast.JoinedStr, ast.Starred),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)
LOCATOR = ComponentLocator()


def locate(name: str) -> Any:
    """Class or function that MONAI builds for a ``_target_``."""
    if "." not in name:
        found = LOCATOR.get_component_module_name(name)
        assert isinstance(found, str), f"MONAI knows {name} as {found}: give the full path"
        name = f"{found}.{name}"
    assert name.split(".")[0] in PACKAGES, f"{name} comes from none of {PACKAGES}"
    found = pydoc.locate(name)
    assert callable(found), f"{name} does not exist"
    return found


def references(config: Any) -> set[str]:
    """Ids that values refer to, levels separated by ``::``."""
    texts = [value for _, value in leaves(config) if isinstance(value, str)]
    return {name for text in texts for name in ReferenceResolver.match_refs_pattern(text)}


def check_expression(text: str) -> None:
    """One expression without side doors: calls, arithmetic, conditions, lists of what MONAI offers; a short lambda.

    Raises:
        AssertionError: saying what is not allowed.
    """
    code = re.sub(r"@[\w#:]+", "reference", text.lstrip()[1:])
    tree = ast.parse(code.strip(), mode="eval")  # two statements or an assignment are a SyntaxError
    own = {"reference"} | {arg.arg for node in ast.walk(tree) if isinstance(node, ast.Lambda) for arg in node.args.args}
    for node in ast.walk(tree):
        assert not isinstance(node, FORBIDDEN_NODES), f"{type(node).__name__} in {text}"
        if isinstance(node, ast.Name):
            assert node.id in MODULES | FUNCTIONS | own, f"the name {node.id} in {text}"
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_"), f"the attribute {node.attr} in {text}"
            assert node.attr not in ("os", "sys", "subprocess"), f"the attribute {node.attr} in {text}"
    assert len(text) <= 160, f"too long to be read: {text}"


def check_components(config: Mapping[str, Any]) -> int:
    """Every ``_target_`` exists in an allowed package and takes its arguments; a partial gets the others when called.

    Returns:
        How many there are.
    """
    found = 0
    for where, component in components(config):
        target = locate(component["_target_"])
        parameters = inspect.signature(target).parameters
        given = [key for key in component if key not in ARGUMENTS]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            unknown = [key for key in given if key not in parameters]
            assert not unknown, f"{where}: {component['_target_']} has no {unknown}"
        missing = [
            name
            for name, p in parameters.items()
            if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and name not in given
        ]
        partial = component.get("_mode_") == "callable"
        assert partial or not missing, f"{where}: {component['_target_']} needs {missing}"
        found += 1
    return found


def check_expressions(config: Mapping[str, Any]) -> None:
    """Every text is plain, one reference, or an allowed expression."""
    for entry in config.get("imports", []):
        assert entry.removeprefix("$import ") in PACKAGES, entry
    for where, value in leaves({key: value for key, value in config.items() if key != "imports"}):
        if isinstance(value, str) and value.startswith("$"):
            try:
                check_expression(value)
            except SyntaxError as error:
                raise AssertionError(f"{where}: {value}: {error}") from error
        elif isinstance(value, str):
            if value.startswith("%"):
                assert re.fullmatch(r"%[\w#:]+", value), f"{where}: {value} looks up a file in the current folder"
            assert "@" not in value or re.fullmatch(r"@[\w#:]+", value), f"{where}: {value} stays text"


def check_references(config: Mapping[str, Any]) -> None:
    """Each reference leads somewhere, and none of them in a circle."""
    parser = ConfigParser(dict(config))
    parser.parse()
    items = parser.ref_resolver.items
    for name, item in items.items():
        for target in ReferenceResolver.find_refs_in_config(config=item.get_config(), id=name):
            assert target in items, f"{name} refers to @{target}, which does not exist"
    # Circles are found where references are followed; nothing is built or evaluated.
    for name in parser.get():
        parser.get_parsed_content(name, instantiate=False, eval_expr=False)


def check_paths(config: Mapping[str, Any]) -> None:
    """No absolute path but below ``/workspace``, which stands for any place."""
    for where, value in leaves(config):
        if isinstance(value, str) and re.match(r"/|~|[A-Za-z]:[\\/]", value):
            assert value.startswith("/workspace/"), f"{where}: {value}"
