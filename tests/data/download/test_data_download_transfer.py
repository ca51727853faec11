# SPDX-License-Identifier: Apache-2.0
"""Transfers against a server on this machine: resume, wrong content, full disk; and the layout that comes out."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import http.server
import io
import json
import shutil
import threading
import zipfile
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sa2_monai.data import DOWNLOADS, download, load_datalist, load_parts, read_image, read_label
from sa2_monai.data.download import transfer as transfer_module
from sa2_monai.data.download.bbbc038 import convert_bbbc038
from sa2_monai.data.download.transfer import transfer

BODY = np.random.RandomState(0).bytes(3_000_000)
SHA = hashlib.sha256(BODY).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves one body; can cut the connection, forget ranges, or answer with an error."""

    body = BODY
    cut_after: int | None = None  # bytes of the next answers after which the connection is closed
    ranges = True
    codes: list[int]  # answered first, one per request
    requests: list[str | None]  # Range headers received


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range")
        server.requests.append(wanted)
        if server.codes:
            self.send_error(server.codes.pop(0))
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        if start >= len(server.body) and start:
            self.send_error(416)
            return
        rest = server.body[start:]
        self.send_response(206 if wanted and server.ranges else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if server.cut_after is not None:
            rest = rest[: server.cut_after]
        self.wfile.write(rest)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    with Server(("127.0.0.1", 0), Handler) as running:
        running.codes, running.requests = [], []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/set.zip"


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


# --- transfer ---


def test_whole_file_and_reuse(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    target = transfer(url(server), tmp_path / "a.zip", SHA, progress=lambda *n: seen.append(n))
    assert target.read_bytes() == BODY
    assert names(tmp_path) == ["a.zip"]
    assert seen[-1] == (len(BODY), len(BODY))
    transfer(url(server), tmp_path / "a.zip", SHA.upper())
    assert server.requests == [None]


def test_cut_connection_is_resumed_within_a_call(server: Server, tmp_path: Path) -> None:
    server.cut_after = 1_200_000
    target = transfer(url(server), tmp_path / "a.zip", SHA, pause=0)
    assert target.read_bytes() == BODY
    assert server.requests == [None, "bytes=1200000-", "bytes=2400000-"]


def test_cut_connection_is_resumed_by_the_next_call(server: Server, tmp_path: Path) -> None:
    server.cut_after = 700_000
    with pytest.raises(OSError, match=r"failed 2 times .*1400000 of 3000000 bytes arrived.*run again to go on"):
        transfer(url(server), tmp_path / "a.zip", SHA, attempts=2, pause=0)
    assert names(tmp_path) == ["a.zip.part"]
    server.cut_after = None
    assert transfer(url(server), tmp_path / "a.zip", SHA).read_bytes() == BODY
    assert server.requests[-1] == "bytes=1400000-"
    assert names(tmp_path) == ["a.zip"]


def test_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "a.zip.part").write_bytes(BODY[:1000])
    assert transfer(url(server), tmp_path / "a.zip", SHA).read_bytes() == BODY


def test_complete_part_is_taken(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(BODY)
    assert transfer(url(server), tmp_path / "a.zip", SHA).read_bytes() == BODY


def test_wrong_part_is_started_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(b"x" * 1000)
    assert transfer(url(server), tmp_path / "a.zip", SHA).read_bytes() == BODY
    assert server.requests == ["bytes=1000-", None]


def test_wrong_checksum_keeps_what_was_there_and_leaves_no_half_file(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"an older version")
    with pytest.raises(ValueError, match=rf"has SHA-256 {SHA} \(3000000 bytes\), expected {'0' * 64}; .*not kept"):
        transfer(url(server), tmp_path / "a.zip", "0" * 64)
    assert names(tmp_path) == ["a.zip"]
    assert (tmp_path / "a.zip").read_bytes() == b"an older version"


def test_refusals_of_the_server(server: Server, tmp_path: Path) -> None:
    server.codes = [404]
    with pytest.raises(
        OSError, match=r"answers 404 Not Found; download it with another program and put it at .*a\.zip"
    ):
        transfer(url(server), tmp_path / "a.zip", SHA)
    assert names(tmp_path) == []
    server.codes = [503]
    assert transfer(url(server), tmp_path / "a.zip", SHA, pause=0).read_bytes() == BODY


def test_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(OSError, match=r"the connection failed 2 times .*refused.*put it at"):
        transfer("http://127.0.0.1:9/a.zip", tmp_path / "a.zip", SHA, attempts=2, pause=0)
    assert names(tmp_path) == []


def test_disk_too_small_is_known_before_writing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 10, 1000))
    with pytest.raises(OSError, match=r"a\.zip\.part: no room left on the disk; free some") as caught:
        transfer(url(server), tmp_path / "a.zip", SHA)
    assert caught.value.errno == errno.ENOSPC
    assert names(tmp_path) == []


