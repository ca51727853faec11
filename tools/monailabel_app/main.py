# SPDX-License-Identifier: Apache-2.0
"""MONAI Label app for packaged bundles: served from where they lie, with label maps, polygons for viewers that want
them (QuPath, DSA, CVAT), and scoring by the entropy of probabilities, as `sa2-monai predict --uncertainty` has it.
README.md beside this file says how to start it.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import monailabel
import numpy as np
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.tasks.activelearning.first import First
from monailabel.tasks.activelearning.random import Random
from monailabel.tasks.infer.bundle import BundleInferTask
from monailabel.tasks.scoring.epistemic_v2 import EpistemicScoring
from monailabel.tasks.train.bundle import BundleTrainTask
from monailabel.transform.post import FindContoursd
from monailabel.transform.writer import PolygonWriter
from PIL import Image

logger = logging.getLogger(__name__)

POLYGONS = ("dsa", "asap", "json")


def find_bundles(setting: str) -> dict[str, str]:
    """Bundles by name, of folders separated by commas: each a bundle, or a folder of bundles.

    Raises:
        ValueError: if a folder is no bundle and holds none, or two bundles have one name.
    """
    found: dict[str, str] = {}
    for text in filter(None, setting.split(",")):
        folder = Path(text).expanduser().resolve()
        inside = [child.parent.parent for child in sorted(folder.glob("*/configs/metadata.json"))]
        bundles = [folder] if (folder / "configs" / "metadata.json").is_file() else inside
        if not bundles:
            raise ValueError(f"--conf bundles: {folder} is no bundle (configs/metadata.json) and holds none.")
        for bundle in bundles:
            if found.setdefault(bundle.name, str(bundle)) != str(bundle):
                raise ValueError(f"--conf bundles: {bundle} and {found[bundle.name]} have one name; rename a folder.")
    if not found:
        raise ValueError("give the bundles to serve: --conf bundles DIR[,DIR...]")
    return found


class Task(BundleInferTask):
    """Inference that also answers polygons, and takes a region of a slide (an array) for an image."""

    def __init__(self, path: str, conf: dict[str, str]) -> None:
        self.tta = conf.get("tta", "false").lower() == "true"
        self.faster = {name: conf[name] for name in ("precision", "runtime") if name in conf}
        super().__init__(path, conf)

    def __call__(self, request: Mapping[str, Any], callbacks: Any = None) -> Any:
        """Label map or polygons, and what is known about them."""
        if not isinstance(request.get("image"), np.ndarray):
            return super().__call__(request, callbacks)
        with tempfile.NamedTemporaryFile(suffix=".png") as region:
            Image.fromarray(np.asarray(request["image"])[..., :3].astype(np.uint8)).save(region, format="PNG")
            region.flush()
            return super().__call__({**request, "image": region.name}, callbacks)

    def _load_bundle_config(self, path: str, config: str) -> Any:
        parser = super()._load_bundle_config(path, config)
        if self.tta:
            parser.config["tta"] = True
        for name, value in self.faster.items():
            if name not in parser.config:
                raise ValueError(f"--conf {name}: {path} is a bundle of an earlier version; package its weights anew.")
            parser.config[name] = value
        return parser

    def post_transforms(self, data: Any = None) -> Sequence[Callable[..., Any]]:
        """Those of the bundle, and the contours where they are asked for."""
        transforms = list(super().post_transforms(data))
        if data and data.get("output") in POLYGONS:
            transforms.append(FindContoursd(keys=self.key_pred, labels=self.labels))
        return transforms

    def writer(self, data: dict[str, Any], extension: Any = None, dtype: Any = None) -> Any:
        """A file with the label map, or one with polygons."""
        if data.get("output") in POLYGONS:
            return PolygonWriter(label=self.output_label_key, json=self.output_json_key)(data)
        return super().writer(data, extension, dtype)


class ScoringTask(BundleInferTask):
    """Label map and scores of the uncertainty from networks that dropout has thinned."""

    def __init__(self, path: str, conf: dict[str, str], dropout: float, samples: int) -> None:
        self.samples = samples
        super().__init__(path, conf, skip_writer=True, dropout=dropout, add_post_restore=False)

    def _load_bundle_config(self, path: str, config: str) -> Any:
        parser = super()._load_bundle_config(path, config)
        parser.config.update({"uncertainty": "all", "dropout_samples": self.samples})
        return parser


class Scoring(EpistemicScoring):
    """The score of MONAI Label by the same code as the maps and scores of `sa2-monai predict --uncertainty`.

    Its own would put the whole network into training mode, where batch normalisation takes the statistics of one image.
    """

    def run_scoring(self, image_id: str, simulation_size: int, model_ts: int, datastore: Any) -> None:
        """Score one image; the number of samples is that of the task."""
        started = time.time()
        request = {"image": datastore.get_image_uri(image_id), "logging": "error", "cache_transforms": False}
        _, data = self.infer_task(request=request)
        scores = data["uncertainty_scores"]
        score = scores["variance" if self.use_variance else "entropy"]
        logger.info("scores of %s: %s, %.3f seconds", image_id, scores, time.time() - started)
        datastore.update_image_info(image_id, {self.key_output_entropy: score, self.key_output_ts: model_ts})


class MyApp(MONAILabelApp):
    """The app; MONAI Label looks for this name."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        self.bundles = find_bundles(conf.get("bundles", ""))
        super().__init__(
            app_dir=app_dir,
            studies=studies,
            conf=conf,
            name="sa2_monai bundles",
            description="Segmentation bundles of sa2_monai: label maps and polygons",
            version=monailabel.__version__,
        )

    def init_infers(self) -> dict[str, InferTask]:
        """One task per bundle that has weights."""
        tasks = {name: Task(path, self.conf) for name, path in self.bundles.items()}
        return {name: task for name, task in tasks.items() if task.is_valid()}

    def init_trainers(self) -> dict[str, TrainTask]:
        """One task per bundle, unless ``--conf skip_trainers true``."""
        if self.conf.get("skip_trainers", "false").lower() == "true":
            return {}
        tasks = {name: BundleTrainTask(path, self.conf) for name, path in self.bundles.items()}
        return {name: task for name, task in tasks.items() if task.is_valid()}

    def init_strategies(self) -> dict[str, Strategy]:
        """Which image comes next."""
        return {"random": Random(), "first": First()}

    def init_scoring_methods(self) -> dict[str, ScoringMethod]:
        """Epistemic scoring, where ``--conf epistemic_model NAME[,NAME...]`` asks for it."""
        names = [name for name in self.conf.get("epistemic_model", "").split(",") if name]
        if unknown := [name for name in names if name not in self.bundles]:
            raise ValueError(f"--conf epistemic_model: {', '.join(unknown)} is not among {', '.join(self.bundles)}")
        size = int(self.conf.get("epistemic_simulation_size", "5"))
        samples = int(self.conf.get("epistemic_max_samples", "0"))
        dropout = float(self.conf.get("epistemic_dropout", "0.2"))
        variance = self.conf.get("epistemic_variance", "false").lower() == "true"
        tasks = {name: ScoringTask(self.bundles[name], self.conf, dropout, max(size, 2)) for name in names}
        return {
            name: Scoring(task, max_samples=samples, simulation_size=size, use_variance=variance)
            for name, task in tasks.items()
        }

    def infer_wsi(self, request: dict[str, Any], datastore: Any = None) -> Any:
        """Polygons of an image; a TIFF as a whole where there is no OpenSlide that could cut it into tiles."""
        if importlib.util.find_spec("openslide") is None and isinstance(request.get("image"), str):
            image = request["image"]
            uri = image if os.path.exists(image) else self.datastore().get_image_uri(image)
            if os.path.exists(uri):
                return self.infer(request, datastore)
        return super().infer_wsi(request, datastore)
