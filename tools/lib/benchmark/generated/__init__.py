# SPDX-License-Identifier: Apache-2.0
"""What is measured on: a CT of the abdomen, label maps of organs, made here."""