def test_disk_that_fills_up(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(transfer_module.os, "fsync", full)
        with pytest.raises(OSError, match=r"no room left on the disk; .*the download will go on"):
            transfer(url(server), tmp_path / "a.zip", SHA)
    assert names(tmp_path) == ["a.zip.part"]
    assert transfer(url(server), tmp_path / "a.zip", SHA).read_bytes() == BODY


def test_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        transfer(url(server), tmp_path / "no" / "a.zip", SHA)


# --- BBBC038 ---


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG")
    return buffer.getvalue()


def archive(count: int = 20, prefix: str = "", broken: bool = False) -> bytes:
    """Miniature of stage1_train.zip: RGBA images, one mask per nucleus."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(f"{prefix}readme.txt", "ignored")
        file.writestr("../../evil.png", "ignored")
        for i in range(count):
            key = hashlib.sha256(str(i).encode()).hexdigest()
            colours = [(200, 120, 180, 255), (20, 20, 20, 255), (220, 220, 220, 255)]
            image = np.full((12, 16, 4), colours[i % 3], np.uint8)
            file.writestr(f"{prefix}{key}/images/{key}.png", png(image))
            for k in range(2):
                mask = np.zeros((12, 16 - broken), np.uint8)
                mask[2 : 5 + k, 2 + 4 * k : 7 + 4 * k] = 255
                file.writestr(f"{prefix}{key}/masks/{k:064x}.png", png(mask))
    return buffer.getvalue()


def test_download_lays_the_data_out(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.body = archive()
    source = dataclasses.replace(
        DOWNLOADS["bbbc038"], url=url(server), sha256=hashlib.sha256(server.body).hexdigest(), num_images=20
    )
    monkeypatch.setitem(DOWNLOADS, "bbbc038", source)
    said: list[str] = []
    folder = download("bbbc038", tmp_path / "d", show=said.append)
    assert names(tmp_path) == ["d"]
    assert names(folder) == ["dataset.json", "images", "instances", "labels"]
    assert "licence: CC0" in said[0]
    assert "downloading" in said[1]
    assert [len(p) for p in load_parts(folder).values()] == [12, 2, 6]
    case = load_datalist(folder, "training", class_names=("background", "nucleus"))[0]
    label, instances = read_label(case["label"]), read_label(case["instances"])
    assert instances[3, 6] == 2  # the later mask wins
    assert set(np.unique(instances)) == {0, 1, 2}
    np.testing.assert_array_equal(label, np.where(instances > 0, 255, 0))
    kinds = {p.name.split("_")[0]: read_image(p).shape[2] for p in (folder / "images").iterdir()}
    assert kinds == {"he": 3, "fluo": 1, "bf": 1}
    download("bbbc038", folder, show=said.append)
    assert "there already, reused" in said[-1]
    assert len(server.requests) == 1


def test_download_refuses_other_content(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="'isic' cannot be downloaded, expected one of bbbc038"):
        download("isic", tmp_path / "d")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine.txt").touch()
    with pytest.raises(FileExistsError, match="holds other files; choose an empty or new folder"):
        download("bbbc038", tmp_path / "d")
    server.body = b"<html>please log in</html>"
    monkeypatch.setitem(DOWNLOADS, "bbbc038", dataclasses.replace(DOWNLOADS["bbbc038"], url=url(server)))
    with pytest.raises(ValueError, match="proxy or login page"):
        download("bbbc038", tmp_path / "e", show=lambda text: None)
    assert not (tmp_path / "e").exists()


def test_archives_of_other_content(tmp_path: Path) -> None:
    source = dataclasses.replace(DOWNLOADS["bbbc038"], num_images=20)
    path = tmp_path / "a.zip"
    path.write_bytes(archive(19))
    with pytest.raises(ValueError, match=r"a\.zip: holds 19 images, expected 20"):
        convert_bbbc038(path, tmp_path / "x", source)
    path.write_bytes(archive(20, "stage1_train/", broken=True))
    with pytest.raises(ValueError, match=r"a\.zip: is damaged .* is \(12, 15\), its image \(12, 16\)"):
        convert_bbbc038(path, tmp_path / "y", source)
    path.write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"a\.zip: is damaged .*remove it and download it again"):
        convert_bbbc038(path, tmp_path / "z", source)


def test_the_published_checksum_is_well_formed() -> None:
    assert all(len(s.sha256) == 64 and s.url.startswith("https://") for s in DOWNLOADS.values())
    assert json.dumps(DOWNLOADS["bbbc038"].sha256)
