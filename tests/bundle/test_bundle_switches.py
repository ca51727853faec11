# SPDX-License-Identifier: Apache-2.0
"""The switches of all bundles: what is no choice, no number or no switch is refused, wherever it comes from."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.transforms import Identityd

from sa2_monai import load_bundle
from sa2_monai.bundle import SwitchError, check_switches, find_bundle, package_bundle
from sa2_monai.bundle.locate import bundle_names, load, load_one
from sa2_monai.bundle.sidecar import MODEL_SETTINGS, read_sidecar
from sa2_monai.bundle.switches import check_config, check_values, close_match
from sa2_monai.bundle.switches.running import _refuse_dropped
from sa2_monai.bundle.switches.schema import switch_names
from sa2_monai.cli import main
from sa2_monai.data import SECTIONS
from sa2_monai.inference.slice_inferer_checks import ORIENTATIONS
from sa2_monai.io.kinds import EARLIER_KINDS, KINDS
from sa2_monai.networks.blocks.resnet import RESNET_DEPTHS
from sa2_monai.slices.orientation import SLICE_AXES
from sa2_monai.slices.slice_view import VIEWS
from sa2_monai.slices.steps import INTENSITIES
from sa2_monai.slices.views import RESIZES
from tests.support.programs import run_program
from tests.support.small_models import GLANDS, save_model

BUNDLES = bundle_names()
SCHEMA = yaml.safe_load(Path(sys.modules[check_values.__module__].__file__ or "").with_name("schema.yaml").read_text())
# Switch, value, what the message says beside them; for a bundle that has the switch.
WRONG: list[tuple[str, str, Any, str]] = [
    ("sa2net", "intensity", "windo", "expected one of range, window, percentiles, minmax, none (did you mean window?)"),
    ("daeformer", "intensity", "percentile", "(did you mean percentiles?)"),
    ("daeformer", "intensity", "range", "expected one of window, percentiles, minmax, minmax_resized, none"),
    ("hsaunet", "intensity", "slice_maximum", "expected one of window"),
    ("svanet", "intensity", "Window", "(did you mean window?)"),
    ("sa2net", "intensity", None, "intensity is null"),
    ("sa2net", "view", "window", "(did you mean windows?)"),
    ("svanet", "kind", "image", "(did you mean images?)"),
    ("msa2net", "resize", "bicubic", "expected one of spline, bilinear"),
    ("msa2net", "slice_axis", "sagital", "(did you mean sagittal?)"),
    ("sa2net", "channel_order", "rgb", "(did you mean RGB?)"),
    ("sa2net", "loss_name", "dice", "expected one of bce_dice, dice_ce, dice_ce_squared"),
    ("hsaunet", "schedule", "step", "expected one of poly, cosine, plateau"),
    ("svanet", "schedule", "two_stage", "(did you mean two_stage_cosine?)"),
    ("daeformer", "ema", 1, "expected a number above 0 and below 1, or null"),
    ("msa2net", "class_weights", "equal", "expected 'auto', null or a list of numbers"),
    ("svanet", "amp_dtype", "bf16", "expected one of float16, bfloat16"),
    ("svanet", "precision", "bfloat16", "expected one of fp32, bf16, fp16, auto"),
    ("sa2net", "augment", "flip", "expected true or false"),
    ("daeformer", "augment", "flips", "(did you mean flip?)"),
    ("daeformer", "augment", "True", "expected one of true, false, flip"),
    ("sa2net", "label_resize", "linear", "expected one of nearest-exact, nearest, bilinear"),
    ("sa2net", "layout", "monuseq", "(did you mean monuseg?)"),
    ("sa2net", "label_values", "nonzeros", "(did you mean nonzero?)"),
    ("sa2net", "label_values", {"a": 1}, "expected 'nonzero', 'threshold', null or a table"),
    ("svanet", "encoder", "resnet18", "expected one of resnet14"),
    ("msa2net", "deep_level", "duel", "(did you mean dual?)"),
    ("sa2net", "learning_rate", "abc", "expected a number of at least 0"),
    ("sa2net", "learning_rate", "1e-4", "write 1.0e-4"),
    ("sa2net", "learning_rate", float("nan"), "expected a number of at least 0"),
    ("sa2net", "learning_rate", -0.1, "expected a number of at least 0"),
    ("sa2net", "max_epochs", -1, "expected a whole number of at least 1"),
    ("sa2net", "max_epochs", 2.5, "expected a whole number of at least 1"),
    ("sa2net", "max_epochs", True, "max_epochs is true"),
    ("sa2net", "batch_size", "4", "it is a text"),
    ("sa2net", "batch_size", "atuo", "(did you mean auto?)"),
    ("sa2net", "batch_size", "auto", "which is for prediction"),
    ("sa2net", "roi_size", [32, 32, 32], "expected two whole numbers of at least 1"),
    ("sa2net", "roi_size", 224, "expected two whole numbers of at least 1"),
    ("sa2net", "overlap", 1.0, "expected a number from 0 to below 1"),
    ("sa2net", "overlap", None, "expected a number from 0 to below 1"),
    ("sa2net", "dropout", -0.1, "expected a number from 0 to below 1"),
    ("sa2net", "cache_rate", 1.5, "expected a number from 0 to 1"),
    ("sa2net", "seed", -1, "expected a whole number from 0"),
    ("sa2net", "resume", "yes", "expected true or false"),
    ("sa2net", "matmul_precision", "medium", "expected one of highest, high"),
    ("sa2net", "device", "cuda0", "expected cpu, cuda or cuda:N"),
    ("sa2net", "dataset_dir", None, "expected a path"),
    ("sa2net", "fold", 5, "but num_folds is 5, expected 0 to 4"),
    ("sa2net", "patient_pattern", "(", "which is no regular expression"),
    ("sa2net", "intensity_range", [275, -125], "expected the lower number first"),
    ("sa2net", "intensity_range", [-125], "expected two numbers, [lowest, highest]"),
    ("svanet", "normalize", [0.5, 0], "expected two numbers, [mean, divisor]"),
    ("svanet", "out_channels", 1, "but class_names has 2 names, expected 2"),
    ("sa2net", "out_channels", 3, "but class_names has 2 names, expected 1 or 2"),
    ("sa2net", "class_names", ["background"], "at least two different names"),
    ("sa2net", "class_names", ["background", "a", "a"], "at least two different names"),
    ("sa2net", "class_names", "background,nucleus", "at least two different names"),
    ("sa2net", "largest_component", [2], "largest_component names class 2, but class_names has 0 to 1"),
    ("sa2net", "largest_component", "all", "expected true, false, null or a list of class numbers"),
    ("sa2net", "min_volume", -1, "expected a number of at least 0"),
    ("sa2net", "min_volume", True, "expected a number of at least 0"),
    ("sa2net", "view", "paper", "which is for volumes"),
    ("daeformer", "label_values", {0: 0, 1: 9}, "label_values names class 9"),
    ("hsaunet", "embed_dims", [128, 320], "expected three whole numbers"),
    ("msa2net", "resize", "antialias", "(did you mean antialiased?)"),
    ("svanet", "encoder_weights", "", "expected a text or null"),
    ("sa2net", "encoder_weights", "w.pth", "of this network's encoder there are no ImageNet weights, of msa2net"),
    ("daeformer", "frozen_epochs", -1, "expected a whole number from 0"),
    ("sa2net", "frozen_epochs", 3, "but pretrained is null: nothing has learned yet"),
    ("svanet", "frozen_epochs", 3, "but pretrained is null and encoder_weights is null: nothing has learned yet"),
    ("hsaunet", "layer_decay", 0, "expected a number above 0, at most 1"),
    ("msa2net", "layer_decay", 1.5, "expected a number above 0, at most 1"),
    ("svanet", "validation", "non", "(did you mean none?)"),
    ("sa2net", "variant", "plain_skip", "(did you mean plain_skips?)"),
    ("daeformer", "variant", "no_guidance", "expected one of efficient_only, channel_only, plain_skips, null"),
]
# The same for what evaluate.yaml adds.
WRONG_IN_EVALUATION: list[tuple[str, Any, str]] = [
    ("section", "testing", "(did you mean test?)"),
    ("protocol", "papers", "(did you mean paper?)"),
    ("protocol", "paper", "but family is null"),
    ("family", "images", "(did you mean image?)"),
    ("paper_options", {"plusone": True}, "(did you mean plus_one?)"),
    ("extra_metrics", ["f3"], "expected one of f2"),
    ("extra_metrics", "cl_dice", "(did you mean cldice?)"),
    ("size_strata", "yes", "expected true, false, null or a list"),
    ("tolerance", -1, "expected a number of at least 0"),
]


def config(bundle: str, *names: str, **switches: Any) -> dict[str, Any]:
    folder = find_bundle(bundle) / "configs"
    parser = ConfigParser(load(*(folder / f"{name}.yaml" for name in names)))
    for name, value in switches.items():
        parser[name] = value
    return parser.get()


def refused(bundle: str, *names: str, **switches: Any) -> str:
    with pytest.raises(SwitchError) as caught:
        check_config(config(bundle, *names, **switches), unknown=True)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("bundle", "name", "value", "words"), WRONG)
def test_what_is_no_choice_is_refused(bundle: str, name: str, value: Any, words: str) -> None:
    message = refused(bundle, "train", **{name: value})
    assert message.startswith(f"{name} ")
    assert words in message
    assert "; " not in message.removesuffix("; it is a text (YAML reads 1e-4 as one: write 1.0e-4)"), "one is wrong"


CONTRADICTIONS: list[tuple[str, dict[str, Any], str]] = [
    ("msa2net", {"pretrained": "model.pt", "encoder_weights": "w.pth"}, "set one of them to null"),
    ("svanet", {"validation": "none", "fold": 1}, "fold is 1, but validation is 'none'"),
    ("daeformer", {"validation": "none", "schedule": "plateau"}, "choose another schedule"),
    ("sa2net", {"validation": "none", "schedule": "plateau"}, "choose another schedule"),
    ("sa2net", {"select": "last", "schedule": "plateau"}, "choose another schedule, or select: best"),
    ("hsaunet", {"view": "windows", "intensity": "minmax_resized"}, "which is for whole slices"),
    (
        "daeformer",
        {"class_weights": [1] * 9, "loss_name": "boundary_dou"},
        "which has none: choose one of cross_entropy",
    ),
    ("daeformer", {"schedule": "plateau", "schedule_epochs": 9}, "leave schedule_epochs at null"),
    ("svanet", {"compile": True, "checkpointing": True}, "set one of them to false"),
    ("msa2net", {"keep_best": 3, "select": "last"}, "leave keep_best at 1"),
    ("hsaunet", {"deterministic": True, "cudnn_benchmark": True}, "set one of them to false"),
]


@pytest.mark.parametrize(("bundle", "switches", "words"), CONTRADICTIONS)
def test_switches_that_are_right_alone(bundle: str, switches: dict[str, Any], words: str) -> None:
    assert words in refused(bundle, "train", **switches)
    for name in switches:  # each by itself is no mistake
        check_config(config(bundle, "train", **{name: switches[name]}), unknown=True)


def test_switches_of_a_start_and_of_classes() -> None:
    start = {"precise_bn": 8, "frozen_epochs": 1, "pretrained": "model.pt"}
    assert "set one of them to 0" in refused("svanet", "train", **start)
    assert "class_weights has 3 numbers, but class_names has 9" in refused(
        "daeformer", "train", class_weights=[1, 2, 3]
    )


@pytest.mark.parametrize(("name", "value", "words"), WRONG_IN_EVALUATION)
def test_what_is_no_choice_is_refused_in_an_evaluation(name: str, value: Any, words: str) -> None:
    assert words in refused("daeformer", "train", "evaluate", **{name: value})


@pytest.mark.parametrize("name", ["intensity", "view", "kind", "orientations", "channel_order", "slice_axis"])
@pytest.mark.parametrize("bundle", BUNDLES)
def test_inference_refuses_the_same(bundle: str, name: str) -> None:
    assert refused(bundle, "inference", **{name: "nonsense"}).startswith(f"{name} is 'nonsense', expected one of ")


ENUMERATED = [name for name, schema in SCHEMA["properties"].items() if "enum" in schema]


@given(st.sampled_from(ENUMERATED), st.one_of(st.text(max_size=8), st.integers(), st.lists(st.integers(), max_size=2)))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_nothing_but_the_choices_passes(name: str, value: Any) -> None:
    allowed = SCHEMA["properties"][name]["enum"]
    if any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed):
        check_values({name: value})
        return
    with pytest.raises(SwitchError, match=f"{name} is "):
        check_values({name: value})


@given(st.floats(allow_nan=True, allow_infinity=True))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_ranges(value: float) -> None:
    if 0 <= value < 1:
        check_values({"overlap": value})
    else:
        with pytest.raises(SwitchError, match="expected a number from 0 to below 1"):
            check_values({"overlap": value})


def test_values_of_python_pass() -> None:
    check_values({"roi_size": (32, 32), "device": torch.device("cuda:1"), "dataset_dir": Path("data")})
    check_config(config("sa2net", "train", network=torch.nn.Linear(1, 1), device=torch.device("cpu")), unknown=True)


def test_the_choices_are_those_of_the_code() -> None:
    of_all, of = (
        SCHEMA["properties"],
        {name: one["properties"] for name, one in SCHEMA["definitions"]["networks"].items()},
    )
    assert set(of_all["view"]["enum"]) == set(VIEWS)
    assert set(of_all["orientations"]["enum"]) == set(ORIENTATIONS)
    assert set(of_all["slice_axis"]["enum"]) == set(SLICE_AXES)
    assert set(of_all["section"]["enum"]) == set(SECTIONS)
    assert set(of_all["kind"]["enum"]) == set(KINDS)
    assert set(of["svanet"]["encoder"]["enum"]) == set(RESNET_DEPTHS)
    for name in ("daeformer", "hsaunet", "msa2net"):
        assert set(of[name]["resize"]["enum"]) <= set(RESIZES)


@pytest.mark.parametrize("bundle", BUNDLES)
def test_every_choice_of_intensity_does_something(bundle: str) -> None:
    of_network = SCHEMA["definitions"]["networks"][bundle]["properties"]
    choices = of_network.get("intensity", SCHEMA["properties"]["intensity"])["enum"]
    assert set(choices) <= set(INTENSITIES)
    for choice in choices:
        parser = ConfigParser(config(bundle, "train", kind="images", intensity=choice))
        scale, view = (parser.get_parsed_content(name) for name in ("scale_intensity", "slice_view"))
        works = view.stretched or not isinstance(scale.at_once, Identityd)
        assert works == (choice not in ("none", "range")), choice


@pytest.mark.parametrize("bundle", BUNDLES)
def test_the_schema_has_every_switch(bundle: str) -> None:
    """A value at the top of a configuration is a switch, and what weights carry is one."""
    folder = find_bundle(bundle) / "configs"
    known = switch_names(bundle)
    for file in sorted(folder.glob("*.yaml")):
        for name, value in load_one(file).items():
            plain = (
                value is None
                or isinstance(value, (bool, int, float))
                or (isinstance(value, str) and not value.startswith(("$", "@")))
            )
            if plain and "#" not in name and name not in ("train", "validate", "training"):
                assert name in known, f"{file.name}: {name}"
    assert set(load(folder / "train.yaml")["model_info"]) - {"network"} <= set(MODEL_SETTINGS) & known


UNKNOWN = [
    ({"max_epoch": 5}, "max_epoch is no switch of this configuration", "(did you mean max_epochs?)"),
    ({"learningrate": 0.1}, "learningrate is no switch", "(did you mean learning_rate?)"),
    ({"batchsize": 2}, "batchsize is no switch", "(did you mean batch_size?)"),
    ({"encoder": "resnet50"}, "encoder is no switch", ""),
    ({"train::dataloder": 3}, "train#dataloder is no switch", "(did you mean dataloader?)"),
    ({"notes": {"by": "me"}}, "notes is no switch", ""),
]


@pytest.mark.parametrize(("override", "words", "near"), UNKNOWN)
def test_what_is_no_switch_is_refused(override: dict[str, Any], words: str, near: str) -> None:
    message = refused("sa2net", "train", **override)
    assert words in message
    assert near in message


def test_an_overlay_may_bring_ids_that_are_used() -> None:
    own = {"width": 8, "base_channels": "$2 * @width", "my_run": ["$@train#trainer.run()"], "_notes_": "by me"}
    own |= {"saver": {"_target_": "ignite.handlers.ProgressBar"}}
    check_config(config("sa2net", "train", **own), unknown=True)
    with pytest.raises(SwitchError, match="dead is no switch"):
        check_config(config("sa2net", "train", **own, dead=[1]), unknown=True)
    check_config(config("sa2net", "train", **own, dead=[1]), unknown=True, entries=["dead"])
    # Its own losses are choices, too; what an expression makes of other switches is looked at like any value.
    mine = config("daeformer", "train", loss_name="mine")
    mine["losses"]["mine"] = {"_target_": "torch.nn.CrossEntropyLoss"}
    check_config(mine)
    assert "base_channels is -2, expected" in refused("sa2net", "train", width=-1, base_channels="$2 * @width")


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_start_allows_frozen_epochs(bundle: str) -> None:
    check_config(config(bundle, "train", pretrained="model.pt", frozen_epochs=3, layer_decay=0.8), unknown=True)
    if bundle in ("msa2net", "svanet"):
        check_config(config(bundle, "train", encoder_weights="w.pth", frozen_epochs=3), unknown=True)


def test_expressions_are_left_to_the_run() -> None:
    """What cannot be known without building something, or fails, is not judged here, and nothing is built."""
    built: list[int] = []
    waiting = config("sa2net", "train", thing={"_target_": "builtins.int"}, intensity="$@thing", pixdim="$1 / 0")
    check_config(waiting, unknown=True)
    assert not built
    assert waiting["intensity"] == "$@thing"


def test_bundles_of_others_have_words_of_their_own() -> None:
    check_config({"intensity": "unit", "model_info": {"network": "vnet"}}, unknown=True)
    check_config({"intensity": "unit"}, unknown=True)


# ---- wherever it comes from


def workflow(bundle: str, *names: str, **overrides: Any) -> ConfigWorkflow:
    files = [str(find_bundle(bundle) / "configs" / f"{name}.yaml") for name in names]
    return ConfigWorkflow(files, workflow_type="infer", logging_file=False, **overrides)


def cases() -> Iterator[tuple[str, tuple[str, ...]]]:
    for bundle in BUNDLES:
        yield from ((bundle, names) for names in (("train",), ("train", "evaluate"), ("inference",)))


@pytest.mark.parametrize(("bundle", "names"), list(cases()))
@pytest.mark.parametrize(("earlier", "now"), EARLIER_KINDS.items())
def test_earlier_words_for_kinds_are_understood(bundle: str, names: tuple[str, ...], earlier: str, now: str) -> None:
    given = workflow(bundle, *names, kind=earlier, intensity="minmax")
    with pytest.warns(DeprecationWarning, match=f"kind '{earlier}' is called '{now}' now"):
        given.initialize()
    wanted = workflow(bundle, *names, kind=now, intensity="minmax")
    wanted.initialize()
    assert given.parser.get() == wanted.parser.get()
    views = [run.parser.get_parsed_content("slice_view", lazy=True) for run in (given, wanted)]
    assert vars(views[0]) == vars(views[1])


def test_packages_of_then_keep_their_words() -> None:
    """They compare with them."""
    parser = ConfigParser(config("sa2net", "inference", kind="pictures"))
    parser["mine"] = "$@kind == 'pictures'"
    parser["initialize"] = [{"_target_": "sa2_monai.bundle.check_switches"}]
    parser.get_parsed_content("initialize")
    assert parser.get_parsed_content("mine", lazy=True) is True


@pytest.mark.parametrize(("bundle", "names"), list(cases()))
def test_monai_checks_before_anything_is_built(bundle: str, names: tuple[str, ...]) -> None:
    for wrong, words in (
        ({"view": "window"}, "did you mean windows"),
        ({"roi_sizes": [1, 1]}, "did you mean roi_size"),
    ):
        with pytest.raises(RuntimeError) as caught:
            workflow(bundle, *names, **wrong).initialize()
        assert isinstance(caught.value.__cause__, SwitchError)
        assert words in str(caught.value.__cause__)
    right = workflow(bundle, *names)
    right.initialize()
    assert "network" not in right.parser.ref_resolver.resolved_content


@pytest.mark.integration
def test_the_command_of_monai_ends_with_one_line(tmp_path: Path) -> None:
    file = str(find_bundle("svanet") / "configs" / "train.yaml")
    words = ["--dataset_dir", str(tmp_path), "--intensity", "windo", "--max_epoch", "5"]
    command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", file, *words]
    done = run_program(command, tmp_path)
    assert done.returncode == 1
    *_, last = done.stderr.strip().splitlines()
    assert last.startswith("error: intensity is 'windo', expected one of ")
    assert "max_epoch is no switch of this configuration" in last
    assert "Traceback" not in done.stderr


DROPPED = [
    (["--min_volume", "None"], "min_volume would stay 10000.0"),
    (["--largest_component=None", "--fill_holes", "None"], "largest_component would stay True"),
    (["--train#trainer#amp", "None"], "train#trainer#amp would stay \"$@chosen_precision == 'fp16'\""),
    (["--fold", "None", "--dataset_dir", "None of them"], None),  # null anyway; a text
]


@pytest.mark.parametrize(("words", "told"), DROPPED)
def test_null_that_monai_drops(words: list[str], told: str | None) -> None:
    parser = ConfigParser(config("daeformer", "train", "sample_volumes"))
    if told is None:
        _refuse_dropped(["run", *words], parser)
        return
    with pytest.raises(SwitchError, match=f"MONAI drops None from its command line: {re.escape(told)}\\."):
        _refuse_dropped(["run", *words], parser)


def test_the_check_belongs_into_a_configuration() -> None:
    with pytest.raises(RuntimeError, match="belongs into the 'initialize'"):
        check_switches()


SIDECARS = [
    ({"intensity": "percentile"}, "intensity is 'percentile', expected one of .*did you mean percentiles"),
    ({"view": "hole"}, "did you mean whole"),
    ({"kind": "image"}, "did you mean images"),
    ({"roi_size": [32, 32, 32]}, "roi_size is .* expected two whole numbers"),
    ({"overlap": 1.0}, "overlap is 1.0"),
    ({"in_channels": "3"}, "in_channels is '3'"),
    ({"out_channels": 4}, "out_channels is 4, but class_names has 2 names"),
    ({"intensity_range": [5, 1]}, "expected the lower number first"),
    ({"min_volume": "small"}, "min_volume is 'small'"),
    ({"pixdims": 1.0}, "'pixdims' is no setting .did you mean pixdim"),
]


@pytest.mark.parametrize(("wrong", "words"), SIDECARS)
def test_sidecars(wrong: dict[str, Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = tmp_path / "model.pt"
    torch.save({"w": torch.zeros(1)}, weights)
    weights.with_suffix(".json").write_text(json.dumps({"sha256": "", **GLANDS, **wrong}))
    with pytest.raises(ValueError, match=words) as caught:
        read_sidecar(weights, "sa2net")
    assert str(caught.value).startswith(f"{tmp_path / 'model.json'}: ")
    with pytest.raises(ValueError, match=words):
        load_bundle("sa2net", weights)
    with pytest.raises(ValueError, match=words):
        package_bundle(find_bundle("sa2net"), weights, tmp_path / "out", dataset="glas")
    assert main(["predict", str(tmp_path), "--weights", str(weights), "--output", str(tmp_path / "out")]) == 1
    assert re.search(words, capsys.readouterr().err)


def test_the_commands_and_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = save_model(tmp_path / "model.pt", GLANDS)
    common = [str(tmp_path), "--output", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match="2"):
        main(["crossval", "--config", "sample", *common, "intensity=windo"])
    assert "intensity is 'windo', expected one of" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    bundle = load_bundle("sa2net", weights, device="cpu")
    with pytest.raises(SwitchError, match="did you mean windows"):
        bundle.predict(tmp_path, view="window")
    with pytest.raises(ValueError, match=r"has no largest_componet .did you mean largest_component"):
        bundle.predict(tmp_path, largest_componet=True)
    with pytest.raises(SwitchError, match="section is 'tests'"):
        bundle.evaluate(tmp_path, dataset="glas", section="tests")
    with pytest.raises(SwitchError, match="max_epochs is 0"):
        bundle.train(tmp_path, dataset="glas", output_dir=tmp_path / "out", max_epochs=0)
    with pytest.raises(SwitchError, match="intensity is 'windo'"):
        package_bundle(find_bundle("sa2net"), weights, tmp_path / "p", dataset="glas", overrides={"intensity": "windo"})


def test_close_match() -> None:
    assert close_match("learningrate", ["max_epochs", "learning_rate"]) == "learning_rate"
    assert close_match("xyz", ["max_epochs", "learning_rate"]) is None
