# SPDX-License-Identifier: Apache-2.0
"""Cases of an evaluation: paired, loaded, checked."""
