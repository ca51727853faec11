# SPDX-License-Identifier: Apache-2.0
"""``python -m sa2_monai``: the console script where it is not on the path."""

from sa2_monai.cli.main import main

raise SystemExit(main())
