# SPDX-License-Identifier: Apache-2.0
"""Bundles from Python, without a configuration file in sight."""

from __future__ import annotations

import inspect
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from sa2_monai.bundle.included import is_included, run_folder
from sa2_monai.bundle.locate import dataset_overlay, find_config, load
from sa2_monai.bundle.model import BundleModel
from sa2_monai.bundle.prediction.arrays import input_file, read_prediction
from sa2_monai.bundle.prediction.cases import FEW, list_inputs, numbered_file
from sa2_monai.bundle.run.request import OWN_IDS, TrainRequest
from sa2_monai.bundle.run.target import BEST, is_run
from sa2_monai.bundle.run.train import train_run
from sa2_monai.bundle.sidecar import in_words_of
from sa2_monai.bundle.switches import check_config
from sa2_monai.bundle.switches.renamed import current_words
from sa2_monai.bundle.verbatim import verbatim
from sa2_monai.bundle.workflow import check_ids, run_inference, run_training
from sa2_monai.data import load_parts
from sa2_monai.data.layouts.cases import Case
from sa2_monai.evaluation import EvaluationResult, ReportHandler
from sa2_monai.inference.uncertainty.table import UNCERTAINTY_TABLE
from sa2_monai.io.atomic import write_atomically
from sa2_monai.io.digest import remembered_sha256
from sa2_monai.io.folders import check_writable
from sa2_monai.io.names import file_name
from sa2_monai.io.ownership import claim_folder
from sa2_monai.io.paths import verbatim_paths

__all__ = ["LoadedBundle", "load_bundle"]

logger = logging.getLogger(__name__)

# Arguments that say which case belongs to which part.
_PARTS = set(inspect.signature(load_parts).parameters)


def load_bundle(
    path_or_name: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    weights: str | os.PathLike[str] | None = None,
    device: str | None = None,
    trust: bool = False,
) -> LoadedBundle:
    """A bundle to predict, evaluate and train with.

    A bundle's configuration may run any code, as everywhere in MONAI. One that goes beyond the components and
    expressions that bundles of this package need is refused unless you trust it. What comes beside weights
    (``model.json``) is plain values.

    Args:
        path_or_name: folder of a bundle, its zip file, or the name of one that comes with the package (``"sa2net"``);
            the name of a starter model (``"nuclei"``) for that with its weights. A list of runs, or the folder of a
            cross-validation: their ensemble, the mean of the probabilities.
        weights: trained weights; by default ``models/model.pt`` of the bundle, where there is one. The file beside them
            overrules the bundle's defaults: channels, classes, how the network sees an image.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``; by default the GPU where there is one.
        trust: run the bundle as a program, whatever it does; ``sa2-monai inspect`` shows what that would be. It holds
            for its folder, or its file, as long as this process lives.

    Raises:
        UntrustedBundleError: a ``ValueError``; see ``trust``.
        FileNotFoundError: no such bundle or weights.
        ValueError: what is there is no bundle, the weights are of another network, or the device cannot be used.

    Example::

        bundle = sa2_monai.load_bundle("sa2net", weights="model.pt")
        labels = bundle.predict(image)  # (H, W, 3) -> (H, W)
    """
    return LoadedBundle(path_or_name, weights, device, trust)


