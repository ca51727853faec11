# SPDX-License-Identifier: Apache-2.0
"""Model card of a packaged bundle, out of that of the architecture's bundle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sa2_monai.bundle.packaging.results_table import results_table
from sa2_monai.bundle.packaging.source_texts import copied_sections, protocol_of, sections
from sa2_monai.bundle.packaging.texts import input_and_output, tags

__all__ = ["SHOWN", "model_card"]

#: Sections of the source that hold for every data set, in the order of the card.
_BEFORE = ("Model Description",)
_AFTER = ("System Configuration", "Limitations", "Citation Info")
#: Settings in the card, in this order.
SHOWN = (
    *("class_names", "kind", "view", "roi_size", "resize", "pixdim", "overlap", "in_channels", "channel_order"),
    *("intensity", "intensity_range", "normalize", "slice_axis"),
)


def model_card(
    source: str,
    *,
    metadata: Mapping[str, Any],
    dataset: str,
    folder: str,
    settings: Mapping[str, Any],
    weights: Mapping[str, Any] | None,
    results: Mapping[str, Any] | None,
    published: bool = False,
    scripted: bool = True,
) -> str:
    """``docs/README.md`` in the sections of the model zoo's template.

    Args:
        source: text of the source bundle's ``docs/README.md``.
        metadata: content of the new ``metadata.json``.
        dataset: name of the data set (of the overlay).
        folder: name of the new bundle's folder.
        settings: values of the configuration by id.
        weights: content of the new ``models/model.json``; ``None`` as long as there are none.
        results: content of ``metrics_summary.json``; ``None`` when no evaluation was given.
        published: the weights lie elsewhere, ``large_files.yml`` says where.
        scripted: the network is there as TorchScript, too.
    """
    head, parts = sections(source)
    lines = [f"# {metadata['name']}", "", *_head_lines(head, metadata, settings)]
    lines += copied_sections(parts, _BEFORE, {"Intended use and limits": str(metadata["intended_use"])})
    names = ", ".join(f"{number} {name}" for number, name in enumerate(settings["class_names"]))
    lines += [
        "## Data",
        "",
        f"Trained on: {metadata.get('data_source', dataset)}.",
        f"Classes: {names}.",
        "Terms of the data: `data_license.txt`.",
        "",
        "#### Preprocessing",
        "",
        "How the model sees an image; the same values stand in `models/model.json` and in the configurations.",
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| `{key}` | {_text(settings[key])} |" for key in SHOWN[1:] if _matters(key, settings)),
        "",
    ]
    lines += ["## Input and output", "", *input_and_output(metadata, settings), ""]
    protocol = protocol_of(parts.get("Protocol", ""), dataset)
    if protocol:
        lines += ["## Protocol", "", protocol, ""]
    lines += ["## Performance", "", *results_table(results), ""]
    lines += ["## Weights", "", *_weights_lines(weights, published), ""]
    lines += [
        "## MONAI Bundle Commands",
        "",
        "In the folder of this bundle, with `sa2_monai` installed:",
        "",
        "```console",
    ]
    lines += [
        "$ python -m monai.bundle run --config_file configs/inference.json --dataset_dir IMAGES",
        "$ python -m monai.bundle run training --meta_file configs/metadata.json --config_file configs/train.json \\",
        "      --logging_file configs/logging.conf --dataset_dir DIR --pretrained models/model.pt",
        "$ python -m monai.bundle run --config_file \"['configs/train.json','configs/evaluate.json']\" \\",
        "      --dataset_dir DIR",
        f"$ sa2-monai predict --bundle ../{folder} IMAGES --output OUT",
        "```",
        "",
        f'From Python: `sa2_monai.load_bundle("{folder}").predict(image)`.',
        "",
    ]
    if scripted:
        lines += ["`models/model.ts` is the network in TorchScript and runs where `sa2_monai` is not installed.", ""]
    lines += copied_sections(parts, _AFTER)
    lines += ["## References", "", *(f"- {entry}" for entry in metadata.get("references", []))]
    return "\n".join(lines).rstrip() + "\n"


def _matters(key: str, settings: Mapping[str, Any]) -> bool:
    """Whether a setting has an effect with the others."""
    images, windows = settings.get("kind") == "images", settings.get("view") == "windows"
    effect = {
        "overlap": windows,
        "pixdim": windows,
        "resize": not windows,
        "channel_order": images,
        "slice_axis": not images,
        "intensity_range": settings.get("intensity") == "window",
    }
    return settings.get(key) is not None and effect.get(key, True)


def _head_lines(head: str, metadata: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """Authors and tags, which stand below the title."""
    parts = dict(re.findall(r"^### (\w+)\n+(.*)$", head, flags=re.MULTILINE))
    # Somebody else's weights have authors of their own; the network keeps those of the paper.
    _, after, of_network = parts.get("Authors", "").partition(", after ")
    authors = f"{metadata['authors']}{after}{of_network}"
    return ["### Authors", "", authors, "", "### Tags", "", tags(parts.get("Tags", ""), metadata, settings), ""]


def _weights_lines(weights: Mapping[str, Any] | None, published: bool) -> list[str]:
    if weights is None:
        return ["None yet: no epoch of the training has been validated."]
    lines = [f"`models/model.pt`: {weights['parameters']:,} parameters, SHA-256 `{weights['sha256']}`."]
    facts = [f"{key} {weights[key]}" for key in ("epoch", "metric", "source") if weights.get(key) is not None]
    lines += [f"Training: {', '.join(facts)}."] if facts else []
    if published:
        lines += [
            "",
            "Where they are not in the folder, this fetches them from the addresses in `large_files.yml`:",
            *("", "```console", "$ python -m monai.bundle download_large_files --bundle_path .", "```"),
        ]
    return lines


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
