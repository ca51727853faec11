# SPDX-License-Identifier: Apache-2.0
"""What an evaluation writes: tables, HTML, images."""
