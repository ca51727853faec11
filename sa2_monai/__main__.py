# SPDX-License-Identifier: Apache-2.0
"""``python -m sa2_monai``: the command ``sa2-monai``, where its folder is not on the path."""

from sa2_monai.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
