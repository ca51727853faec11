# SPDX-License-Identifier: Apache-2.0
"""A batch of cases for ``sa2-monai predict``: what is left to do, what was done, by one program or several."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from sa2_monai.bundle.locate import load
from sa2_monai.bundle.prediction.cases import FEW, case_files, numbered_file
from sa2_monai.bundle.prediction.shard import Shard
from sa2_monai.bundle.verbatim import verbatim
from sa2_monai.bundle.workflow import run_inference
from sa2_monai.io.atomic import write_json
from sa2_monai.io.names import file_name
from sa2_monai.io.ownership import claim_folder
from sa2_monai.io.problems import FailedCasesError, listing
from sa2_monai.io.text import printable
from sa2_monai.version import __version__

__all__ = ["RECORDS", "SUMMARY", "Batch"]

#: In the output folder: records of the cases, and what they amount to.
RECORDS, SUMMARY = "cases", "predict_summary.json"
# What is added to the name of a case.
_ENDINGS = r"(_prob[._].*|_(entropy|variance)\.(tif|nii\.gz)|\.nii\.gz|\.png|(\.ome)?\.tif|\.dcm|\.json|\.geojson)$"


class Batch:
    """Cases that are predicted with one set of weights and options into one folder.

    Args:
        config_file: inference configuration of the bundle.
        weights: weight file.
        settings: overrides of the configuration that a result depends on.
        cases: data list of all cases, whatever program they belong to.
        output: folder.
        suffix: of the label maps.
    """

    def __init__(
        self,
        config_file: Path,
        weights: Path,
        settings: Mapping[str, Any],
        cases: list[dict[str, Any]],
        output: Path,
        suffix: str,
    ) -> None:
        from sa2_monai.inference import CaseManifest
        from sa2_monai.weights import sha256_of

        self.config_file = config_file
        self.weights = weights
        self.settings = dict(settings)
        self.cases = cases
        self.files = {case["case"]: case_files([case]) for case in cases}
        self.output = output
        self.predictions = output / "predictions"
        self.instances = output / "instances"
        self.suffix = suffix
        #: See sa2_monai.bundle.prediction.parity; kept in the summary by later runs with the same settings.
        self.parity: dict[str, Any] | None = None
        self.manifest = CaseManifest(
            output / RECORDS,
            {
                "sa2_monai": __version__,
                "weights": sha256_of(weights),
                "configuration": sha256_of(config_file),
                "options": self.settings,
            },
        )

    def run(self, shard: Shard, overrides: Mapping[str, Any], again: bool = False) -> FailedCasesError | None:
        """Predict what is left to do in one part of the cases.

        Args:
            shard: the part.
            overrides: of the configuration, that change no result: folders, device.
            again: do the finished cases once more.

        Returns:
            The error that names the cases that failed, after the others are finished; ``None`` when there are none.

        Raises:
            OSError, ValueError, RuntimeError: what ends a run before its last case.
        """
        own = shard.of(self.cases)
        todo = own if again else self.unfinished(own)
        part = f"part {shard} of {len(self.cases)} cases, " if shard.count > 1 else ""
        if len(todo) < len(own):
            print(f"{part}{len(own) - len(todo)} of {len(own)} are finished already; --again does them once more")
        elif part:
            print(f"{part}{len(own)} to do")
        failure = self.predict(todo, shard, overrides)
        if shard.torchrun:
            _wait_for_all()
            self.write_summary()
        done = len(self.finished(shard))
        what = "label map" if self.suffix == ".nii.gz" else "mask"
        print(f"{done} {what}{'' if done == 1 else 's'} in {printable(str(self.predictions))}")
        return failure

    def predict(
        self, cases: list[dict[str, Any]], shard: Shard, overrides: Mapping[str, Any]
    ) -> FailedCasesError | None:
        """Predict cases, finished or not, and write the summary; see :meth:`run` for the rest.

        Args:
            cases: some of the batch.
            shard: the part that they belong to.
            overrides: see there.
        """
        try:
            if cases:
                self._predict(cases, shard, overrides)
        except FailedCasesError as error:
            return error
        finally:
            self.write_summary()
        return None

    def claim(self, shard: Shard) -> AbstractContextManager[Path]:
        """Keep programs with other weights or options out of the folder; parts of one batch share it.

        Args:
            shard: the part that will be run.
        """
        purpose = f"prediction with {self.weights}"
        return claim_folder(self.output, purpose, self.manifest.digest if shard.count > 1 else None)

    def label_of(self, case: str) -> Path:
        """The file of the label map of a case."""
        return self.predictions / file_name(case, self.suffix)

    def unfinished(self, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of some cases that are not finished, or of which a file has changed since."""
        return [case for case in cases if self._state(case, look=True) != "finished"]

    def finished(self, shard: Shard) -> list[dict[str, Any]]:
        """The cases of a part that are finished."""
        return [case for case in shard.of(self.cases) if self._state(case, look=False) == "finished"]

    def write_summary(self, look: bool = False) -> dict[str, Any]:
        """Write what all programs together have done up to now; the last of them writes the whole.

        Args:
            look: also look whether files have changed, which takes its time for many DICOM series.
        """
        summary = self.manifest.summary(self.files, look)
        self.parity = self.parity or self._earlier_parity(summary["settings"])
        if self.parity is not None:
            summary["parity"] = self.parity
        write_json(self.output / SUMMARY, summary)
        if self.settings.get("uncertainty"):
            from sa2_monai.inference.uncertainty import write_uncertainty_table

            records = {case["case"]: self.manifest.read(case["case"]) or {} for case in self.cases}
            scores = {case: record["uncertainty"] for case, record in records.items() if "uncertainty" in record}
            write_uncertainty_table(self.output, scores)
        return summary

    def tell_status(self) -> int:
        """Write the summary and print it; 1 when cases have failed or are missing, else 0."""
        summary = self.write_summary(look=True)
        print(f"{summary['finished']} of {summary['cases']} cases are finished")
        for entry in summary["failed"]:
            print(f"failed: {printable(entry['case'])}: {entry['error']}")
        if summary["missing"]:
            print(f"missing or changed: {len(summary['missing'])}: {listing([*map(printable, summary['missing'])])}")
        print(f"all of it in {printable(str(self.output / SUMMARY))}")
        return 1 if summary["failed"] or summary["missing"] else 0

    def _earlier_parity(self, settings: Any) -> dict[str, Any] | None:
        try:
            earlier = json.loads((self.output / SUMMARY).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        same = isinstance(earlier, dict) and earlier.get("settings") == json.loads(json.dumps(settings, default=str))
        return earlier.get("parity") if same else None

    def _predict(self, todo: list[dict[str, Any]], shard: Shard, overrides: Mapping[str, Any]) -> None:
        files = {case["case"]: self.files[case["case"]] for case in todo}
        self._remove_leftovers(set(files))
        for case, inputs in files.items():
            self.manifest.begin(case, inputs)

        def note(record: Mapping[str, Any]) -> None:
            case = record["case"]
            if record["status"] == "ok":
                label = self.label_of(case)
                told = {"uncertainty": record["uncertainty"]} if record.get("uncertainty") else {}
                self.manifest.finish(case, self._outputs(case), record.get("seconds"), **told)
                print(f"{printable(files[case][0])} -> {printable(str(label))}{self._count(case)}", flush=True)
            else:
                self.manifest.fail(case, record["error"], record["seconds"])

        folders = {"output_dir": str(self.output)}
        if shard.count > 1:  # the record of each program in a folder of its own
            folders = {
                "output_dir": str(self.output / "shards" / shard.name),
                "predictions_dir": str(self.predictions),
                **({"instances_dir": str(self.instances)} if self.settings.get("instances") else {}),
            }
        few = len(todo) <= (1 if self.suffix == ".nii.gz" else FEW)  # to read a volume takes long
        workers = {"num_workers": 0} if few and "num_workers" in load(self.config_file) else {}
        values = {**workers, **self.settings, **overrides, **folders, "image_source": todo}
        run_inference(self.config_file, {name: verbatim(value) for name, value in values.items()}, note)

    def _state(self, case: dict[str, Any], look: bool) -> str:
        return self.manifest.state(case["case"], self.files[case["case"]], look)

    def _remove_leftovers(self, names: set[str]) -> None:
        """Temporary files of these cases that a killed process has left; those of other programs stay."""
        for folder in (self.predictions, self.instances, self.manifest.folder):
            for file in folder.glob(".*.tmp"):
                written = file.name[1:].rsplit(".", 2)[0]
                if re.sub(_ENDINGS, "", written) in names:
                    with suppress(OSError):
                        file.unlink()

    def _outputs(self, case: str) -> list[Path]:
        """Files of a case: its label map, DICOM SEG, probabilities, maps of the uncertainty and instances."""
        label = self.label_of(case)
        more = [self.predictions / file_name(case, ".dcm")] if self.settings.get("dicom_seg") else []
        if self.settings.get("save_probabilities"):
            base = glob.escape(str(self.predictions / case))
            more += [Path(path) for pattern in ("_prob.*", "_prob_*") for path in sorted(glob.glob(base + pattern))]
        if self.settings.get("uncertainty"):
            from sa2_monai.inference.uncertainty import map_names

            suffix = ".tif" if self.suffix == ".png" else self.suffix
            names = map_names(self.settings["uncertainty"])
            more += [self.predictions / file_name(f"{case}_{name}", suffix) for name in names]
        more += [] if (numbers := self.instance_file(case)) is None else [numbers]
        return [label, *(path for path in more if path.is_file())]

    def instance_file(self, case: str) -> Path | None:
        """The file with the numbers of the objects of a case, where there is one.

        Args:
            case: its name.
        """
        file = numbered_file(self.instances, case)
        return file if self.settings.get("instances") and file.is_file() else None

    def _count(self, case: str) -> str:
        file = self.instance_file(case)
        if file is None:
            return ""
        from sa2_monai.data import read_label

        count = int(read_label(file).max())
        return f", {count} object{'' if count == 1 else 's'}"


def _wait_for_all() -> None:
    """``torchrun`` stops all processes when one ends with an error: those with failed cases wait for the others."""
    from datetime import timedelta

    import torch.distributed as dist

    dist.init_process_group("gloo", timeout=timedelta(days=30))
    dist.barrier()
    dist.destroy_process_group()
