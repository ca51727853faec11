# SPDX-License-Identifier: Apache-2.0
"""What metadata and model card of a packaged bundle say about its images, in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sa2_monai.networks.catalogue import network_record

__all__ = ["channel_names", "data_type", "description", "image_classes", "input_and_output", "tags", "value_range"]
__all__ += ["of_variant", "variant_note"]

_NAMES = {1: ["image"], 3: ["red", "green", "blue"]}
#: Where values lie before ``normalize``; images that are taken as they are may lie anywhere, but images are read so.
_SCALED = {
    "range": "values divided by the largest of their integer type",
    "percentiles": "values between two percentiles scaled to [0, 1]",
    "minmax": "values from lowest to highest scaled to [0, 1]",
    "minmax_resized": "values from lowest to highest scaled to [0, 1] after the resize",
    "slice_maximum": "each slice divided by its maximum",
    "none": "values as they are",
}


def channel_names(number: int) -> list[str]:
    """Names of the channels of an image."""
    return _NAMES.get(number) or [f"channel {index}" for index in range(number)]


def data_type(settings: Mapping[str, Any]) -> str:
    """Kinds of files that the bundle takes; models of preprocessed files are used on volumes."""
    return "png, jpeg, tiff, bmp" if settings.get("kind") == "images" else "nifti, nrrd, mha, dicom"


def description(metadata: Mapping[str, Any], class_names: Sequence[str]) -> str:
    """What the network is, and what these weights do.

    Args:
        metadata: with the description of the architecture, the task and the source of the data.
        class_names: background first.
    """
    network = re.split(r"(?<=[.])\s", str(metadata["description"]), maxsplit=1)[0]
    task = str(metadata["task"])
    return f"{network} {task}: {', '.join(class_names[1:])}. Trained on: {metadata['data_source']}."


def image_classes(metadata: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """What an image is and how the network sees its values.

    Args:
        metadata: with the modality.
        settings: values of the configuration by id.
    """
    modality = str(metadata["network_data_format"]["inputs"]["image"].get("modality", "any"))
    what = "" if modality == "any" else f"{modality}, "
    channels = settings["in_channels"]
    if settings.get("kind") == "images":
        what += {1: "grey image", 3: "RGB image"}.get(channels, f"image of {channels} channels")
    else:
        what += "volume, seen slice by slice"
    return f"{what}, {_scaling(settings)}"


def value_range(settings: Mapping[str, Any]) -> list[float]:
    """Smallest and largest value that the network is given; empty where it is not known.

    Args:
        settings: values of the configuration by id.
    """
    if settings.get("intensity") == "none" and settings.get("kind") != "images":
        return []
    mean, divisor = settings.get("normalize") or (0.0, 1.0)
    return [(0.0 - mean) / divisor, (1.0 - mean) / divisor]


def input_and_output(metadata: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """Lines of the model card: what the network and the bundle take and give.

    Args:
        metadata: content of ``metadata.json``.
        settings: values of the configuration by id.
    """
    image = metadata["network_data_format"]["inputs"]["image"]
    values = ", values from {:g} to {:g}".format(*image["value_range"]) if image["value_range"] else ""
    names = ", ".join(image["channel_def"].values())
    channels = f"{image['num_channels']} channel{'s' * (image['num_channels'] > 1)} ({names})"
    sides = str(image["spatial_shape"][0]).partition("*")[0]
    lines = [
        f"Input of the network: {channels}, height and width multiples of {sides}{values}.",
        f"Output of the network: {metadata['pred_classes']}.",
        "",
    ]
    if settings.get("kind") == "images":
        taken, given = "PNG, JPEG, TIFF or BMP files or a folder of them", "`<case>.png` at the image's size"
    else:
        taken = "NIfTI, NRRD or MHA files, a folder of them, or a folder with a DICOM series"
        given = "`<case>.nii.gz` on exactly the input's grid, for DICOM a DICOM SEG as well (`dicom_seg: true`)"
    return [*lines, f"Input of the bundle: {taken}.", f"Output of the bundle: class numbers, {given}."]


def tags(source: str, metadata: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Tags of the model card.

    Args:
        source: tags of the architecture's bundle; what it says about the network is kept.
        metadata: with the modality.
        settings: values of the configuration by id.
    """
    of_network = [tag for tag in re.split(r",\s*", source.strip(" .")) if tag in ("transformer", "convolutional")]
    modality = str(metadata["network_data_format"]["inputs"]["image"].get("modality", "any"))
    kind = "2D, images" if settings.get("kind") == "images" else "2D, volumes, slices"
    found = [
        "Segmentation",
        *([] if modality == "any" else [modality]),
        *settings["class_names"][1:],
        kind,
        *of_network,
    ]
    return ", ".join(dict.fromkeys(found))


def of_variant(metadata: Mapping[str, Any], network: str, variant: str | None) -> dict[str, Any]:
    """Metadata of a network that say what a variant of it does without.

    Args:
        metadata: of the network as published.
        network: its name.
        variant: name of the variant; ``None`` changes nothing.
    """
    if variant is None:
        return dict(metadata)
    title, segmentation, more = str(metadata["name"]).partition(" segmentation")
    record = network_record(network)
    said = f"The variant {variant} of {record.class_name}, which is not the published network: "
    said += f"{record.variants[variant].meaning}."
    return {**metadata, "name": f"{title} ({variant}){segmentation}{more}", "description": said}


def variant_note(card: str, network: str, variant: str | None) -> str:
    """Text of a model card that says, in front of what is true of the published network, what the variant is.

    Args:
        card: text of the source.
        network: name of the network.
        variant: name of the variant; ``None`` changes nothing.
    """
    if variant is None:
        return card
    note = (
        f"**The variant `{variant}`, not the published network:** {network_record(network).variants[variant].meaning}."
    )
    note += " What follows is said of the published one."
    heading = "## Model Description\n"
    return card if note in card else card.replace(heading, f"{heading}\n{note}\n", 1)


def _scaling(settings: Mapping[str, Any]) -> str:
    intensity = str(settings.get("intensity"))
    if intensity == "window":
        low, high = settings["intensity_range"]
        return f"values clipped to {low:g} .. {high:g} and scaled to [0, 1]"
    return _SCALED.get(intensity, intensity)