class LoadedBundle(BundleModel):
    """A bundle with its weights, to predict, evaluate and train; see :func:`load_bundle` for the arguments.

    It goes to other processes (``multiprocessing``, joblib, Ray): a pickle has the path of the bundle, its weights and
    the device, from which it is loaded there again; the files have to be there. Several threads may use one: what they
    ask for is done one after the other. In a ``with`` block its memory and temporary files go at the end.

    Attributes:
        root: folder of the bundle.
        weights: file of the weights; ``None`` as long as there are none.
        device: where the network runs.

    Example::

        with sa2_monai.load_bundle("nuclei") as bundle:
            labels = bundle.predict(image)
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Loaded anew, never copied: a copy would write to the temporary folder of this one, and lose it with it."""
        paths = self._paths if len(self._paths) > 1 else self._paths[0]
        own = self.weights is None or self.weights.is_relative_to(self._scratch)  # of a zip file, an ensemble
        return type(self), (paths, None if own else self.weights, self.device, self._trust)

    def __enter__(self) -> LoadedBundle:
        self._check_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def predict(
        self, images: Any, output_dir: str | os.PathLike[str] | None = None, affine: Any = None, **switches: Any
    ) -> Any:
        """Label maps of images, on the images' own grids.

        Args:
            images: an array or tensor - an image (H, W) or (H, W, C) of 8 or 16 bit or floating point in [0, 1], a
                volume (X, Y, Z) -; a file; a folder of files, or one with a DICOM series; or a list of arrays or files.
            output_dir: write files ``<case>.png`` or ``<case>.nii.gz`` (with the geometry of the image) to this folder.
            affine: of volumes that are given as arrays, voxels to mm, (4, 4); 1 mm along the axes when ``None``.
            switches: values at the top of the bundle's ``inference.yaml``, e.g. ``batch_size=16``,
                ``largest_component=True``, ``tta=True``, ``precision="auto"``, ``instances=True``; with ``output_dir``
                also ``save_probabilities=True`` and ``uncertainty="entropy"``, which write maps and
                ``uncertainty.csv``.

        Returns:
            For one image its label map, (H, W) or (X, Y, Z), whole numbers; for a folder or a list, a list of them in
            the order of the list, or of the names. With ``output_dir`` the path or paths of the files. With
            ``instances`` the numbers of the objects instead, whose files come to ``instances`` in that folder.

        Raises:
            FileNotFoundError: missing files or weights.
            FolderInUseError: another program writes to ``output_dir``, with other weights or switches.
            ValueError: inputs that the bundle cannot read, unknown switches.
            FailedCasesError: cases that failed, after all were tried; a ``ValueError``, its ``failures`` has the
                messages (``sa2_monai.inference.FailedCasesError``).
        """
        self._trained_weights()
        config = find_config(self.root, "inference")
        # Refused before anything is read; some of them stand between the ids that are set here.
        switches = current_words(self._inference_config(), switches)
        check_ids(self._inference_config(), switches, str(config))
        check_config({**self._inference_config(), **switches})
        network = self.network(switches.get("dropout"))
        folder = self._run_folder("predict")
        try:
            out = folder if output_dir is None else _writable(output_dir)
            several = isinstance(images, (list, tuple))
            items = list(images) if several else [images]
            volumes = self.sees_volumes
            paths = [input_file(item, index, folder, volumes, affine) for index, item in enumerate(items)]
            settings = self._inference_config()
            with verbatim_paths():
                cases, left_out = list_inputs(paths, volumes, settings["in_channels"], settings.get("kind"))
            if left_out:
                logger.warning("%s", left_out)
            single = not several and len(cases) == 1 and (not Path(paths[0]).is_dir() or volumes)
            overrides = {
                **{key: verbatim(value) for key, value in in_words_of(settings, self.settings).items()},
                "bundle_root": verbatim(str(self.root)),
                "ckpt_path": verbatim(str(self.weights)),
                "load_pretrain": False,  # the network has them
                "network": network,
                "image_source": verbatim(cases),
                "output_dir": verbatim(str(folder)),
                "predictions_dir": verbatim(str(out)),
                "device": self.device,
                **({"instances_dir": verbatim(str(out / "instances"))} if switches.get("instances") else {}),
                **({"num_workers": 0} if len(cases) <= FEW else {}),
                **switches,
            }
            # Programs with the same weights may fill a folder together.
            same = json.dumps([remembered_sha256(self._trained_weights()), switches], sort_keys=True, default=str)
            with claim_folder(out, f"prediction with {self.weights}", shared=same):
                run_inference(config, overrides)
            suffix = ".nii.gz" if volumes else ".png"
            postfix = f"_{switches['output_postfix']}" if switches.get("output_postfix") else ""
            files = [out / file_name(f"{case['case']}{postfix}", suffix) for case in cases]
            if switches.get("instances"):
                folder_of = Path(switches.get("instances_dir", out / "instances"))
                files = [numbered_file(folder_of, case["case"]) for case in cases]
            if output_dir is not None:
                if (table := folder / UNCERTAINTY_TABLE).is_file():
                    write_atomically(out / UNCERTAINTY_TABLE, table.read_bytes())
                return files[0] if single else files
            maps = [read_prediction(file) for file in files]
            return maps[0] if single else maps
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def evaluate(
        self,
        dataset_dir: str | os.PathLike[str],
        dataset: str | os.PathLike[str] | None = None,
        output_dir: str | os.PathLike[str] | None = None,
        tracking: str | None = None,
        cases: Sequence[Mapping[str, Any]] | None = None,
        overlays: int | None = None,
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
            cases: these instead of a section of the data set, as :meth:`cases` lists them.
            overlays: images each of the worst, median and best cases; ``None`` for as many as the configuration says.
            switches: values at the top of ``train.yaml`` and ``evaluate.yaml``, e.g. ``section="validation"``.

        Raises:
            FileNotFoundError, ValueError, RuntimeError: as :meth:`predict`, and of the data set.
        """
        weights = self._trained_weights()
        out = _writable(output_dir or self._run_folder("evaluate"))
        files = [*self._training_files(dataset), find_config(self.root, "evaluate")]
        overrides = {**self._common(files, dataset_dir, out), "ckpt_path": verbatim(str(weights)), **switches}
        if cases is not None:
            overrides["validate#dataset#data"] = verbatim([dict(case) for case in cases])
        handlers: list[ReportHandler] = []

        def find_report(workflow: Any) -> None:
            found = workflow.parser.get_parsed_content("validate#handlers")
            handlers.extend(handler for handler in found if isinstance(handler, ReportHandler))
            for handler in handlers:
                handler.overlays = handler.overlays if overlays is None else overlays

        run_training(files, overrides, tracking, find_report)
        (report,) = handlers
        assert report.result is not None
        return report.result

    def cases(
        self,
        dataset_dir: str | os.PathLike[str],
        dataset: str | os.PathLike[str] | None = None,
        section: str = "test",
        **switches: Any,
    ) -> list[Case]:
        """The cases of a data set, as :meth:`evaluate` finds and checks them.

        Args:
            dataset_dir: see :meth:`evaluate`, as all the others.
            dataset: see there.
            section: ``"test"``, ``"validation"``, ``"training"``, or ``"all"`` cases.
            switches: see there.

        Raises:
            FileNotFoundError, ValueError: of the data set.
        """
        listed = self.evaluation_parser(dataset_dir, dataset, **switches).get_parsed_content("load_datalist")
        if section != "all":
            return list(listed(section=section))
        parts = load_parts(**{name: listed.keywords[name] for name in _PARTS & set(listed.keywords)})
        return [case for part, found in parts.items() if found for case in listed(section=part)]

    def evaluation_parser(
        self, dataset_dir: str | os.PathLike[str], dataset: str | os.PathLike[str] | None = None, **switches: Any
    ) -> ConfigParser:
        """The configuration of :meth:`evaluate`, for who looks at cases with parts of it.

        Args:
            dataset_dir: see :meth:`evaluate`, as all the others.
            dataset: see there.
            switches: see there.

        Raises:
            ValueError: unknown switches.
        """
        files = [*self._training_files(dataset), find_config(self.root, "evaluate")]
        known = load(*files)
        switches = current_words(known, switches)
        check_ids(known, switches, str(files[0]))
        return ConfigParser({**known, **self._common(files, dataset_dir, self._scratch), **switches})

    def train(
        self,
        dataset_dir: str | os.PathLike[str],
        dataset: str | os.PathLike[str] | None = None,
        output_dir: str | os.PathLike[str] | None = None,
        tracking: str | None = None,
        **switches: Any,
    ) -> Path:
        """Train on a data set, from the weights if there are any; from then on the new weights are used.

        For other classes or channels the head is new, see :func:`sa2_monai.weights.transfer_weights`. Nothing is
        planned: all is as the bundle, the overlay and the switches say. The training is one of
        :func:`sa2_monai.bundle.run.train_run`, its folder a bundle; in its own folder a bundle keeps its configurations
        and gets nothing but weights and results.

        Args:
            dataset_dir: folder of the data set.
            dataset: see :meth:`evaluate`.
            output_dir: folder of the run, with ``models/`` and ``eval/``; by default the bundle's own folder, and for a
                bundle that comes with the package ``runs/<network>-<name of the data folder>`` in the working
                directory.
            tracking: ``"mlflow"`` for a run of MLflow (in ``mlruns.db`` of the folder of the results, unless the switch
                ``tracking_uri`` names a server), beside TensorBoard; or a file with tracking settings of MONAI.
            switches: values at the top of ``train.yaml``, e.g. ``max_epochs=20``; ``pretrained=None`` begins without
                the weights, ``resume=True`` goes on with the training that is in ``output_dir``.

        Returns:
            The file of the new weights.

        Raises:
            ValueError: for a zipped bundle without ``output_dir``, unknown switches, or data that do not fit.
            FileExistsError: ``output_dir`` holds a trained run, or something else.
            FileNotFoundError, RuntimeError: as :meth:`evaluate`.
            ImportError: tracking without the package mlflow.
        """
        if output_dir is None and self.is_temporary:
            raise ValueError(f"{self.root.name} comes from a zip file, which holds no new weights. Give output_dir.")
        default = run_folder(self.root.name, dataset_dir) if is_included(self.root) else self.root
        place, files = Path(output_dir or default).absolute(), self._training_files(dataset)
        own = [name for name in switches if name in OWN_IDS and name != "resume"]
        if place == self.root or own or (switches.get("resume") and not is_run(place)):
            weights = self._train_configuration(place, dataset_dir, files, tracking, switches)
        else:
            weights = self._train_run(place, dataset_dir, files, tracking, switches)
        self._use_weights(weights)
        return weights

    def _train_run(self, place: Path, data: Any, files: list[Path], tracking: str | None, switches: Any) -> Path:
        overrides = dict(switches)
        resume = bool(overrides.pop("resume", False))
        if not resume:  # else the run has them
            layout = {"layout": load(*files)["layout"]} if len(files) == 1 else {}
            overrides = {**self._settings_for(files), **layout, "pretrained": self._pretrained(), **overrides}
        self._trust_if_told(place)
        request = TrainRequest(
            data=data,
            output=place,
            network=str(self.root),
            overlays=[] if resume else [str(file) for file in files[1:]],
            overrides=overrides,
            resume=resume,
            device=self.device,
            tracking=tracking,
            plan=False,
        )
        return train_run(request).folder / BEST

    def _train_configuration(
        self, place: Path, data: Any, files: list[Path], tracking: str | None, switches: Any
    ) -> Path:
        """Run the bundle's own configuration, which stays as it is."""
        place = _writable(place)
        overrides = {
            **self._common(files, data, place / "eval"),
            "ckpt_dir": verbatim(str(place / "models")),
            "pretrained": self._pretrained(),
            **switches,
        }
        run_training(files, overrides, tracking)
        return Path(switches.get("ckpt_dir", place / "models")) / "model.pt"

    def _pretrained(self) -> str | None:
        return None if self.weights is None else verbatim(str(self.weights))

    # ---- what evaluation and training share

    def _training_files(self, dataset: str | os.PathLike[str] | None) -> list[Path]:
        self._check_open()
        overlay = [] if dataset is None else [dataset_overlay(self.root, dataset)]
        self._trust_if_told(*overlay)
        return [find_config(self.root, "train"), *overlay]

    def _settings_for(self, files: list[Path]) -> dict[str, Any]:
        """What the weights say about themselves, as far as configuration files know it and say something else."""
        known = load(*files)
        settings = in_words_of(self._inference_config(), self.settings)
        return {key: verbatim(value) for key, value in settings.items() if key in known and known[key] != value}

    def _common(self, files: list[Path], dataset_dir: str | os.PathLike[str], out: Path) -> Mapping[str, Any]:
        known = load(*files)
        return {
            **self._settings_for(files),
            "bundle_root": verbatim(str(self.root)),
            "dataset_dir": verbatim(str(Path(dataset_dir).resolve())),
            "output_dir": verbatim(str(out)),
            **({"cache_dir": verbatim(str(out / "cache"))} if "cache_dir" in known and is_included(self.root) else {}),
            "device": self.device,
        }


def _writable(folder: str | os.PathLike[str]) -> Path:
    with verbatim_paths():
        return check_writable(folder).resolve()
