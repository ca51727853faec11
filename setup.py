# SPDX-License-Identifier: Apache-2.0
"""What setup.cfg cannot say: where the bundles go, and how the README reads away from the repository."""

import re
from pathlib import Path

from setuptools import find_packages, setup

# A package index shows the README alone: an image beside it would be a broken one (its caption, the paragraph in
# italics behind it, goes with it), a link to a file would lead nowhere.
readme = Path("README.md").read_text(encoding="utf-8")
readme = re.sub(r"!\[[^\]]*\]\((?!https?:)[^)]*\)\n(\n\*(?!\*)[^*]+\*\n)?\n?", "", readme)
readme = re.sub(r"\[([^\]]+)\]\((?!https?:|#)[^)]*\)", r"\1", readme)

setup(
    long_description=readme,
    # bundles/ at the top of the repository is sa2_monai/bundles of an installation; setup.cfg lists its files.
    packages=[*find_packages(include=["sa2_monai", "sa2_monai.*"]), "sa2_monai.bundles"],
    package_dir={"sa2_monai.bundles": "bundles"},
)
