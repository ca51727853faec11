# SPDX-License-Identifier: Apache-2.0
"""Model card and data terms of a packaged bundle, out of those of the architecture's bundle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sa2_monai.bundle.packaging.texts import input_and_output, tags

__all__ = ["SHOWN", "data_license", "model_card", "results_table", "sections"]

#: Sections of the source that hold for every data set, in the order of the card.
_BEFORE = ("Model Description",)
_AFTER = ("System Configuration", "Limitations", "Citation Info")
_OVERLAY = re.compile(r"\b(inference_trt|paper|evaluate|evaluate_paper|ensemble|disk_cache|multi_gpu_\w+)\.yaml")
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
    weights: Mapping[str, Any],
    results: Mapping[str, Any] | None,
    published: bool = False,
) -> str:
    """``docs/README.md`` in the sections of the model zoo's template.

    Args:
        source: text of the source bundle's ``docs/README.md``.
        metadata: content of the new ``metadata.json``.
        dataset: name of the data set (of the overlay).
        folder: name of the new bundle's folder.
        settings: values of the configuration by id.
        weights: content of the new ``models/model.json``.
        results: content of ``metrics_summary.json``; ``None`` when no evaluation was given.
        published: the weights lie elsewhere, ``large_files.yml`` says where.
    """
    head, parts = sections(source)
    lines = [f"# {metadata['name']}", "", *_head_lines(head, metadata, settings)]
    lines += _copied(parts, _BEFORE, {"Intended use and limits": str(metadata["intended_use"])})
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
    protocol = _protocol(parts.get("Protocol", ""), dataset)
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
        "`models/model.ts` is the network in TorchScript and runs where `sa2_monai` is not installed.",
        "",
    ]
    lines += _copied(parts, _AFTER)
    lines += ["## References", "", *(f"- {entry}" for entry in metadata.get("references", []))]
    return "\n".join(lines).rstrip() + "\n"


def sections(text: str) -> tuple[str, dict[str, str]]:
    """The text in front of the first ``##`` heading, and the text below each of them."""
    head, *rest = re.split(r"^## ", text, flags=re.MULTILINE)
    parts = {}
    for part in rest:
        title, _, body = part.partition("\n")
        parts[title.strip()] = body.strip()
    return head.strip(), parts


def results_table(results: Mapping[str, Any] | None) -> list[str]:
    """Lines of Markdown with the results of one evaluation.

    Args:
        results: content of ``metrics_summary.json``, or ``None``.
    """
    if results is None:
        return ["No evaluation of these weights was given when the bundle was packaged."]
    protocol = results["protocol"]
    family = f", family `{protocol['family']}`" if "family" in protocol else ""
    lines = [f"Protocol `{protocol['name']}`{family}, {results['cases']} cases.", ""]
    if "paper" in results:
        lines += ["| score | value |", "|---|---|"]
        values = results["paper"].items()
        return [*lines, *(f"| {name} | {value:.4f} |" for name, value in values if isinstance(value, float))]
    unit = protocol["unit"]
    lines += [f"| class | Dice (95 % interval) | IoU | HD95 [{unit}] | ASSD [{unit}] |", "|---|---|---|---|---|"]
    for name, block in results["per_class"].items():
        cells = [_number(block.get(metric, {}).get("mean")) for metric in ("dice", "jaccard", "hd95", "assd")]
        cells[0] += _interval(block.get("dice", {}))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    means = [results["overall"].get(metric, {}) for metric in ("dice", "jaccard", "hd95", "assd")]
    cells = [_number(mean.get("mean_of_class_means")) for mean in means]
    cells[0] += _interval(means[0])
    lines.append(f"| mean of the classes | {' | '.join(cells)} |")
    failed = results.get("failed")
    return [*lines, *(["", f"{len(failed)} more cases failed and are in no mean."] if failed else [])]


def data_license(source: str, dataset: str, data_source: str) -> str:
    """``docs/data_license.txt``: the terms of the data that the weights were trained on.

    Args:
        source: text of the source bundle's file; a paragraph per data set, its name in the first line.
        dataset: name of the data set (of the overlay).
        data_source: of the metadata.
    """
    blocks = re.split(r"\n\s*\n", source.strip())[1:]
    key = _plain(dataset)
    own = [block for block in blocks if key in _plain(block.partition("\n")[0])]
    first = _plain(re.split(r"[_-]", dataset)[0])
    own = own or [block for block in blocks if first in _plain(block.partition("\n")[0])]
    text = f"No data are part of this bundle. Its weights were trained on:\n{data_source}\n"
    if own:
        return "\n\n".join([text + "\nThe data have their own terms:", *own]) + "\n"
    return text + "\nThe terms of these data apply; who hands out the weights must know and state them.\n"


def _matters(key: str, settings: Mapping[str, Any]) -> bool:
    """Whether a setting has an effect with the others."""
    pictures, windows = settings.get("kind") == "pictures", settings.get("view") == "windows"
    effect = {
        "overlap": windows,
        "pixdim": windows,
        "resize": not windows,
        "channel_order": pictures,
        "slice_axis": not pictures,
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


def _copied(parts: Mapping[str, str], titles: tuple[str, ...], more: Mapping[str, str] | None = None) -> list[str]:
    """Sections as they are, but for statements about the source that are not true of a package.

    Args:
        parts: text below each heading.
        titles: of the sections, in order.
        more: paragraphs that begin a subsection, by its title.
    """
    lines: list[str] = []
    for title in titles:
        if title in parts:
            body = re.sub(r"\s*No weights are\s+shipped[^.]*\.", "", parts[title])
            for heading, text in (more or {}).items():
                body = body.replace(f"### {heading}\n", f"### {heading}\n\n{text}\n")
            lines += [f"## {title}", "", _OVERLAY.sub(r"\1.json", body), ""]
    return lines


def _protocol(text: str, dataset: str) -> str:
    """What is said of the data set; the whole section where it is not divided by data sets."""
    general, *rest = re.split(r"^### ", text, flags=re.MULTILINE)
    if not rest:
        return general.strip()
    for name in (_plain(dataset), _plain(re.split(r"[_-]", dataset)[0])):
        found = [part for part in rest if name in _plain(part.partition("\n")[0])]
        if found:
            return "\n\n".join([general.strip(), *(f"### {part.strip()}" for part in found)]).strip()
    return ""


def _weights_lines(weights: Mapping[str, Any], published: bool) -> list[str]:
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


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if value < 10 else f"{value:.2f}"


def _interval(block: Mapping[str, Any]) -> str:
    low, high = block.get("ci95_low"), block.get("ci95_high")
    return "" if low is None or high is None else f" ({low:.4f} to {high:.4f})"
