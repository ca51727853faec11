# SPDX-License-Identifier: Apache-2.0
"""Prediction of files with the weights of a bundle, step by step: the model, the cases, the run.

Everything that can be known before the network is built is checked in the first two steps.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sa2_monai.bundle.locate import find_config, load
from sa2_monai.bundle.prediction.batch import Batch
from sa2_monai.bundle.prediction.cases import case_files, list_inputs
from sa2_monai.bundle.prediction.shard import Shard
from sa2_monai.bundle.prediction.window import check_window
from sa2_monai.bundle.sidecar import Sidecar, apply_settings, in_words_of, read_sidecar
from sa2_monai.bundle.slides.batch import SlideBatch, take_slides
from sa2_monai.bundle.slides.options import SlideOptions
from sa2_monai.bundle.workflow import choose_device, sees_volumes
from sa2_monai.io.folders import check_writable
from sa2_monai.io.names import file_name
from sa2_monai.io.problems import FailedCasesError
from sa2_monai.io.text import printable
from sa2_monai.networks.catalogue import CATALOGUE

__all__ = ["TrainedModel", "bundle_name_of", "device_of", "draw_overlays", "list_batch", "loaded_network"]
__all__ += ["make_batch", "open_model", "overrides_of", "run_batch"]


@dataclass(frozen=True)
class TrainedModel:
    """Weights and the bundle that runs them.

    Attributes:
        bundle: folder of the bundle.
        weights: the weight file.
        config_file: ``configs/inference.yaml`` or ``.json`` of the bundle.
        config: its content, by id.
        sidecar: what the file beside the weights says; it overrules ``config``.
    """

    bundle: Path
    weights: Path
    config_file: Path
    config: Mapping[str, Any]
    sidecar: Sidecar

    @property
    def volumes(self) -> bool:
        """Whether it predicts volumes, not 2D images."""
        return sees_volumes(self.config, self.sidecar.settings)

    @property
    def suffix(self) -> str:
        """Of the label maps that it writes."""
        return ".nii.gz" if self.volumes else ".png"

    def setting(self, name: str) -> Any:
        """Value of an id: that of the sidecar, else that of the configuration, else ``None``."""
        return self.sidecar.settings.get(name, self.config.get(name))

    def text(self) -> str:
        """Where its settings come from, and the most important of them, in a line."""
        settings, beside = self.sidecar.settings, self.weights.with_suffix(".json").name
        if self.sidecar.file is None:
            return f"no {beside} beside {self.weights}: the bundle's own classes and view are used"
        shown = ", ".join(f"{key} {settings[key]}" for key in ("class_names", "view", "roi_size") if key in settings)
        members = self.sidecar.members
        of_whom = f"ensemble of {len(members)} ({', '.join(members)})" if members else str(self.sidecar.file)
        return f"{of_whom}: {shown}"


def bundle_name_of(weights: str | os.PathLike[str] | None) -> str:
    """Name of the bundle for weights: that of their network where the file beside them says it, else ``"sa2net"``.

    Args:
        weights: the weight file; ``None`` for those of the bundle.
    """
    if weights is not None:
        from sa2_monai.weights import read_info, weight_file

        named = read_info(weight_file(weights)).get("network")
        if named in list(CATALOGUE):
            return str(named)
    return "sa2net"


def open_model(bundle: Path, weights: str | os.PathLike[str] | None = None) -> TrainedModel:
    """A bundle with its weights.

    Args:
        bundle: folder of the bundle.
        weights: the weight file; ``models/model.pt`` of the bundle by default.

    Raises:
        FileNotFoundError: no such weights, or no inference configuration.
        ValueError: a damaged sidecar, or weights of another network.
    """
    from sa2_monai.weights import weight_file

    config_file = find_config(bundle, "inference")
    file = weight_file(weights) if weights else bundle / "models" / "model.pt"
    if not file.is_file():
        from sa2_monai.bundle.packaging.large_files import missing_weights

        raise FileNotFoundError(f"{file}: no such weights. {missing_weights(file)}")
    return TrainedModel(bundle, file, config_file, load(config_file), read_sidecar(file, bundle.name))


def list_batch(
    model: TrainedModel,
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    options: Mapping[str, Any],
    slide_options: SlideOptions | None = None,
) -> tuple[Batch, str]:
    """The cases of files and folders, as a batch that is written to a folder.

    Args:
        model: what predicts them.
        inputs: see :func:`~sa2_monai.bundle.prediction.cases.list_inputs`.
        output: folder; label maps come to ``predictions`` in it.
        options: overrides of the configuration on which a result depends.
        slide_options: how whole slides are predicted, where there are such among the images.

    Returns:
        The batch, and a line about what lies in the folders and is not used; empty where there is nothing.

    Raises:
        OSError: a missing file, or an output folder that cannot be written.
        ValueError: inputs that the model cannot read, a prediction that would replace its image, or a window that the
            network cannot take.
    """
    cases, left_out = list_inputs(inputs, model.volumes, model.setting("in_channels"), model.setting("kind"))
    return make_batch(model, cases, output, options, slide_options), left_out


def make_batch(
    model: TrainedModel,
    cases: list[dict[str, Any]],
    output: str | os.PathLike[str],
    options: Mapping[str, Any],
    slide_options: SlideOptions | None = None,
) -> Batch:
    """A batch of cases that are listed; see :func:`list_batch` for the rest.

    Args:
        model: see there.
        cases: ``{"image": file or files, "case": name}`` each.
        output: see there.
        options: see there.
        slide_options: see there.
    """
    folder = check_writable(output).resolve()
    slides = {} if model.volumes else take_slides(cases, slide_options or SlideOptions())
    check_window(model.config, model.sidecar.settings, model.sidecar.network)
    settings = {**in_words_of(model.config, model.sidecar.settings), **_calibrated(model), **options}
    arguments = (model.config_file, model.weights, settings, cases, folder, model.suffix)
    batch = Batch(*arguments)
    if slides:
        batch = SlideBatch(*arguments, slides=slides, slide_options=slide_options or SlideOptions())
    _protect_inputs(batch)
    return batch


def _calibrated(model: TrainedModel) -> dict[str, Any]:
    """The temperature of the weights, of which a bundle of an earlier version knows nothing; results depend on it."""
    from sa2_monai.weights import read_temperature

    temperature = read_temperature(model.weights)
    return {} if temperature is None or "temperature" not in model.config else {"temperature": temperature}


def run_batch(
    model: TrainedModel,
    batch: Batch,
    shard: Shard,
    device: str | None = None,
    batch_size: int | str | None = None,
    again: bool = False,
    overlays: bool = False,
    parity: bool = False,
) -> FailedCasesError | None:
    """Predict what is left to do in a part of a batch.

    Args:
        model: what predicts it.
        batch: all cases.
        shard: the part.
        device: ``"cpu"``, ``"cuda"``; by default the GPU where there is one, with several programs one for each.
        batch_size: 2D images, slices or windows at once, or ``"auto"``; that of the bundle by default.
        again: do the finished cases once more.
        overlays: draw the classes into the 2D images, to ``overlays`` in the folder of the batch.
        parity: also predict the first case as the reference has it, and tell how far both agree.

    Returns:
        The error that names the cases that failed, after the others are finished; ``None`` when there are none.

    Raises:
        OSError, ValueError, RuntimeError: what ends a run before its last case.
    """
    overrides = overrides_of(model, device_of(choose_device(device), shard), batch_size)
    with batch.claim(shard):
        failure = batch.run(shard, overrides, again)
        if parity:
            _tell_parity(model, batch, shard, overrides)
        if overlays:
            folder = draw_overlays(model, batch, batch.finished(shard))
            print(f"images with contours in {printable(str(folder))}")
    return failure


def _tell_parity(model: TrainedModel, batch: Batch, shard: Shard, overrides: Mapping[str, Any]) -> None:
    from sa2_monai.bundle.network import resolve
    from sa2_monai.bundle.prediction.parity import REFERENCE, is_reference, parity_of
    from sa2_monai.bundle.sidecar import apply_settings

    (names,) = resolve(apply_settings(model.config, model.sidecar), "class_names")
    if is_reference(batch.settings):
        print(f"parity: nothing to compare, these are the reference's own settings ({', '.join(REFERENCE.values())})")
        return
    found = parity_of(batch, shard, overrides, names)
    if found is None:
        print("parity: no finished case to compare, whole slides aside")
        return
    batch.parity = found.as_dict()
    batch.write_summary()
    print(found.text())


def overrides_of(model: TrainedModel, device: str, batch_size: int | str | None = None) -> dict[str, Any]:
    """What a run of the configuration needs to know and no result depends on.

    Args:
        model: what predicts.
        device: where, such as ``"cuda:0"``.
        batch_size: 2D images, slices or windows at once; that of the bundle by default.
    """
    return {
        "bundle_root": str(model.bundle),
        "ckpt_path": str(model.weights.resolve()),
        "device": device,
        **({"batch_size": batch_size} if batch_size else {}),
    }


def loaded_network(model: TrainedModel, settings: Mapping[str, Any], device: str) -> dict[str, Any]:
    """Overrides with the network of a model, for many runs of its configuration.

    Args:
        model: what predicts.
        settings: overrides of the configuration that a result depends on.
        device: where.

    Returns:
        No overrides for a bundle of an earlier version, which loads its network in each run.

    Raises:
        OSError, ValueError: weights that cannot be read or are of another network.
    """
    if not {"network", "load_pretrain"} <= set(model.config):
        return {}
    from sa2_monai.bundle.network import ready_network

    config = {**apply_settings(dict(model.config), model.sidecar), **settings}
    return {"network": ready_network(config, model.weights, device), "load_pretrain": False}


def draw_overlays(model: TrainedModel, batch: Batch, cases: list[dict[str, Any]]) -> Path:
    """Draw the classes into 2D images; slides are left out.

    Args:
        model: what has predicted them.
        batch: that they belong to.
        cases: finished ones.

    Returns:
        The folder of the drawings.
    """
    folder = batch.output / "overlays"
    drawn = [case for case in cases if batch.label_of(case["case"]).suffix == ".png"]
    _draw(drawn, batch.predictions, folder, model.setting("class_names"))
    return folder


def device_of(device: str, shard: Shard) -> str:
    """The GPU of this process among those that it sees."""
    if device != "cuda" or shard.local is None:
        return device
    import torch

    return f"cuda:{shard.local % torch.cuda.device_count()}"


def _protect_inputs(batch: Batch) -> None:
    for case in batch.cases:
        for file in case_files([case]):
            if Path(file).resolve() == batch.label_of(case["case"]):
                raise ValueError(f"the prediction of {file} would overwrite it. Choose another --output folder.")


def _draw(cases: list[dict[str, Any]], predictions: Path, folder: Path, class_names: Any) -> None:
    from sa2_monai.data import read_image, read_label
    from sa2_monai.evaluation import draw_prediction
    from sa2_monai.io.atomic import atomic_write

    for case in cases:
        name = file_name(case["case"], ".png")
        labels = read_label(predictions / name)
        classes = class_names if isinstance(class_names, list) else None  # an expression says no names
        page = draw_prediction(read_image(case["image"]), labels, case["case"], classes)
        atomic_write(folder / name, functools.partial(page.save, format="PNG"))
