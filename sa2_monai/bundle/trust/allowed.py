# SPDX-License-Identifier: Apache-2.0
"""What a configuration may name without a question. All else needs ``--trust``, known to be harmful or not."""

from __future__ import annotations

__all__ = ["ARGUMENTS", "ATTRIBUTES", "BARE", "BUILTINS", "CALLED", "DEFINED", "IMPORTS", "LOCATES", "NAMES", "NUMPY"]
__all__ += ["PREFIXES", "REFUSED", "TORCH"]

#: Packages whose classes and functions a ``_target_`` may name.
PREFIXES = (
    *("ignite.contrib.handlers.", "ignite.engine.", "ignite.handlers.", "ignite.metrics."),
    *("monai.data.", "monai.engines.", "monai.handlers.", "monai.inferers.", "monai.losses.", "monai.metrics."),
    *("monai.networks.", "monai.optimizers.", "monai.transforms.", "monai.visualize."),
    *("sa2_monai.data.", "sa2_monai.evaluation.", "sa2_monai.inference.", "sa2_monai.losses.", "sa2_monai.metrics."),
    *("sa2_monai.networks.", "sa2_monai.slices.", "sa2_monai.training.", "sa2_monai.transforms.", "sa2_monai.weights."),
    *("torch.amp.", "torch.cuda.amp.", "torch.nn.", "torch.optim.", "torch.utils.data.", "torch.utils.tensorboard."),
)
#: Where what they name may be defined, beside those packages: our own names of it have moved.
DEFINED = (*PREFIXES, "sa2_monai.io.")
#: Single names of other packages.
NAMES = (
    *("monai.utils.path_to_sqlite_uri", "monai.utils.set_determinism"),
    *("sa2_monai.bundle.as_validated", "sa2_monai.bundle.check_switches", "sa2_monai.bundle.set_numerics"),
)
#: Parts of those packages that download or load code: torch.hub, TorchScript.
REFUSED = ("monai.losses.perceptual.", "monai.data.torchscript_utils.", "monai.networks.utils.convert_to_")
#: Where MONAI finds a ``_target_`` without a dot.
BARE = (
    *("monai.transforms", "monai.data", "monai.engines", "monai.handlers", "monai.inferers", "monai.losses"),
    *("monai.metrics", "monai.networks.nets", "monai.networks.blocks", "monai.networks.layers", "monai.optimizers"),
)
#: Arguments by which a component would find another one by its name, which is then a ``_target_``, too.
LOCATES = ("reader", "writer", "merger_cls")
#: Arguments that let files run code, with the only value that they may have.
ARGUMENTS = {"allow_pickle": False, "weights_only": True}

#: Modules that an expression may import.
IMPORTS = ("ignite", "monai", "numpy", "sa2_monai", "torch")
#: Packages whose functions an expression may call: those of ``PREFIXES`` that find nothing by its name.
CALLED = (
    *("ignite.handlers.", "ignite.metrics.", "monai.handlers.", "monai.losses.", "monai.metrics.", "monai.networks."),
    *(prefix for prefix in PREFIXES if prefix.startswith("sa2_monai.")),
    *("torch.nn.", "torch.optim."),
)
#: Names in torch for expressions.
TORCH = tuple(
    f"torch.{name}"
    for name in (
        *("bfloat16", "bool", "float16", "float32", "float64", "int16", "int32", "int64", "int8", "long", "uint8"),
        *("cuda.device_count", "cuda.is_available", "cuda.is_bf16_supported", "device", "tensor"),
        *("distributed.destroy_process_group", "distributed.get_node_local_rank", "distributed.get_rank"),
        *("distributed.get_world_size", "distributed.is_available", "distributed.is_initialized"),
    )
)
#: The same in NumPy.
NUMPY = tuple(
    f"{module}.{name}"
    for module in ("np", "numpy")
    for name in ("bool_", "float16", "float32", "float64", "inf", "int16", "int32", "int64", "int8", "nan", "uint8")
)
#: Functions of Python that neither find nor open anything.
BUILTINS = (
    *("abs", "all", "any", "bool", "dict", "enumerate", "float", "int", "len", "list", "max", "min", "range", "round"),
    *("set", "sorted", "str", "sum", "tuple", "zip"),
)
#: Attributes of objects of the configuration.
ATTRIBUTES = (
    *("batch", "enter", "epoch", "epoch_length", "get", "items", "iteration", "keys", "max_epochs", "members"),
    *("metrics", "normalise", "output", "param_groups", "parameters", "resample", "run", "state", "state_dict"),
    *("stretch", "to", "type", "values"),
)
