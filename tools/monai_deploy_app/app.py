# SPDX-License-Identifier: Apache-2.0
"""MONAI Deploy app for packaged bundles of volumes: a DICOM CT series in, a DICOM SEG out. README.md beside this file
says how to run it; everything that differs between models comes out of ``model.ts``.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from monai.deploy.conditions import CountCondition
from monai.deploy.core import Application, Image, IOType
from monai.deploy.operators.dicom_data_loader_operator import DICOMDataLoaderOperator
from monai.deploy.operators.dicom_seg_writer_operator import DICOMSegmentationWriterOperator, SegmentDescription
from monai.deploy.operators.dicom_series_selector_operator import DICOMSeriesSelectorOperator
from monai.deploy.operators.dicom_series_to_volume_operator import DICOMSeriesToVolumeOperator
from monai.deploy.operators.dicom_utils import ModelInfo
from monai.deploy.operators.monai_bundle_inference_operator import IOMapping, MonaiBundleInferenceOperator
from pydicom.pixels import apply_rescale
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from sa2_monai.io.dicom.seg import segment_names
from sa2_monai.io.dicom.segment_codes import segment_code

#: Of the series of the first study that fit, that of the most slices is taken.
RULES = {"selections": [{"name": "CT", "conditions": {"Modality": "(?i)^CT$", "ImageType": ["!LOCALIZER"]}}]}
_SERIES_DESCRIPTION = "RESEARCH segmentation, not for diagnosis"
_ALGORITHM_NAME = 64  # characters that DICOM allows


class SegmentationApp(Application):
    """Load the studies of a folder, choose a CT series, segment it and write a DICOM SEG that refers to its slices."""

    def compose(self) -> None:
        """Make the operators and connect them."""
        context = Application.init_app_context(self.argv)
        metadata = read_metadata(Path(context.model_path))
        loader = DICOMDataLoaderOperator(
            self, CountCondition(self, 1), input_folder=Path(context.input_path), name="loader"
        )
        selector = DICOMSeriesSelectorOperator(
            self, rules=json.dumps(RULES), all_matched=True, sort_by_sop_instance_count=True, name="selector"
        )
        volume = SeriesToVolume(self, name="volume")
        # The labels are the names of the network's input and output in the metadata.
        inference = MonaiBundleInferenceOperator(
            self,
            input_mapping=[IOMapping("image", Image, IOType.IN_MEMORY)],
            output_mapping=[IOMapping("pred", Image, IOType.IN_MEMORY)],
            app_context=context,
            name="inference",
        )
        writer = DICOMSegmentationWriterOperator(
            self,
            segment_descriptions=describe_segments(metadata),
            model_info=ModelInfo("sa2_monai", metadata["name"][:_ALGORITHM_NAME], metadata["version"]),
            custom_tags={"SeriesDescription": _SERIES_DESCRIPTION},
            output_folder=Path(context.output_path),
            name="writer",
        )
        self.add_flow(loader, selector, {("dicom_study_list", "dicom_study_list")})
        self.add_flow(selector, volume, {("study_selected_series_list", "study_selected_series_list")})
        self.add_flow(selector, writer, {("study_selected_series_list", "study_selected_series_list")})
        self.add_flow(volume, inference, {("image", "image")})
        self.add_flow(inference, writer, {("pred", "seg_image")})


class SeriesToVolume(DICOMSeriesToVolumeOperator):
    """The SDK's operator with the voxels and the affine that the model was trained with.

    That of the SDK (4.0.0) takes the integer type of all slices from the first one, so that negative Hounsfield units
    wrap around when the first slice has none; and it exchanges the two pixel spacings, which matters where pixels are
    no squares.
    """

    def convert_to_image(self, study_selected_series_list: list[Any]) -> Any:
        """Image of the series that was chosen.

        Raises:
            ValueError: there is none, or it has fewer than two slices.
        """
        if not study_selected_series_list:
            raise ValueError(
                "found no CT series in the input folder. The SDK leaves out files without UIDs and files with empty "
                "numbers (SeriesNumber, AcquisitionNumber); its warnings above name the reason."
            )
        return super().convert_to_image(study_selected_series_list)

    def generate_voxel_data(self, series: Any) -> np.ndarray:
        """Voxels (slice, row, column) in the units of the modality, float32."""
        slices = [instance.get_native_sop_instance() for instance in series.get_sop_instances()]
        return np.stack([np.float32(apply_rescale(instance.pixel_array, instance)) for instance in slices])

    def prepare_series(self, series: Any) -> None:
        """Sort the slices by position and set the affines.

        Raises:
            ValueError: fewer than two slices: only their distance tells how thick a voxel is.
        """
        instances = series.get_sop_instances()
        if len(instances) < 2:
            raise ValueError(f"series {series.SeriesInstanceUID}: {len(instances)} slices, expected two or more.")
        super().prepare_series(series)
        rows, columns = (float(value) for value in instances[0].get_native_sop_instance().PixelSpacing)
        for name in (self.ATTRIBUTE_DICOM_AFFINE, self.ATTRIBUTE_NIFTI_AFFINE):
            affine = getattr(series, name)
            affine[:3, :2] *= np.array([columns, rows]) / np.linalg.norm(affine[:3, :2], axis=0)


def read_metadata(model: Path) -> dict[str, Any]:
    """``metadata.json`` out of a TorchScript file.

    Args:
        model: ``models/model.ts`` of a packaged bundle, or a folder with nothing but a TorchScript file.

    Raises:
        ValueError: it is no such thing, or a model for images.
    """
    files = sorted(model.rglob("*.ts")) if model.is_dir() else [model]
    if len(files) != 1 or not zipfile.is_zipfile(files[0]):
        raise ValueError(f"{model}: expected models/model.ts of a packaged bundle; give it with -m.")
    with zipfile.ZipFile(files[0]) as archive:
        texts = {name.rpartition("/extra/")[2]: name for name in archive.namelist() if "/extra/" in name}
        if not {"metadata.json", "inference.json"} <= set(texts):
            raise ValueError(f"{files[0]}: holds no metadata.json and inference.json; `sa2-monai package` writes both.")
        metadata, inference = (json.loads(archive.read(texts[name])) for name in ("metadata.json", "inference.json"))
    if inference.get("kind") == "images":
        raise ValueError(f"{files[0]}: is a model for images, expected one for volumes.")
    return dict(metadata)


def describe_segments(metadata: dict[str, Any]) -> list[SegmentDescription]:
    """Segments 1, 2, ... of the classes of the model, with the codes of SNOMED CT where they are known.

    Args:
        metadata: content of ``metadata.json``.
    """
    descriptions = []
    for name in segment_names(metadata["network_data_format"]["outputs"]["pred"]["channel_def"]):
        code = segment_code(name)
        kind = codes.SCT.MorphologicallyAbnormalStructure if code.abnormal else codes.SCT.AnatomicalStructure
        descriptions.append(
            SegmentDescription(
                segment_label=name[:_ALGORITHM_NAME],
                segmented_property_category=kind,
                segmented_property_type=Code(code.value, "SCT", code.meaning),
                algorithm_name=metadata["name"][:_ALGORITHM_NAME],
                algorithm_version=metadata["version"],
            )
        )
    return descriptions


if __name__ == "__main__":
    SegmentationApp().run()
