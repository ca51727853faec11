# SPDX-License-Identifier: Apache-2.0
"""Words by which people name folders and files of images, labels and parts, whatever their case and number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = [
    "FolderMeaning",
    "folder_meaning",
    "is_patient_name",
    "is_results_folder",
    "label_names_of",
    "without_image_word",
]

_TABLE = {
    "image": "image images img imgs im ims picture pictures photo photos photograph photographs frame frames original "
    "originals orig input inputs x scan scans volume volumes imaging source sources ct mr mri us rgb bild bilder",
    "label": "label labels lbl lbls mask masks gt gts groundtruth groundtruths truth truths annotation annotations "
    "annot annots ann anno annos annotated seg segs segm segmentation segmentations target targets labelmap labelmaps "
    "labelcol msk msks gtv maske masken masque masques semantic semantics manual y reference references",
    "instances": "instance instances",
    # Nothing of the role: what kind of files, which copy of them.
    "neutral": "ground class classes png jpg jpeg tif tiff bmp nii nifti nrrd mha dicom dcm binary tissue file files "
    "folder dir set all data dataset raw st nd rd tiles patches resized object objects part split",
    # Made of the data, and no data themselves.
    "results": "predictions overlays results output outputs preview previews visualization visualisation",
    "training": "train training tr",
    "validation": "val valid validation va",
    "test": "test testing ts",
}
_WORDS = {meaning: tuple(words.split()) for meaning, words in _TABLE.items()}
_IMAGE, _LABEL = _WORDS["image"], _WORDS["label"]
_PARTS = {part: _WORDS[part] for part in ("training", "validation", "test")}
_KNOWN = {word for meaning, words in _WORDS.items() for word in words if meaning != "results"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# Folders whose number is none of a patient's.
_NO_PATIENT = re.compile(r"fold|class|grade|stage|cent(er|re)|site|split|part|level|\d+x$|x\d+$", re.IGNORECASE)

# In names of files; the longest first: a name ends in "_labels", not in "_label" and an s.
_PHRASES = {r"ground[ _-]?truth", r"manual[ _-]?\d", r"\d(?:st|nd|rd)[ _-]?(?:ho|manual)"}
_IN_NAMES = {*_LABEL, *_PHRASES} - {"y", "reference"}
_LABEL_WORDS = "|".join(sorted(_IN_NAMES, key=lambda word: (-len(word), word)))
_IMAGE_WORDS = "|".join(sorted({*_IMAGE} - {"x"}, key=lambda word: (-len(word), word)))
_SEPARATOR = r"[ ._-]+"
_ENDS = r"(?P<key>.*?)(?P<affix>(?:{sep}|(?<=\d)|^)(?:{words})){tail}"
_BEGINS = r"(?P<affix>(?:{words})(?:{sep}|(?=\d)))(?P<key>.+)"
_LABEL_NAMES = tuple(
    re.compile(form.format(sep=_SEPARATOR, words=_LABEL_WORDS, tail=""), re.IGNORECASE) for form in (_ENDS, _BEGINS)
)
_IMAGE_NAMES = tuple(
    re.compile(form.format(sep=_SEPARATOR, words=_IMAGE_WORDS, tail=""), re.IGNORECASE) for form in (_ENDS, _BEGINS)
)


class FolderMeaning(NamedTuple):
    """What a folder's name says.

    Attributes:
        role: ``"image"``, ``"label"``, ``"instances"``, or empty.
        part: ``"training"``, ``"validation"``, ``"test"``, or empty.
    """

    role: str
    part: str


def folder_meaning(name: str, loose: bool = False) -> FolderMeaning:
    """What the name of a folder says of the files in it: ``imagesTr``, ``Ground Truth``, ``train_masks``, ``val``.

    Args:
        name: name of the folder.
        loose: also take names with words that are not known: ``ISIC2018_Task1_Training_GroundTruth``.
    """
    words = [word for token in _WORD.findall(name) for word in _split(token.lower())]
    label = any(word in _LABEL for word in words)
    # scan_01 is a case; 1st_manual and "Ground Truth 2" are folders of labels.
    if not words or (not loose and any(word not in _KNOWN and not (label and word.isdigit()) for word in words)):
        return FolderMeaning("", "")
    if any(word in _WORDS["instances"] for word in words) or ("segmentation" in words and "object" in words):
        role = "instances"
    else:
        role = "label" if label else "image" * any(word in _IMAGE for word in words)
    if len(words) > 2 and role and set(words) & {*_IMAGE, *_LABEL} <= {"x", "y"}:
        role = ""  # one letter among other words
    part = next((part for part, names in _PARTS.items() if any(word in names for word in words)), "")
    # tr, va and ts alone are no parts: they stand behind another word, as in imagesTr.
    if not role and words[-1] in ("tr", "va", "ts"):
        part = ""
    return FolderMeaning(role, part)


def _split(word: str) -> list[str]:
    """A word that is written together: ``trainannot``, ``imagestr``."""
    roles = {*_IMAGE, *_LABEL}
    if word in roles:
        return [word]
    for of_part in _PARTS.values():
        for part in of_part:
            for rest in (word.removeprefix(part), word.removesuffix(part)):
                if rest != word and len(rest) > 1 and rest in roles:
                    return [part, rest]
    if word.startswith("gt") and len(word) > 4:  # gtpolyp
        return ["gt", word[2:]]
    if word.removeprefix("ground") in ("truth", "truths"):
        return ["ground", "truth"]
    return [word]


def label_names_of(stem: str) -> Iterator[tuple[str, str]]:
    """How a file name reads as that of a label: what is left without the word for it, and the word as written.

    Args:
        stem: file name without suffix: ``case_1_mask``, ``mask-7``, ``seg``.

    Yields:
        ``("case_1", "_mask")``; nothing where no word is found.
    """
    for form in _LABEL_NAMES:
        match = form.fullmatch(stem)
        if match:
            yield match["key"], match["affix"]


def without_image_word(stem: str) -> set[str]:
    """The name itself, and without a word such as ``_image`` or ``img_``.

    Args:
        stem: file name without suffix.
    """
    return {stem} | {match["key"] for form in _IMAGE_NAMES if (match := form.fullmatch(stem))}


def is_results_folder(name: str) -> bool:
    """Whether a folder's name says that programs wrote it: predictions, overlays, previews."""
    return name.lower() in _WORDS["results"]


def is_patient_name(name: str) -> bool:
    """Whether a folder's name is that of a patient or case: it has a number, and no word for something else."""
    return any(c.isdigit() for c in name) and not _NO_PATIENT.search(name)
