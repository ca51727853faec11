# SPDX-License-Identifier: Apache-2.0
"""Bundles from Python, without a configuration file in sight."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from monai.utils import set_determinism
from torch import nn

from sa2_monai.bundle.arrays import read_prediction, write_array
from sa2_monai.bundle.carried import Carried, apply_carried, read_carried
from sa2_monai.bundle.cases import list_inputs
from sa2_monai.bundle.large_files import missing_weights
from sa2_monai.bundle.locate import dataset_overlay, find_bundle, find_config, load
from sa2_monai.bundle.network import build_network, metadata_of
from sa2_monai.bundle.switches import check_config
from sa2_monai.bundle.unzip import extract_bundle
from sa2_monai.bundle.verbatim import verbatim
from sa2_monai.bundle.workflow import check_ids, choose_device, run_inference, run_workflow, sees_volumes
from sa2_monai.evaluation import EvaluationResult, ReportHandler
from sa2_monai.inference import check_writable
from sa2_monai.io.names import file_name
from sa2_monai.io.ownership import claim_folder
from sa2_monai.io.paths import verbatim_paths
from sa2_monai.networks.accelerate import accelerate
from sa2_monai.weights import sha256_of

__all__ = ["LoadedBundle", "load_bundle"]

logger = logging.getLogger(__name__)

# So many cases are not worth the start of worker processes.
_FEW = 8


def load_bundle(
    path_or_name: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    device: str | None = None,
) -> LoadedBundle:
    """A bundle to predict, evaluate and train with.

    A bundle's configuration may run any code, as everywhere in MONAI: load only bundles of people whom you trust. What
    comes beside weights (``model.json``) is plain values and cannot.

    Args:
        path_or_name: folder of a bundle, its zip file, or the name of a bundle of the checkout (``"sa2net"``).
        weights: trained weights; by default ``models/model.pt`` of the bundle, where there is one. The file beside them
            overrules the bundle's defaults: channels, classes, how the network sees an image.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``; by default the GPU where there is one.

    Raises:
        FileNotFoundError: no such bundle or weights.
        ValueError: what is there is no bundle, the weights are of another network, or the device cannot be used.

    Example::

        bundle = sa2_monai.load_bundle("sa2net", weights="model.pt")
        labels = bundle.predict(picture)  # (H, W, 3) -> (H, W)
    """
    return LoadedBundle(path_or_name, weights, device)


class LoadedBundle:
    """A bundle with its weights; see :func:`load_bundle` for the arguments.

    Attributes:
        root: folder of the bundle.
        weights: file of the weights; ``None`` as long as there are none.
        device: where the network runs.
        name: name of the network.
    """

    def __init__(
        self,
        path_or_name: str | os.PathLike[str],
        weights: str | os.PathLike[str] | None = None,
        device: str | None = None,
    ) -> None:
        found = find_bundle(path_or_name)
        self.device = choose_device(device)
        self.is_temporary = found.is_file()
        # Unlike TemporaryDirectory it does not complain when nobody closes it.
        self._scratch = Path(tempfile.mkdtemp(prefix="sa2_monai_"))
        weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        self._runs = 0
        self.root = extract_bundle(found, self._scratch / "bundle") if self.is_temporary else found
        own = self.root / "models" / "model.pt"
        if weights is not None and not Path(weights).is_file():
            raise FileNotFoundError(f"{weights}: no such weights. Give the file of trained weights.")
        self.weights: Path | None = None
        if weights is not None or own.is_file():
            self._use(Path(weights or own).resolve())
        else:
            self._carried = Carried({}, self.root.name, None)

    def __repr__(self) -> str:
        return f"LoadedBundle({str(self.root)!r}, weights={str(self.weights)!r}, device={self.device!r})"

    @property
    def name(self) -> str:
        """Name of the network."""
        return self._carried.network

    @property
    def settings(self) -> dict[str, Any]:
        """What the weights say about themselves: channels, classes, how the network sees an image."""
        return dict(self._carried.settings)

    @property
    def metadata(self) -> dict[str, Any]:
        """Content of the bundle's ``metadata.json``."""
        return metadata_of(self.root)

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, background first; their numbers are the values of label maps."""
        names = self._carried.settings.get("class_names")
        return list(names if names is not None else self._inference()["class_names"])

    @property
    def sees_volumes(self) -> bool:
        """Whether images are volumes, not pictures."""
        return sees_volumes(self._inference(), self._carried.settings)

    def network(self) -> nn.Module:
        """The network with its weights, on the device, in evaluation mode; built once."""
        weights = self._trained()
        if self._network is None or self._network[0] != sha256_of(weights):
            network = accelerate(build_network(self._inference(), weights).to(self.device))
            self._network = (sha256_of(weights), network)
        return self._network[1]

    def predict(
        self, images: Any, output_dir: str | os.PathLike[str] | None = None, affine: Any = None, **switches: Any
    ) -> Any:
        """Label maps of images, on the images' own grids.

        Args:
            images: an array or tensor - a picture (H, W) or (H, W, C) of 8 or 16 bit or floating point in [0, 1], a
                volume (X, Y, Z) -; a file; a folder of files, or one with a DICOM series; or a list of arrays or files.
            output_dir: write files ``<case>.png`` or ``<case>.nii.gz`` (with the geometry of the image) to this folder.
            affine: of volumes that are given as arrays, voxels to mm, (4, 4); 1 mm along the axes when ``None``.
            switches: values at the top of the bundle's ``inference.yaml``, e.g. ``batch_size=16``,
                ``largest_component=True``, ``save_probabilities=True`` (with ``output_dir``).

        Returns:
            For one image its label map, (H, W) or (X, Y, Z), whole numbers; for a folder or a list, a list of them in
            the order of the list, or of the names. With ``output_dir`` the path or paths of the files.

        Raises:
            FileNotFoundError: missing files or weights.
            FolderInUseError: another program writes to ``output_dir``, with other weights or switches.
            ValueError: inputs that the bundle cannot read, unknown switches.
            FailedCasesError: cases that failed, after all were tried; a ``ValueError``, its ``failures`` has the
                messages (``sa2_monai.inference.FailedCasesError``).
        """
        self._trained()
        config = find_config(self.root, "inference")
        # Refused before anything is read; some of them stand between the ids that are set here.
        check_ids(self._inference(), switches, str(config))
        check_config({**self._inference(), **switches})
        network = self.network()
        folder = self._run_folder("predict")
        out = folder if output_dir is None else _writable(output_dir)
        several = isinstance(images, (list, tuple))
        items = list(images) if several else [images]
        paths = [self._as_file(item, index, folder, affine) for index, item in enumerate(items)]
        volumes = self.sees_volumes
        settings = self._inference()
        with verbatim_paths():
            cases, left_out = list_inputs(paths, volumes, settings["in_channels"], settings.get("kind"))
        if left_out:
            logger.warning("%s", left_out)
        single = not several and len(cases) == 1 and (not Path(paths[0]).is_dir() or volumes)
        overrides = {
            **{key: verbatim(value) for key, value in self._carried.settings.items()},
            "bundle_root": verbatim(str(self.root)),
            "ckpt_path": verbatim(str(self.weights)),
            "load_pretrain": False,  # the network has them
            "network": network,
            "image_source": verbatim(cases),
            "output_dir": verbatim(str(folder)),
            "predictions_dir": verbatim(str(out)),
            "device": self.device,
            **({"num_workers": 0} if len(cases) <= _FEW else {}),
            **switches,
        }
        # Programs with the same weights may fill a folder together.
        same = json.dumps([sha256_of(self._trained()), switches], sort_keys=True, default=str)
        with claim_folder(out, f"prediction with {self.weights}", shared=same):
            run_inference(config, overrides)
        suffix = ".nii.gz" if volumes else ".png"
        postfix = f"_{switches['output_postfix']}" if switches.get("output_postfix") else ""
        files = [out / file_name(f"{case['case']}{postfix}", suffix) for case in cases]
        if output_dir is not None:
            return files[0] if single else files
        maps = [read_prediction(file) for file in files]
        shutil.rmtree(folder, ignore_errors=True)
        return maps[0] if single else maps

    def evaluate(
        self,
        dataset_dir: str | os.PathLike[str],
        dataset: str | os.PathLike[str] | None = None,
        output_dir: str | os.PathLike[str] | None = None,
        tracking: str | None = None,
        **switches: Any,
    ) -> EvaluationResult:
        """Predict the test cases of a data set and compare them with their references.

        Args:
            dataset_dir: folder of the data set.
            dataset: overlay of the bundle for its layout (``"folder"``, ``"acdc"``), or a file; the bundle's own data
                set by default.
            output_dir: folder for label maps, tables and ``report.html``; a temporary one by default, which goes with
                this object.
            tracking: see :meth:`train`.
            switches: values at the top of ``train.yaml`` and ``evaluate.yaml``, e.g. ``section="validation"``.

        Raises:
            FileNotFoundError, ValueError, RuntimeError: as :meth:`predict`, and of the data set.
        """
        weights = self._trained()
        out = _writable(output_dir or self._run_folder("evaluate"))
        files = [*self._training_files(dataset), find_config(self.root, "evaluate")]
        overrides = {**self._common(files, dataset_dir, out), "ckpt_path": verbatim(str(weights)), **switches}
        workflow = self._run_training(files, overrides, tracking)
        handlers = workflow.parser.get_parsed_content("validate#handlers")
        (report,) = [handler for handler in handlers if isinstance(handler, ReportHandler)]
        assert report.result is not None
        return report.result

    def train(
        self,
        dataset_dir: str | os.PathLike[str],
        dataset: str | os.PathLike[str] | None = None,
        output_dir: str | os.PathLike[str] | None = None,
        tracking: str | None = None,
        **switches: Any,
    ) -> Path:
        """Train on a data set, from the weights if there are any; from then on the new weights are used.

        Args:
            dataset_dir: folder of the data set.
            dataset: see :meth:`evaluate`.
            output_dir: folder for ``models/`` and ``eval/``; by default the bundle's own.
            tracking: ``"mlflow"`` for a run of MLflow (in ``mlruns.db`` of the folder of the results, unless the switch
                ``tracking_uri`` names a server), beside TensorBoard; or a file with tracking settings of MONAI.
            switches: values at the top of ``train.yaml``, e.g. ``max_epochs=20``; ``pretrained=None`` begins without
                the weights.

        Returns:
            The file of the new weights.

        Raises:
            ValueError: for a zipped bundle without ``output_dir``, unknown switches, or data that do not fit.
            FileNotFoundError, RuntimeError: as :meth:`evaluate`.
            ImportError: tracking without the package mlflow.
        """
        if output_dir is None and self.is_temporary:
            raise ValueError(f"{self.root.name} comes from a zip file, which holds no new weights. Give output_dir.")
        place = _writable(output_dir or self.root)
        files = self._training_files(dataset)
        overrides = {
            **self._common(files, dataset_dir, place / "eval"),
            "ckpt_dir": verbatim(str(place / "models")),
            "pretrained": None if self.weights is None else verbatim(str(self.weights)),
            **switches,
        }
        self._run_training(files, overrides, tracking)
        self._use(Path(switches.get("ckpt_dir", place / "models")) / "model.pt")
        assert self.weights is not None
        return self.weights

    # ---- what they share

    def _use(self, weights: Path) -> None:
        self._carried = read_carried(weights, self.root.name)
        self.weights = weights

    _network: tuple[str, nn.Module] | None = None
    _config: dict[str, Any] | None = None

    def _trained(self) -> Path:
        if self.weights is None:
            file = self.root / "models" / "model.pt"
            raise FileNotFoundError(f"{self.root} has no models/model.pt. {missing_weights(file, 'weights=FILE')}")
        return self.weights

    def _inference(self) -> dict[str, Any]:
        if self._config is None:
            self._config = load(find_config(self.root, "inference"))
        return apply_carried(self._config, self._carried)

    def _training_files(self, dataset: str | os.PathLike[str] | None) -> list[Path]:
        overlay = [] if dataset is None else [dataset_overlay(self.root, dataset)]
        return [find_config(self.root, "train"), *overlay]

    def _common(self, files: list[Path], dataset_dir: str | os.PathLike[str], out: Path) -> Mapping[str, Any]:
        known = load(*files)
        return {
            **{key: verbatim(value) for key, value in self._carried.settings.items() if key in known},
            "bundle_root": verbatim(str(self.root)),
            "dataset_dir": verbatim(str(Path(dataset_dir).resolve())),
            "output_dir": verbatim(str(out)),
            "device": self.device,
        }

    def _run_training(self, files: list[Path], overrides: Mapping[str, Any], tracking: str | None) -> Any:
        """The configurations fix all seeds; the caller's process shall not stay so."""
        try:
            return run_workflow(files, overrides, "train", tracking=tracking)
        finally:
            set_determinism(None)

    def _run_folder(self, what: str) -> Path:
        self._runs += 1
        folder = self._scratch / f"{what}{self._runs}"
        folder.mkdir()
        return folder

    def _as_file(self, item: Any, index: int, folder: Path, affine: Any) -> str:
        if isinstance(item, (str, os.PathLike)):
            return str(item)
        if not hasattr(item, "shape") or (not isinstance(item, np.ndarray) and not hasattr(item, "detach")):
            raise ValueError(f"cannot predict a {type(item).__name__}; expected an array, a tensor or a path")
        inputs = folder / "inputs"
        inputs.mkdir(exist_ok=True)
        return str(write_array(item, inputs / f"array_{index:04d}", self.sees_volumes, affine))


def _writable(folder: str | os.PathLike[str]) -> Path:
    with verbatim_paths():
        return check_writable(folder).resolve()
