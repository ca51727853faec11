# SPDX-License-Identifier: Apache-2.0
"""``models/model.ts`` of a packaged bundle, the same bytes each time.

TorchScript numbers its classes through a whole process and orders constants by their hashes. So the file is written
by a process of its own, with fixed hashes: ``python -m sa2_monai.bundle.exporting.torchscript JOB``. That process needs
torch and the network alone, and starts the faster for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["script_bundle"]


def script_bundle(folder: Path) -> None:
    """Write ``models/model.ts`` from ``configs/inference.json`` and ``models/model.pt`` of a bundle.

    Args:
        folder: folder of the bundle.

    Raises:
        RuntimeError: when the network cannot be scripted, with what the process said.
    """
    from monai.bundle import ConfigParser

    from sa2_monai.io.workplace import temporary_folder

    configs = folder / "configs"
    parser = ConfigParser(ConfigParser.load_config_file(str(configs / "inference.json")))
    # As ckpt_export writes them.
    texts = {
        f"{stem}.json": json.dumps(json.loads((configs / f"{stem}.json").read_text(encoding="utf-8")))
        for stem in ("metadata", "inference")
    }
    component = parser.get_parsed_content("network_def", instantiate=False)
    job = {
        "target": component.resolve_module_name(),
        "arguments": component.resolve_args(),
        "weights": str(folder / "models" / "model.pt"),
        "output": str(folder / "models" / "model.ts"),
        "texts": texts,
    }
    if not isinstance(job["target"], str):  # a class, not its name
        job["target"] = f"{job['target'].__module__}.{job['target'].__qualname__}"
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    with temporary_folder() as place:
        file = place / "job.json"
        file.write_text(json.dumps(job), encoding="utf-8")
        command = [sys.executable, "-m", "sa2_monai.bundle.exporting.torchscript", str(file)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the network could not be written as TorchScript:\n{done.stderr.strip()[-2000:]}")


def main(file: str) -> None:
    """Body of the process.

    Args:
        file: JSON with ``target``, ``arguments``, ``weights``, ``output`` and ``texts``.
    """
    import torch

    job: dict[str, Any] = json.loads(Path(file).read_text(encoding="utf-8"))
    module, _, name = job["target"].rpartition(".")
    network = getattr(import_module(module), name)(**job["arguments"])
    network.load_state_dict(torch.load(job["weights"], map_location="cpu", weights_only=True))
    extra = {name: text.encode() for name, text in job["texts"].items()}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; the tools around MONAI want it
        torch.jit.save(torch.jit.script(network.eval()), job["output"], extra)


if __name__ == "__main__":
    main(sys.argv[1])
