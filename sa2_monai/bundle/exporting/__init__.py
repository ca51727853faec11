# SPDX-License-Identifier: Apache-2.0
"""Networks with their weights for other runtimes.

export is the whole; converters has the formats, parity compares a file with its network, label_network ends a network
in labels, int8 writes one in whole numbers for OpenVINO, torchscript makes the ``models/model.ts`` of packages.
"""
