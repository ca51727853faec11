# SPDX-License-Identifier: Apache-2.0
"""Other engines that calculate a network in place of PyTorch's eager mode: the switch ``runtime``.

============ ==========================================================================================================
contract     what a runtime is given and gives back, and the error that ends a run
catalogue    the runtimes by name; what they need is looked for
prepare      from a network to a function of images that was compared with it
network      stands for a network in an inferer, and is prepared at the first call
artefacts    files in the user's cache folder, each with its checksum
onnx_graph   the graph of a network, as ONNX has it: of exporting, too
inductor     ``compile``: torch.compile with frozen weights
openvino     ``openvino``: OpenVINO on CPUs, through the ONNX graph
onnxruntime  ``onnxruntime``: ONNX Runtime on CPUs
tensorrt     ``tensorrt``: Torch-TensorRT on NVIDIA GPUs
============ ==========================================================================================================
"""

from sa2_monai.inference.runtimes.catalogue import EAGER, RUNTIMES, check_runtime
from sa2_monai.inference.runtimes.contract import RuntimeRefusedError
from sa2_monai.inference.runtimes.network import RuntimeNetwork
from sa2_monai.inference.runtimes.prepare import prepare

__all__ = ["EAGER", "RUNTIMES", "RuntimeNetwork", "RuntimeRefusedError", "check_runtime", "prepare"]
