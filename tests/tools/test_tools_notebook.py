# SPDX-License-Identifier: Apache-2.0
"""The notebook of tools/notebooks: a valid file without traces of a machine, whose code does what its text says."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sa2_monai.evaluation import EvaluationResult


@pytest.fixture
def notebook(repository: Path) -> dict[str, Any]:
    return json.loads((repository / "tools" / "notebooks" / "first_steps.ipynb").read_text(encoding="utf-8"))


def code_of(notebook: dict[str, Any]) -> list[str]:
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_the_file_is_a_clean_notebook(notebook: dict[str, Any]) -> None:
    """What the schema of nbformat 4.5 demands of such cells; no outputs, numbers of executions or paths."""
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in ids)
    for cell in notebook["cells"]:
        own: dict[str, Any] = {"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else {}
        assert cell == {**cell, **own, "metadata": {}}
        assert set(cell) == {"cell_type", "id", "metadata", "source", *own}
        assert cell["cell_type"] in ("code", "markdown")
        assert all(line.endswith("\n") for line in cell["source"][:-1])
    text = json.dumps(notebook)
    assert not re.search(r"[\"'\s](/|~|[A-Z]:\\)(home|root|work|tmp|Users)", text), "a path of a machine"
    statements = [line for source in code_of(notebook) for line in source.splitlines() if "import" not in line]
    assert len(statements) <= 10


def test_its_code_trains_predicts_and_evaluates(
    notebook: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    shown = None
    cells = code_of(notebook)
    (train,) = [index for index, source in enumerate(cells) if "max_epochs=" in source]
    cells[train], count = re.subn(r"max_epochs=\d+", "max_epochs=1", cells[train])
    assert count == 1
    for source in cells:
        tree = ast.parse(source)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "first_steps.ipynb", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "first_steps.ipynb", "eval"), names)  # type: ignore[attr-defined]
            shown = value if hasattr(value, "save") else shown  # what a notebook shows below the cell

    assert names["labels"].shape == names["image"].shape[:2]
    assert set(np.unique(names["labels"])) <= {0, 1}
    assert shown is not None
    assert shown.size[0] >= 128
    result = names["result"]
    assert isinstance(result, EvaluationResult)
    assert result.cases == ["bf_test_002", "fluo_test_001", "he_test_000", "he_test_003"]
    assert "Dice, mean of class means" in capsys.readouterr().out
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {
        "first_steps/run/models/model.pt",
        "first_steps/scores/report.html",
        "first_steps/run/eval/run.json",
    } <= written
    assert all(name.startswith("first_steps/") for name in written), "the text says where everything is written"
