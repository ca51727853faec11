# SPDX-License-Identifier: Apache-2.0
"""Names on a terminal, in tables and in JSON files."""

from __future__ import annotations

import csv
import io
import json
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sa2_monai.io.text import PrintableStream, csv_cell, encodable, printable

# What a name may hold, and how it is shown.
TEST_CASES = [
    ("plain näme (1) #2 $x @y %z ::.png", "plain näme (1) #2 $x @y %z ::.png"),
    ("日本 é e\u0301.png", "日本 é e\u0301.png"),
    ("a\x1b[2J\x1b]0;title\x07.png", r"a\u001b[2J\u001b]0;title\u0007.png"),
    ("a\nb\rc\td.png", r"a\nb\rc\td.png"),
    ("a\x7f\x85\x9b31m.png", r"a\u007f\u0085\u009b31m.png"),
    ("gnp.\u202etab", r"gnp.\u202etab"),
    ("a\u2066b\u2069c\u200f.png", r"a\u2066b\u2069c\u200f.png"),
    ("a\u2028b\u2029.png", r"a\u2028b\u2029.png"),
    (os.fsdecode(b"a\xff\xfe.png"), r"a\udcff\udcfe.png"),
]


@pytest.mark.parametrize(("name", "shown"), TEST_CASES)
def test_names_on_a_terminal(name: str, shown: str) -> None:
    assert printable(name) == shown
    assert printable(shown) == shown, "once is enough"
    # What a program prints as JSON stays JSON, with the same content.
    document = json.dumps({"name": name}, ensure_ascii=False)
    assert json.loads(printable(document, lines=True)) == {"name": name}


def test_lines_of_a_message_stay() -> None:
    assert printable("a:\n\tb\r\x1b[K", lines=True) == "a:\n\tb\\r\\u001b[K"


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.text(st.characters(exclude_categories=())))
def test_whatever_a_name_holds_can_be_written(name: str) -> None:
    assert printable(name).encode("utf-8").decode("utf-8").isprintable() or not name.isprintable()
    assert not any(ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0 for letter in printable(name))
    encodable(name).encode("utf-8")
    assert json.loads(encodable(json.dumps(name, ensure_ascii=False))) == name


# A value of a table, and what stands in the cell.
CELLS: list[tuple[Any, Any]] = [
    ("case_1", "case_1"),
    ("", ""),
    ("=1+1", "'=1+1"),
    ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
    ("-name.png", "'-name.png"),
    ("@SUM(A1)", "'@SUM(A1)"),
    ("\t=1", "'\t=1"),
    ("\r=1", "'\r=1"),
    ("\n=1", "'\n=1"),
    ("\uff1d1", "'\uff1d1"),
    ("-1.5", "-1.5"),
    ("+2e-3", "+2e-3"),
    ("-inf", "-inf"),
    ("a=b", "a=b"),
    (-1.5, -1.5),
    (None, None),
    (True, True),
]


@pytest.mark.parametrize(("value", "cell"), CELLS)
def test_no_cell_is_a_formula(value: Any, cell: Any) -> None:
    assert csv_cell(value) == cell
    assert type(csv_cell(value)) is type(cell)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.text(max_size=8))
def test_cells_are_read_back(text: str) -> None:
    stream = io.StringIO()
    csv.writer(stream).writerow([csv_cell(f"={text}")])
    stream.seek(0)
    # Carriage returns in quotes are kept only by streams that do not translate line ends.
    assert next(csv.reader(io.StringIO(stream.getvalue(), newline=""))) == [f"'={text}"]


def test_streams() -> None:
    raw = io.StringIO()
    stream = PrintableStream(raw)
    assert stream.write("a\x1b[31m\n") == 7
    print("b", file=stream)
    stream.writelines(["c\x9b", "\n"])
    for piece in ("\r 50%|##", "\n", "\x1b[A", "\n\x1b[A"):  # a progress bar
        stream.write(piece)
    assert raw.getvalue() == "a\\u001b[31m\nb\nc\\u009b\n\r 50%|##\n\x1b[A\n\x1b[A"
    stream.flush()
    assert stream.isatty() is False


def test_a_terminal_without_the_characters() -> None:
    raw = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    PrintableStream(raw).write("é 日 " + os.fsdecode(b"\xff"))
    raw.flush()
    assert raw.buffer.getvalue() == rb"\xe9 \u65e5 \udcff"
