# SPDX-License-Identifier: Apache-2.0
"""Time and memory against what is published, side by side in one run: one module of this folder per suite.

A suite is found by its file. Its name is that of the file, its help the first line of its docstring, and it has

    def add_arguments(parser: argparse.ArgumentParser) -> None
    def run(args: argparse.Namespace) -> Iterable[Row]

``run`` compares the results of its contestants before it times anything (``SystemExit`` where they differ), lets them
take turns (:func:`benchmark.frame.turns.take_turns`) and returns or yields rows. Its defaults are what
``tools/benchmark all`` and the committed ratios are measured with; they take at most eight minutes on two cores. It
raises :class:`benchmark.frame.rows.Skipped` with the reason where the machine cannot run it.

A row is a dictionary of text and numbers; its keys are the columns of the table. A row with another key starts a table.
A unit ends the key: ``median_ms``, ``peak_mb``. The frame knows these, and a row without a ratio is not checked:

    case        what was measured: "sa2net 224 x 224, batch 1"
    contestant  who: "published", "sa2_monai"
    ratio       how many times as good as the first contestant (more is better), the median of the turns' ratios
    spread      half the distance of the quartiles of those ratios, as a share of their median; None for a single turn

``args`` has ``threads`` as well (set before ``run``). The frame (``frame/``) prints the Markdown table, writes the JSON
file and compares with committed ratios. ``contestants/`` and ``generated/`` are what several suites share.
"""
