# SPDX-License-Identifier: Apache-2.0
"""The cases of an evaluation: found, paired, read, and checked before anything is measured.

* ``case_files``, ``pairing``: files by case name, a prediction for every reference.
* ``loading``, ``probabilities``, ``images``: reads a case; ``grids``: do prediction and reference lie on one grid?
* ``classes``, ``class_names``: the table of classes, the values that stand for them, ``dataset.json``.
* ``groups``: the patients that cases belong to.
* ``failures``: a bad case does not end the others; ``processes``: cases shared by several processes.
"""
