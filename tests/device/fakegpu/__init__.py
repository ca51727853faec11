# SPDX-License-Identifier: Apache-2.0
"""A pretended accelerator: a device of its own for CPU builds of torch, on which mistakes show without a GPU.

Its kernels are those of the CPU, so values are real; tensors of two devices do not mix, as on a GPU; where the host
waits for the device, and what is copied between them, is counted; its memory runs out where a test wants it; autocast
has CUDA's lists of operators.

``fakegpu.cpp`` is the device, ``library`` builds it once, ``accelerator`` makes it known to torch. That cannot be taken
back, so it happens in a process of its own (``process``): see the fixture ``on_accelerator`` in
``tests/device/conftest.py``.
"""
