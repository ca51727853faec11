# SPDX-License-Identifier: Apache-2.0
"""The layout of a folder of one's own: the forms that are known, one after the other, and what is said where none fits.

``load_datalist``, ``datasets check`` and ``find_data`` all ask here, so that a folder has one answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from sa2_monai.data.layouts.cases import EXPECTED_LAYOUT, Parts
from sa2_monai.data.layouts.described import described_parts
from sa2_monai.data.layouts.discovery.by_folders import folder_layout
from sa2_monai.data.layouts.discovery.by_names import beside_layout
from sa2_monai.data.layouts.discovery.by_suffix import suffix_layout
from sa2_monai.data.layouts.discovery.layout import Layout, QuestionError
from sa2_monai.data.layouts.discovery.listing import Item, Listing, list_items
from sa2_monai.data.layouts.discovery.name_lists import with_name_lists
from sa2_monai.data.layouts.pairs_csv import TABLES, csv_layout, find_csv
from sa2_monai.io.images.read import IMAGE_SUFFIXES
from sa2_monai.io.names import VOLUME_SUFFIXES
from sa2_monai.io.problems import listing

__all__ = ["own_layout", "own_parts", "with_joined_objects"]

logger = logging.getLogger(__name__)


def own_layout(directory: Path, kind: str, unlabelled: bool = False) -> Layout:
    """Recognise the layout of a folder.

    Args:
        directory: the data set's folder, its ``dataset.json``, or a CSV of pairs.
        kind: ``"images"`` or ``"volumes"``.
        unlabelled: keep a test part without any label.

    Returns:
        The layout. A test part without any label, as the challenges publish it, is left out where there are training
        cases: it can be predicted, but not scored (see ``unlabelled``).

    Raises:
        FileNotFoundError: a file or folder of the layout is missing.
        ValueError: no known layout, a missing partner, two files of one name.
        QuestionError: several ways to read the folder.
    """
    layout = _recognised(directory, kind)
    test = layout.parts.get("test", [])
    labelled = any("label" in case or str(case["image"]) in layout.objects for case in test)
    if not unlabelled and layout.parts.get("training") and test and not labelled and not layout.listed:
        logger.info(
            "%s: the %d test images have no labels and are left out (predict them with the inference of the bundle); "
            "a test part is held out of the training cases instead",
            directory,
            len(test),
        )
        del layout.parts["test"]
    return layout


def own_parts(directory: Path, kind: str, unlabelled: bool = False, cache_dir: Path | None = None) -> Parts:
    """Data lists of a folder, see :func:`own_layout`; label files of single objects are put together in the cache.

    Args:
        directory: see :func:`own_layout`.
        kind: see there.
        unlabelled: see there.
        cache_dir: cache folder.
    """
    return with_joined_objects(directory, own_layout(directory, kind, unlabelled), kind, cache_dir).parts


def with_joined_objects(directory: Path, layout: Layout, kind: str, cache_dir: Path | None = None) -> Layout:
    """The layout, its cases with one label map each where they have several label files of single objects.

    Args:
        directory: see :func:`own_layout`.
        layout: what was recognised.
        kind: see there.
        cache_dir: where the label maps are kept; ``None`` for the folder's own cache.
    """
    if layout.objects:
        from sa2_monai.data.preparation.object_masks import joined_objects

        joined_objects(directory, layout, kind, cache_dir)
    return layout


def _recognised(directory: Path, kind: str) -> Layout:
    if directory.suffix.lower() in TABLES:
        return csv_layout(directory)
    described = described_parts(directory, kind)
    if described is not None:
        return Layout(described[1], described[0], listed=described[1].startswith("listed") and kind == "images")
    table = find_csv(directory)
    if table is not None:
        return csv_layout(table)
    found = list_items(directory, kind)
    errors: list[ValueError] = []
    for recognise in _FORMS:
        try:
            layout = recognise(found)
        except QuestionError:  # what is not certain here is not made so by a looser form
            raise
        except ValueError as error:
            errors.append(error)
            continue
        if layout is not None:
            return with_name_lists(directory, layout)
    if errors:
        raise errors[0]
    raise _nothing(found)


def _loose(found: Listing) -> Layout | None:
    return folder_layout(found, loose=True)


_FORMS: tuple[Callable[[Listing], Layout | None], ...] = (folder_layout, beside_layout, _loose, suffix_layout)


def _nothing(found: Listing) -> Exception:
    """What is said where no form fits."""
    directory = found.directory
    images, labels = directory / "images", directory / "labels"
    if images.is_dir() and not labels.is_dir() and found.folders == ["images"]:
        return FileNotFoundError(f"{labels}: no such folder; {EXPECTED_LAYOUT}")
    if images.is_dir() and not any(item.folders[:1] == ("images",) for item in found.items):
        other, name = ("volumes", "volumes") if found.kind == "images" else ("images", "folder")
        hint = f"; its {other} are read with dataset {name!r}" if list_items(images, other).items else ""
        suffixes = IMAGE_SUFFIXES if found.kind == "images" else VOLUME_SUFFIXES
        return ValueError(f"{images}: holds no {found.kind} ({listing(list(suffixes))}); put the images there{hint}")
    question = _same_names(found)
    if question:
        return QuestionError(f"{directory}: {question}, or a CSV of pairs (columns image,label)")
    several = max(1, len(found.items) // 2)
    drawn = [suffix for suffix in (".json", ".xml", ".roi", ".svg", ".geojson") if found.others[suffix]]
    drawn += [".txt"] if found.others[".txt"] > several else []
    hint = f"; outlines in {listing(drawn)} files are not read: export them as masks (PNG)" if drawn else ""
    return ValueError(
        f"{directory}: is not a data set of a known layout; {EXPECTED_LAYOUT}. Found {found.summary()}; give --images "
        f"GLOB and --labels GLOB{hint}"
    )


def _same_names(found: Listing) -> str:
    """The question of folders whose files have the same names, but none a word for labels."""
    folders: dict[tuple[str, ...], list[Item]] = {}
    for item in found.items:
        folders.setdefault(item.folders, []).append(item)
    if len(folders) < 2:
        return ""
    names = [{item.stem for item in items} for items in folders.values()]
    if len(folders) < len(names[0]) and all(of == names[0] for of in names):
        patterns = [f"{'/'.join(where)}/*{_ending(items[0])}".lstrip("/") for where, items in folders.items()]
        places = " and ".join("/".join(where) + "/" for where in folders)
        what = f"{places} hold files of the same names, which are the labels"
    else:
        shared = sorted(set.intersection(*({item.path.name for item in items} for items in folders.values())))
        if len(shared) < 2:
            return ""
        patterns = [f"**/{name}" for name in shared]
        what = f"each of {len(folders)} folders has {listing(shared, 4)}, which is the label"
    return f"{what}? Give --images '{patterns[0]}' --labels '{patterns[1]}', or the other way round"


def _ending(item: Item) -> str:
    return item.path.name[len(item.stem) :]
