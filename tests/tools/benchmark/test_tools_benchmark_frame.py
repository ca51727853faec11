# SPDX-License-Identifier: Apache-2.0
"""The frame of tools/benchmark: turns, tables, ratios that are recorded and checked."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from benchmark.frame import command, turns
from benchmark.frame.process import in_fresh_process
from benchmark.frame.rows import Row, Skipped, printed

from tests.support.programs import run_program

FOLDER = Path(command.__file__).resolve().parents[1]


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A suite ``toy`` with the option ``--ratio``."""
    toy = ModuleType("benchmark.toy", "A suite for tests.\n\nNothing more.")

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--ratio", type=float, default=2.0)

    def run(args: argparse.Namespace) -> Iterator[Row]:
        if args.ratio == 0:
            raise Skipped("there is no toy: pip install toy")
        yield {"case": "a", "contestant": "published", "median_ms": 250.0, "ratio": 1.0, "spread": 0.0, "note": None}
        row = {"case": "a", "contestant": "ours", "median_ms": 12.34, "ratio": args.ratio, "spread": 0.05}
        yield {**row, "note": "quick"}

    vars(toy).update(add_arguments=add_arguments, run=run)
    monkeypatch.setitem(sys.modules, "benchmark.toy", toy)
    monkeypatch.setattr(command, "suites", lambda: {"toy": "A suite for tests."})
    return toy


def test_table_and_file(suite: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["toy", "--output", str(tmp_path / "b.json")]) == 0
    table = capsys.readouterr().out.splitlines()[2:]
    assert table == [
        "| case | contestant | median, ms | ratio | spread | note |",
        "|---|---|---|---|---|---|",
        "| a | published | 250 | 1 | 0 |  |",
        "| a | ours | 12.3 | 2 | 0.05 | quick |",
    ]
    report = json.loads((tmp_path / "b.json").read_text())
    assert set(report) == {"machine", "versions", "commit", "settings", "skipped", "rows"}
    assert report["settings"]["toy"] == {"threads": None, "ratio": 2.0}
    assert [row["suite"] for row in report["rows"]] == ["toy", "toy"]
    assert report["versions"]["torch"]


def test_a_row_with_a_new_column_starts_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[Row] = [{"case": "a", "build_s": 1.0}, {"case": "b"}, {"case": "c", "epoch_s": 2.0}]
    assert list(printed(rows)) == rows
    first = ["", "| case | build, s |", "|---|---|", "| a | 1 |", "| b |  |"]
    assert capsys.readouterr().out.splitlines() == [*first, "", "| case | epoch, s |", "|---|---|", "| c | 2 |"]


# measured ratio, verdict and exit code against a recorded ratio of 2 with a spread of 5 %
VERDICTS = [(2.0, "equal", 0), (1.65, "equal", 0), (1.55, "worse", 1), (2.35, "equal", 0), (2.5, "better", 0)]


@pytest.mark.parametrize(("ratio", "verdict", "code"), VERDICTS)
def test_ratios_are_checked(
    ratio: float, verdict: str, code: int, suite: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "ratios.json"
    assert command.main(["toy", "--record", str(file)]) == 0
    capsys.readouterr()
    assert command.main(["toy", "--ratio", str(ratio), "--check", str(file)]) == code
    printed = capsys.readouterr().out
    assert f"| toy | a | ours | 2 | {ratio:.3g} | 20% | {verdict} |" in printed
    assert f"{code} of 2 ratios are worse" in printed


def test_a_suite_is_recorded_anew_and_others_stay(suite: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "ratios.json"
    file.write_text(json.dumps({"other": {"facts": {}, "ratios": []}}))
    for ratio in ("2", "3"):
        assert command.main(["toy", "--ratio", ratio, "--record", str(file)]) == 0
    found = json.loads(file.read_text())
    assert [row["ratio"] for row in found["toy"]["ratios"]] == [1.0, 3.0]
    assert "other" in found


def test_nothing_to_compare(suite: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["toy", "--check", str(tmp_path / "no.json")]) == 2
    assert "has none of these ratios: measure them on a quiet machine with --record" in capsys.readouterr().out


def test_skipped(suite: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["toy", "--ratio", "0"]) == 2
    assert "toy is skipped: there is no toy: pip install toy" in capsys.readouterr().err


def test_unknown_suite(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["forwards"]) == 2
    assert "found the suite 'forwards', expected one of evaluation, forward" in capsys.readouterr().err


def test_every_suite_has_the_form() -> None:
    known = command.suites()
    assert {"evaluation", "forward", "loader", "slide", "train_step", "volume"} <= set(known)
    assert all(known.values())
    for name in known:
        module, args = command.parse(name, [])
        assert callable(module.run)
        assert args.check is None


def test_the_command() -> None:
    result = run_program([sys.executable, str(FOLDER), "--help"])
    assert result.returncode == 0, result.stderr
    assert all(f"  {name} " in result.stdout for name in (*command.suites(), "all"))


def test_without_a_suite_the_networks_are_measured() -> None:
    assert command.of_networks(["--size", "32"]) == (["forward", "train_step"], ["--size", "32"])
    assert command.of_networks(["--work", "training"]) == (["train_step"], [])


def test_turns_and_ratios() -> None:
    called: list[str] = []
    seconds = turns.take_turns({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, turns=2, warm=1)
    assert called == list("ababab")
    assert [len(values) for values in seconds.values()] == [2, 2]
    rows = turns.compared({"a": [4.0, 8.0, 4.0], "b": [2.0, 2.0, 1.0]})
    assert rows["a"] == {"median_ms": 4000.0, "ratio": 1.0, "spread": 0.0}
    assert rows["b"] == {"median_ms": 2000.0, "ratio": 4.0, "spread": 0.125}
    assert turns.compared({"a": [4.0], "b": [2.0]}, base="b")["a"] == {
        "median_ms": 4000.0,
        "ratio": 0.5,
        "spread": None,
    }


def test_fresh_process() -> None:
    assert in_fresh_process("operator", "add", 2, 3) == 5
    assert in_fresh_process("os", "getenv", "SA2_TOLD", SA2_TOLD="yes") == "yes"
    with pytest.raises(SystemExit, match=r"operator\.truediv failed in its own process"):
        in_fresh_process("operator", "truediv", 1, 0)
