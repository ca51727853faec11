# SPDX-License-Identifier: Apache-2.0
"""The console script ``sa2-monai``: one file per command, each imported only when it is chosen."""

from sa2_monai.cli.main import UsageError, main

__all__ = ["UsageError", "main"]
