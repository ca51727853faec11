# SPDX-License-Identifier: Apache-2.0
"""The words for kinds of files: those of today, those of version 0.1, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from sa2_monai.bundle.sidecar import Sidecar, apply_settings, read_settings
from sa2_monai.bundle.workflow import sees_volumes
from sa2_monai.data import case_reader, input_kind, list_cases, load_datalist, make_sample, slice_counter
from sa2_monai.inference.writers import case_writer, probability_writer
from sa2_monai.io.kinds import EARLIER_KINDS, KINDS, current_word, kind_of
from sa2_monai.slices import load_image, load_label, orient_slices, scale_intensity
from sa2_monai.weights import check_info

FUNCTIONS: dict[str, Any] = {
    "case_reader": lambda kind: type(case_reader(kind)),
    "slice_counter": lambda kind: type(slice_counter(kind)),
    "load_image": lambda kind: type(load_image(kind)),
    "load_label": lambda kind: type(load_label(kind)),
    "orient_slices": lambda kind: type(orient_slices(kind)),
    "scale_intensity": lambda kind: type(scale_intensity(kind, "minmax")),
    "case_writer": lambda kind: type(case_writer(kind, "out", ["background", "cell"])),
    "probability_writer": lambda kind: type(probability_writer(kind, "out", ["background", "cell"])),
    "list_cases": lambda kind: list_cases([{"image": "a"}], kind),
}


@pytest.mark.parametrize("kind", KINDS)
def test_words_of_today(kind: str) -> None:
    assert kind_of(kind) == current_word(kind) == kind


@pytest.mark.parametrize("earlier", EARLIER_KINDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_earlier_words_mean_the_same(name: str, earlier: str) -> None:
    now = FUNCTIONS[name](EARLIER_KINDS[earlier])
    with pytest.warns(DeprecationWarning, match=f"kind '{earlier}' is called '{EARLIER_KINDS[earlier]}' now"):
        assert FUNCTIONS[name](earlier) == now


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("word", ["photos", "Images", ""])
def test_other_words_are_refused(name: str, word: str) -> None:
    with pytest.raises(ValueError, match=f"kind is '{word}', expected one of 'images', 'volumes', 'preprocessed'"):
        FUNCTIONS[name](word)


def test_a_configuration_gets_its_own_word_back(tmp_path: Any) -> None:
    """A package of version 0.1 compares the answer with the words of then."""
    (tmp_path / "a.npz").touch()
    with pytest.warns(DeprecationWarning, match="is called"):
        assert input_kind(tmp_path, "archives") == "archives"
    assert input_kind(tmp_path, "preprocessed") == "preprocessed"


def test_data_lists(tmp_path: Any) -> None:
    make_sample(tmp_path / "data", num_training=2, num_validation=1, num_test=1, size=(40, 40))
    now = load_datalist(tmp_path / "data", "training", "folder", kind="images")
    with pytest.warns(DeprecationWarning, match="is called"):
        assert load_datalist(tmp_path / "data", "training", "folder", kind="pictures") == now
    with pytest.raises(ValueError, match="kind is 'volumes', but 'folder' consists of images"):
        load_datalist(tmp_path / "data", "training", "folder", kind="volumes")


@pytest.mark.parametrize(("earlier", "now"), EARLIER_KINDS.items())
def test_sidecars(earlier: str, now: str) -> None:
    settings = read_settings({"kind": earlier}, "model.json")
    assert settings == {"kind": now}
    sidecar = Sidecar(settings, "daeformer", None)
    assert apply_settings({"kind": "volumes"}, sidecar) == {"kind": now}
    assert apply_settings({"kind": earlier}, sidecar) == {"kind": earlier}  # a package of then
    assert sees_volumes({"kind": earlier}, {}) == (now != "images")
    check_info({"kind": earlier}, {"kind": now}, "model.pt")
    check_info({"kind": now}, {"kind": earlier}, "model.pt")
    other = "volumes" if now == "images" else "images"
    with pytest.raises(ValueError, match="was trained with other settings"):
        check_info({"kind": earlier}, {"kind": other}, "model.pt")
