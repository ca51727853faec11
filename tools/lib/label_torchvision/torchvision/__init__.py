# SPDX-License-Identifier: Apache-2.0
"""Stand-in for torchvision where no build of it fits the installed torch; see label_environment.sh."""

__version__ = "0.0.0"
