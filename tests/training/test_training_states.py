# SPDX-License-Identifier: Apache-2.0
"""Two states with checksums: damage is named and the other one used; a kill at any moment leaves one that is whole."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from training_setup import Run, Stop, same, tiny_network

from sa2_monai.training.state_files import StateFiles
from sa2_monai.weights import load_weights
from tests.support.full_disk import full_disk

LAST, BEFORE = "last_state.pt", "last_state_before.pt"


def flip(path: Path, place: int, bit: int = 0) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def damaged(data: bytes) -> dict[str, bytes]:
    """The same file with each kind of damage."""
    found = {"empty": b"", "zeros": bytes(len(data)), "text": b"Not found", "doubled": data + data}
    found |= {f"cut {cut}": data[:cut] for cut in range(1, len(data), len(data) // 12)}
    found |= {f"cut {-cut} at the end": data[:-cut] for cut in (1, 40, 80, 81, 82, 90, 103)}
    for place in [*range(7, len(data), len(data) // 60), *range(len(data) - 110, len(data), 7)]:
        flipped = bytearray(data)
        flipped[place] ^= 1 << (place % 8)
        found[f"bit of {place}"] = bytes(flipped)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of three epochs."""
    path = tmp_path_factory.mktemp("states")
    Run(path, 3).run()
    return path


def states_in(folder: Path) -> StateFiles:
    return StateFiles(folder, ("engine",))


