# SPDX-License-Identifier: Apache-2.0
"""Whole slides among the cases of a prediction: the records, parts and messages are those of all cases."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from sa2_monai.bundle.prediction.batch import Batch
from sa2_monai.bundle.prediction.shard import Shard
from sa2_monai.bundle.slides.options import SlideOptions
from sa2_monai.io.causes import case_error
from sa2_monai.io.names import file_name
from sa2_monai.io.problems import CASE_ERRORS, FailedCasesError
from sa2_monai.io.text import printable

__all__ = ["SlideBatch", "take_slides"]

_LABELS, _POLYGONS, _OME = ".ome.tif", ".geojson", ".ome"
#: Settings for files that slides do not get: what they are, and the option.
_NOT_WRITTEN = {
    "save_probabilities": ("probabilities", "--probabilities"),
    "uncertainty": ("maps of the uncertainty", "--uncertainty"),
}


def take_slides(cases: list[dict[str, Any]], options: SlideOptions) -> dict[str, str]:
    """The slides among cases; those of OME-TIFF files get names without ``.ome``, where no other case has them.

    Args:
        cases: data list; names in it are changed.
        options: ``stream`` decides on what is a slide.

    Returns:
        File by name of the case.
    """
    from sa2_monai.io.slides.recognise import is_slide

    found = {}
    names = {case["case"] for case in cases}
    for case in cases:
        file, name = case["image"], case["case"]
        if not isinstance(file, str) or options.stream is False:
            continue
        if not (is_slide(file) or options.stream):
            continue
        short = name.removesuffix(_OME)
        if short != name and short not in names:
            names.add(short)
            case["case"] = name = short
        found[name] = file
    return found


class SlideBatch(Batch):
    """Cases some of which are slides; those come after the others.

    Args:
        arguments: those of :class:`~sa2_monai.bundle.prediction.batch.Batch`.
        slides: file by name of the case.
        slide_options: how they are predicted.

    Raises:
        ValueError: probabilities or maps of the uncertainty were asked for, which are not written of slides.
    """

    def __init__(self, *arguments: Any, slides: Mapping[str, str], slide_options: SlideOptions) -> None:
        from sa2_monai.inference import CaseManifest

        super().__init__(*arguments)
        self.slides = dict(slides)
        self.slide_options = slide_options
        for setting, (what, option) in _NOT_WRITTEN.items():
            if self.settings.get(setting):
                self.refuse(option, f"of which no {what} are written")
        settings = {**self.manifest.settings, "slides": slide_options.settings()}
        self.manifest = CaseManifest(self.manifest.folder, settings)

    def refuse(self, option: str, why: str) -> NoReturn:
        """Refuse an option that slides do not have.

        Args:
            option: as it is typed.
            why: continues "is a whole slide, ...".

        Raises:
            ValueError: always.
        """
        raise ValueError(f"{next(iter(self.slides.values()))}: is a whole slide, {why}; leave out {option}")

    def label_of(self, case: str) -> Path:
        """The file of the label map of a case."""
        return self.predictions / file_name(case, _LABELS) if case in self.slides else super().label_of(case)

    def _predict(self, todo: list[dict[str, Any]], shard: Shard, overrides: Mapping[str, Any]) -> None:
        failures: dict[str, str] = {}
        images = [case for case in todo if case["case"] not in self.slides]
        if images:
            try:
                super()._predict(images, shard, overrides)
            except FailedCasesError as error:
                failures |= error.failures
        slides = [case["case"] for case in todo if case["case"] in self.slides]
        if slides:
            failures |= self._predict_slides(slides, overrides)
        if failures:
            raise FailedCasesError(failures, len(todo))

    def _predict_slides(self, names: list[str], overrides: Mapping[str, Any]) -> dict[str, str]:
        """Messages of those that failed, by name."""
        from sa2_monai.bundle.slides.model import load_slide_model
        from sa2_monai.bundle.slides.run import predict_slide
        from sa2_monai.inference.runtimes import RuntimeRefusedError

        self._remove_leftovers(set(names))
        model = load_slide_model(self.config_file, self.weights, {**self.settings, **overrides})
        failures = {}
        for name in names:
            file, label = self.slides[name], self.label_of(name)
            self.manifest.begin(name, [file])
            start = time.monotonic()
            try:
                lines = predict_slide(model, file, self.slide_options, label, self._polygons_of(name))
            except RuntimeRefusedError:  # of the network, not of this slide
                raise
            except CASE_ERRORS as error:
                failures[name] = case_error(error, [file])
                self.manifest.fail(name, failures[name], time.monotonic() - start)
                continue
            self.manifest.finish(name, self._outputs(name), time.monotonic() - start)
            print(f"{printable(file)} -> {printable(str(label))}{lines}", flush=True)
        return failures

    def _outputs(self, case: str) -> list[Path]:
        if case not in self.slides:
            return super()._outputs(case)
        return [path for path in (self.label_of(case), self._polygons_of(case)) if path.is_file()]

    def _polygons_of(self, case: str) -> Path:
        return self.predictions / file_name(case, _POLYGONS)
