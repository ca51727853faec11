# SPDX-License-Identifier: Apache-2.0
"""Which configurations run without a question, and which need ``--trust``: those that could do anything.

allowed says what a configuration may name, components and expressions look for the rest in one entry of it, outside in
a whole bundle, code for Python files beside it; consent refuses, unless somebody has said that the bundle is trusted.
"""
