# SPDX-License-Identifier: Apache-2.0
"""What stands under the suite: one module per idea, and each says why it is there (CONTRIBUTING.md, "Under the suite").

Plug-ins of pytest, registered by tests/conftest.py:

- :mod:`~tests.support.order`: the longest tests first, an end after the time that ``tools/test --quick`` has.
- :mod:`~tests.support.measuring`: coverage where it tells something new.
- :mod:`~tests.support.shortcuts`: no fsync, short garbage collection, a fast parser of YAML.
- :mod:`~tests.support.global_state`: every test leaves the process as it found it.
- :mod:`~tests.support.data_folders`: the checkout, the real data, the generated sample.
- :mod:`~tests.support.browser`: Chromium without a window.

Helpers that tests import: programs and groups of processes, small models, miniatures of data sets, files of volumes and
of DICOM, a full disk, published checkpoints, pages of a report.

``SA2_PLAIN=1`` switches off whatever is only there to be fast: see :mod:`~tests.support.plain`.
"""
