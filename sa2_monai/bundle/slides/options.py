# SPDX-License-Identifier: Apache-2.0
"""What a prediction of a slide may be asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["TISSUES", "SlideOptions"]

#: How tissue is told from background.
TISSUES = ("auto", "stained", "fluorescence", "all")


@dataclass(frozen=True)
class SlideOptions:
    """Options of a slide; each has the default of ``sa2-monai predict``.

    Attributes:
        stream: ``None`` takes files for slides by :func:`sa2_monai.io.slides.recognise.is_slide`; ``True`` all TIFF
            files, ``False`` none.
        roi: ``X,Y,W,H`` in pixels of level 0, or a GeoJSON file; see
            :func:`sa2_monai.io.slides.regions.read_regions`.
        tissue: one of :data:`TISSUES`; ``"all"`` leaves nothing out.
        tile_size: of models with the view ``whole``, side in pixels of what they see as an image; by default what they
            see without a resize.
        model_mpp: micrometres per pixel at which the model was trained; ``None``: as ``pixdim`` of the model says.
        slide_mpp: micrometres per pixel of the slide; ``None``: as the file says.
        polygons: write polygons, too.
        simplify: how far a polygon may be from the outline, in pixels of the label map.
        max_polygons: number of objects above which there are no polygons.
    """

    stream: bool | None = None
    roi: str | None = None
    tissue: str = "auto"
    tile_size: int | None = None
    model_mpp: float | None = None
    slide_mpp: float | None = None
    polygons: bool = True
    simplify: float = 0.5
    max_polygons: int = 1_000_000

    def settings(self) -> dict[str, Any]:
        """What a result depends on, as plain values; of a GeoJSON file its content."""
        from sa2_monai.io.digest import digest_of

        values = asdict(self)
        if self.roi is not None and Path(self.roi).is_file():
            values["roi"] = digest_of(Path(self.roi))
        return values