def test_each_kind_of_damage_is_named_and_the_state_before_is_used(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copy(folder / BEFORE, tmp_path)
    cases = damaged((folder / LAST).read_bytes())
    assert len(cases) > 80
    for name, data in cases.items():
        (tmp_path / LAST).write_bytes(data)
        caplog.clear()
        state, path = states_in(tmp_path).load()
        assert (state["engine"]["epoch"], path) == (2, tmp_path / BEFORE), name
        assert f"{tmp_path / LAST} is " in caplog.text, name
        assert "damaged" in caplog.text, name
        assert "THE STATE BEFORE IT IS USED" in caplog.text, name


def test_a_sound_state_is_used_without_a_word(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in (folder / LAST, folder / BEFORE):
        assert torch.load(path, weights_only=True)["engine"]["epoch"] == (3 if path.name == LAST else 2)
    with caplog.at_level("INFO"):
        assert states_in(folder).load()[0]["engine"]["epoch"] == 3
    assert caplog.text == ""


@pytest.mark.parametrize("what", ["flipped", "missing"])
def test_training_goes_on_from_the_state_before_bit_for_bit(what: str, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    if what == "flipped":
        flip(tmp_path / LAST, 3000)
    else:
        (tmp_path / LAST).unlink()
    before = (tmp_path / BEFORE).read_bytes()
    resumed = Run(tmp_path, 3, True, network=nn.Sequential(*tiny_network())).run()
    assert resumed.epochs == [3]
    assert same(resumed.network, Run(tmp_path / "straight", 3).run().network)
    # What is damaged never takes the place of what is whole.
    assert (tmp_path / BEFORE).read_bytes() == before
    assert states_in(tmp_path).load()[1] == tmp_path / LAST


def test_two_damaged_states_are_an_error_that_names_both(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    flip(tmp_path / LAST, 3000)
    flip(tmp_path / BEFORE, 2000)
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"{LAST} is damaged: the SHA-256.*{BEFORE} is .*pretrained to .*model"):
            Run(tmp_path, 4, True).run()
        (tmp_path / BEFORE).write_bytes(b"")
    (tmp_path / BEFORE).unlink()
    with pytest.raises(ValueError, match=rf"{LAST} is damaged.*{BEFORE} does not exist"):
        Run(tmp_path, 4, True).run()


def test_a_disk_that_cannot_read_a_state(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad sector is damage; a file that may not be read is the user's to open."""
    from sa2_monai.training import state_files

    def fail(number: int) -> Callable[[Path], Any]:
        def read(path: Path) -> Any:
            if path.name == LAST:
                raise OSError(number, "of the disk")
            return real(path)

        return read

    real = state_files.read_sealed
    monkeypatch.setattr(state_files, "read_sealed", fail(errno.EIO))
    assert states_in(folder).load()[1] == folder / BEFORE
    monkeypatch.setattr(state_files, "read_sealed", fail(errno.EACCES))
    with pytest.raises(OSError, match="of the disk"):
        states_in(folder).load()


def test_states_of_earlier_versions_are_read(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without our checksum; those that PyTorch writes are compared."""
    torch.save(torch.load(folder / LAST, weights_only=True), tmp_path / LAST)
    with caplog.at_level("INFO"):
        assert Run(tmp_path, 4, True).run().epochs == [4]
    assert f"{tmp_path / LAST} is of an earlier version and has no checksum" in caplog.text
    torch.save({"engine": {"epoch": 1}, "weight": torch.arange(1000.0)}, tmp_path / LAST)
    data = (tmp_path / LAST).read_bytes()
    flip(tmp_path / LAST, data.index(torch.arange(1000.0).numpy().tobytes()) + 2000)
    (tmp_path / BEFORE).unlink()
    with pytest.raises(ValueError, match=r"last_state\.pt is damaged: the checksum of its part .*data/0 is wrong"):
        states_in(tmp_path).load()


def state(epoch: int) -> dict[str, Any]:
    return {"engine": {"epoch": epoch}, "weight": torch.full((500,), float(epoch))}


def save_and_die(folder: Path, call: int, links: bool) -> bool:
    """Save the fourth state in a process of its own that is killed ahead of a call; whether it came so far."""
    pid = os.fork()
    if pid == 0:
        count = 0

        def dying(real: Callable[..., Any], works: bool = True) -> Callable[..., Any]:
            def run(*args: Any) -> Any:
                nonlocal count
                if count == call:
                    os._exit(9)
                count += 1
                if not works:
                    raise OSError(errno.EPERM, "no links")
                return real(*args)

            return run

        code = 1
        try:
            os.link = dying(os.link, links)
            os.replace, os.fsync, os.open = dying(os.replace), dying(os.fsync), dying(os.open)
            files = states_in(folder)
            files.load()
            files.save(state(4))
            code = 0
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, 9)
    return status == 9


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_kill_at_any_moment_leaves_a_state(links: bool, tmp_path: Path) -> None:
    call, found = 0, []
    while True:
        folder = tmp_path / str(call)
        files = states_in(folder)
        for epoch in (1, 2, 3):
            files.save(state(epoch))
        if not save_and_die(folder, call, links):
            break
        again = states_in(folder)
        again.remove_leftovers()
        content, _ = again.load()
        epoch = content["engine"]["epoch"]
        assert torch.equal(content["weight"], state(epoch)["weight"])
        found.append(epoch)
        again.save(state(epoch + 1))
        assert sorted(os.listdir(folder)) == [LAST, BEFORE]
        assert states_in(folder).load()[0]["engine"]["epoch"] == epoch + 1
        call += 1
    assert set(found) == {3, 4}
    assert len(found) >= 5
    assert [torch.load(folder / name, weights_only=True)["engine"]["epoch"] for name in (LAST, BEFORE)] == [4, 3]


def test_a_full_disk_leaves_both_states(tmp_path: Path) -> None:
    files = states_in(tmp_path)
    for epoch in (1, 2):
        files.save(state(epoch))
    contents = [(tmp_path / name).read_bytes() for name in (LAST, BEFORE)]
    for limit in (0, 1000, len(contents[0]) - 60, len(contents[0]) - 1):
        with full_disk(limit), pytest.raises(OSError, match=r"cannot write .*last_state\.pt.*unchanged"):
            files.save(state(3))
        assert [(tmp_path / name).read_bytes() for name in (LAST, BEFORE)] == contents
    assert sorted(os.listdir(tmp_path)) == [LAST, BEFORE]


def test_weights_with_a_flipped_bit_are_named(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    data = (tmp_path / "model.pt").read_bytes()
    for place in range(0, len(data), len(data) // 40):
        (tmp_path / "model.pt").write_bytes(data)
        flip(tmp_path / "model.pt", place, place % 8)
        with pytest.raises(ValueError, match=r"model\.pt is not the file that model\.json beside it describes"):
            load_weights(tiny_network(), tmp_path / "model.pt")


def test_an_interrupted_training_has_both_states(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        Run(tmp_path, stop_at=8).run()
    assert [torch.load(tmp_path / name, weights_only=True)["engine"]["epoch"] for name in (LAST, BEFORE)] == [2, 1]
    assert json.loads((tmp_path / "model.json").read_text())["epoch"] in (1, 2)
    # The shortest name of a models folder is the one that MONAI Label takes.
    assert min(tmp_path.glob("*.pt"), key=lambda path: len(path.name)).name == "model.pt"
