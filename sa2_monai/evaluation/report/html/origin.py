# SPDX-License-Identifier: Apache-2.0
"""Which model, weights, data and training a report is about: from the records that lie beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sa2_monai.evaluation.report.history import HISTORY_NAME, read_history
from sa2_monai.evaluation.report.html.calibration import CALIBRATION_NAME
from sa2_monai.evaluation.report.html.numbers import duration, number
from sa2_monai.evaluation.result import EvaluationResult

__all__ = ["Origin", "find_origin"]

#: Records of the run that made predictions, see :class:`sa2_monai.training.RunRecord`.
RECORDS = ("run_evaluate.json", "run_inference.json")
TRAINING_RECORD = "run.json"
_SLACK = 60.0  # seconds, for folders that were copied


@dataclass(frozen=True)
class Origin:
    """What is known about the predictions of an evaluation.

    Attributes:
        record: of the run that made them; empty where there is none.
        sidecar: of the weights; empty where there is none, or where it describes other weights.
        training: record of the training of these weights; empty where there is none.
        history: its epochs, see :func:`sa2_monai.evaluation.report.history.read_history`.
        calibration: of these weights, see :mod:`sa2_monai.bundle.calibration`; empty where there is none.
        folder: of the predictions, as text; empty for arrays.
        remarks: what is doubtful, or was found but does not belong to these weights.
    """

    record: Mapping[str, Any] = field(default_factory=dict)
    sidecar: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, float]] = ()
    calibration: Mapping[str, Any] = field(default_factory=dict)
    folder: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        """Name of the model; empty where nothing says it."""
        names = (_part(found, "bundle").get("name") for found in (self.record, self.training))
        return str(next(filter(None, names), "") or self.sidecar.get("network") or "")

    @property
    def data(self) -> str:
        """Name of the folder of the data; empty where nothing says it."""
        path = _part(self.record, "configuration").get("dataset_dir")
        return Path(str(path)).resolve().name if path else ""

    @property
    def weights(self) -> str:
        """SHA-256 of the weights; empty where it is not known."""
        return str(_part(self.record, "weights").get("sha256") or "")

    def lines(self) -> list[tuple[str, str, str]]:
        """What a page says about it: name, value, and what is only added to it."""
        configuration, bundle = (_part(self.record, name) for name in ("configuration", "bundle"))
        version = f"version {bundle['version']}" if bundle.get("version") else ""
        parameters = self.sidecar.get("parameters")
        size = f"{number(parameters / 1e6)} million parameters" if isinstance(parameters, int) else ""
        lines = [
            ("Model", self.model, _joined(version, size)),
            ("Weights", self.weights[:12], "beginning of the SHA-256, whole under Settings"),
            ("Data", self.data, _joined(configuration.get("section"), configuration.get("dataset_dir"))),
            ("Predictions", "" if self.data else self.folder, ""),
            ("Predicted", str(self.record.get("started") or "")[:10], _device(self.record)),
            *self._training_lines(),
        ]
        return [(name, value, more) for name, value, more in lines if value]

    def _training_lines(self) -> list[tuple[str, str, str]]:
        configuration = _part(self.training, "configuration")
        planned, status = configuration.get("max_epochs"), self.training.get("status")
        recorded = self.training.get("epochs")
        done = len(recorded) if isinstance(recorded, list) else 0
        if self.history:
            done = int(self.history[-1]["epoch"])
        epochs = ""
        if done:
            epochs = f"{done} of {planned}" if planned else str(done)
        best = self.sidecar.get("epoch")
        metric = self.sidecar.get("metric")
        kept = f"weights of epoch {best}" if best else ""
        if kept and isinstance(metric, float):
            kept += f", {str(self.sidecar.get('metric_name') or 'metric').replace('_', ' ')} {number(metric)}"
        # a record is of the last start; the history of a resumed training goes on
        seconds = sum(row.get("seconds", 0.0) for row in self.history) or self.training.get("seconds")
        state = "" if status in (None, "completed") else f"the training is {status}"
        if not state and isinstance(planned, int) and 0 < done < planned:
            state = "the training was stopped early"
        images = _part(self.training, "inputs").get("count")
        data = configuration.get("dataset_dir")
        return [
            ("Epochs", epochs, _joined(kept, state)),
            (
                "Training time",
                duration(seconds) if isinstance(seconds, (int, float)) and seconds else "",
                _device(self.training),
            ),
            ("Training data", Path(str(data)).name if data else "", f"{images} cases" if images else ""),
        ]


def find_origin(result: EvaluationResult, folder: str | Path | None = None) -> Origin:
    """Look for the records of the run that made the predictions, and of the training of its weights.

    Args:
        result: an evaluation.
        folder: of the report, where that is about this evaluation.

    Returns:
        What was found. A record of the training counts when it lies in ``eval`` of the folder that the weights are in
        the ``models`` of, or in the folder of the report, and does not name other weights.
    """
    files = {Path(row["prediction_file"]) for row in result.per_case if row["prediction_file"]}
    homes = sorted({file.parent for file in files})
    records = [place / name for home in homes for place in (home, home.parent) for name in RECORDS]
    found = next((place for place in records if _part(_read(place), "weights")), None)
    record = {} if found is None else _read(found)
    weights = _part(record, "weights")
    digest, path = weights.get("sha256"), Path(str(weights.get("path", "")))
    sidecar = _read(path.with_suffix(".json")) if weights else {}
    if digest and sidecar.get("sha256") != digest:
        sidecar = {}
    remarks = _newer(files, found)
    places = _unique([path.parent.parent / "eval"] if weights else [], [] if folder is None else [Path(folder)])
    calibration = _calibration(places, digest)
    for place in places:
        training, history = _read(place / TRAINING_RECORD), read_history(place / HISTORY_NAME)
        if not training and not history:
            continue
        other = _part(training, "weights").get("sha256")
        if digest and other and other != digest:
            remarks.append(f"the training recorded in {place} made other weights ({str(other)[:12]}) and is not shown")
            continue
        return Origin(record, sidecar, training, history, calibration, _name(homes), tuple(remarks))
    return Origin(record, sidecar, calibration=calibration, folder=_name(homes), remarks=tuple(remarks))


def _calibration(places: Iterable[Path], digest: Any) -> Mapping[str, Any]:
    """That of the weights; one of earlier weights is not of these."""
    found = (_read(place / CALIBRATION_NAME) for place in places)
    return next((one for one in found if digest and _part(one, "weights").get("sha256") == digest), {})


def _newer(files: Iterable[Path], record: Path | None) -> list[str]:
    """Files that were written after the record of their run may be of another one."""
    if record is None:
        return []
    last = max((file.stat().st_mtime for file in files if file.is_file()), default=0.0)
    if last <= record.stat().st_mtime + _SLACK:
        return []
    return [f"some predictions are newer than {record}, which names the model and its weights: it may be another one"]


def _name(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders[:3])) + (" ..." if len(folders) > 3 else "")


def _unique(*lists: Iterable[Path]) -> list[Path]:
    return list({place.resolve(): place for places in lists for place in places}.values())


def _joined(*texts: Any) -> str:
    return ", ".join(str(text) for text in texts if text)


def _device(record: Mapping[str, Any]) -> str:
    device, versions = record.get("device"), _part(record, "versions")
    torch = f"PyTorch {versions['torch']}" if versions.get("torch") else ""
    return _joined(f"on {device}" if isinstance(device, str) and device else "", torch)


def _part(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of a record; empty where it is missing, or something else."""
    part = record.get(name)
    return part if isinstance(part, Mapping) else {}


def _read(path: Path) -> dict[str, Any]:
    """A record; empty where there is none, or where it is something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
