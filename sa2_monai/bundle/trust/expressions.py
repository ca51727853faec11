# SPDX-License-Identifier: Apache-2.0
"""Whether an expression of a configuration (``$...``) has one of the forms that run without a question."""

from __future__ import annotations

import ast
import functools
import re

from sa2_monai.bundle.trust.allowed import ATTRIBUTES, BUILTINS, CALLED, IMPORTS, NAMES, NUMPY, TORCH
from sa2_monai.bundle.trust.components import is_allowed_target

__all__ = ["is_allowed_text"]

# MONAI writes a variable in the place of each "@id"; in a text that would end the text.
_REFERENCE = re.compile(r"@\w*(?:::\w*)*")
_VALUE = "REFERENCE_OF_THE_CONFIGURATION"
_MACRO = re.compile(r"%[\w:#]+")
_IMPORT = re.compile(rf"\$ *import ({'|'.join(IMPORTS)})")
_NODES = (
    *(ast.Expression, ast.Load, ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Slice, ast.keyword),
    *(ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.IfExp, ast.Lambda, ast.arguments),
    *(ast.arg, ast.Compare, ast.cmpop, ast.Subscript, ast.Call, ast.Name, ast.Attribute),
    *(ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod),
)
# Of classes that find others by a name they are given.
_FIND = ("LoadImage", "SaveImage", "PatchInferer")


@functools.lru_cache(maxsize=4096)
def is_allowed_text(text: str) -> bool:
    """Whether a text of a configuration is plain, a reference, or an expression of an allowed form.

    Args:
        text: as it is written: ``"$@kind == 'images'"``.
    """
    if text.startswith("%"):  # a copy of what stands elsewhere in the configuration, not in another file
        return _MACRO.fullmatch(text) is not None
    if not text.startswith("$"):
        return True
    if _IMPORT.fullmatch(text.rstrip()):
        return True
    if _VALUE in text:
        return False
    try:
        tree = ast.parse(_REFERENCE.sub(_VALUE, text[1:].replace("#", "::")), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    try:
        return _Form(tree).is_allowed(tree)
    except RecursionError:
        return False


class _Form:
    def __init__(self, tree: ast.AST) -> None:
        # Names that the expression itself gives: arguments of its lambdas.
        self.own = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}

    def is_allowed(self, node: ast.AST) -> bool:
        if not isinstance(node, _NODES):
            return False
        if isinstance(node, ast.Constant):
            return not (isinstance(node.value, str) and _VALUE in node.value)
        if isinstance(node, ast.Name):
            return node.id in (_VALUE, *BUILTINS) or node.id in self.own
        if isinstance(node, ast.Attribute):
            name = self._name_in_a_module(node)
            if name is not None:
                return _is_allowed_name(name)
            return node.attr in ATTRIBUTES and self.is_allowed(node.value)
        if isinstance(node, ast.Call) and not self._may_be_called(node):
            return False
        if isinstance(node, ast.arg) and node.arg.startswith("_"):
            return False
        return all(map(self.is_allowed, ast.iter_child_nodes(node)))

    def _may_be_called(self, node: ast.Call) -> bool:
        called = node.func
        if any(keyword.arg is None for keyword in node.keywords):  # **: what it gives cannot be seen
            return False
        if isinstance(called, ast.Name):
            return called.id in (_VALUE, *BUILTINS) and called.id not in self.own
        return isinstance(called, (ast.Attribute, ast.Subscript, ast.Call))

    def _name_in_a_module(self, node: ast.Attribute) -> str | None:
        parts: list[str] = []
        place: ast.AST = node
        while isinstance(place, ast.Attribute):
            parts.append(place.attr)
            place = place.value
        if isinstance(place, ast.Name) and place.id in (*IMPORTS, "np") and place.id not in self.own:
            return ".".join([place.id, *reversed(parts)])
        return None


def _is_allowed_name(name: str) -> bool:
    if name in (*TORCH, *NUMPY, *NAMES):
        return True
    if name in [f"{module}.__version__" for module in (*IMPORTS, "np")]:
        return True
    finds = any(word in name for word in _FIND)
    return name.startswith(CALLED) and not finds and is_allowed_target(name)
