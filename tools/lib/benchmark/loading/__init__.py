# SPDX-License-Identifier: Apache-2.0
"""What ``tools/benchmark loader`` measures beside its contestants, and the memory of a process with its workers."""
