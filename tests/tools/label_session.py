# SPDX-License-Identifier: Apache-2.0
"""A session with a MONAI Label server, run by the interpreter of its own environment (tools/lib/label_environment.sh).

    python label_session.py JOB.json

The job names the ``app`` folder, the ``studies``, the ``conf`` of the app, a folder ``work`` and ``steps``: the server
is started, each step goes to it through MONAI Label's own REST client, and one result for each is written to
``work``/results.json:

    ["infer", MODEL, IMAGE, PARAMS]   -> [path of the label map or null, what came with it]
    ["polygons", MODEL, IMAGE, FORM]  -> the text of the answer; FORM is dsa, asap or json
    ["label", IMAGE, FILE]            -> the answer
    ["train", MODEL, PARAMS]          -> the state of the task when it has ended
    ["score", MODEL]                  -> the answer
    ["info"]                          -> the answer
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests
from monailabel.client import MONAILabelClient
from monailabel.client.client import MONAILabelClientException

START_SECONDS = 300
TASK_SECONDS = 600


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Session:
    """A running server; leaves none behind."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.work = Path(job["work"])
        self.url = f"http://127.0.0.1:{free_port()}"
        self.client = MONAILabelClient(self.url, tmpdir=str(self.work))
        words = [word for pair in job["conf"].items() for word in ("--conf", *pair)]
        # The console script is a shell script that looks for `python`.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        command = ["monailabel", "start_server", "--app", job["app"], "--studies", job["studies"], *words]
        with (self.work / "server.log").open("w") as log:
            self.server = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", self.url.rpartition(":")[2]],
                # Scoring would start by itself after a training, and refuse the one asked for.
                env={**os.environ, "PATH": path, "MONAI_LABEL_AUTO_UPDATE_SCORING": "false"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Session:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                self.client.info()
                return self
            except (OSError, MONAILabelClientException) as error:
                if self.server.poll() is not None or time.monotonic() > end:
                    self.__exit__()
                    raise RuntimeError(f"the server did not start, see {self.work / 'server.log'}") from error
                time.sleep(0.2)

    def __exit__(self, *_: object) -> None:
        for which in (signal.SIGTERM, signal.SIGKILL):
            if self.server.poll() is None:
                os.killpg(self.server.pid, which)
                try:
                    self.server.wait(20)
                except subprocess.TimeoutExpired:
                    continue

    def infer(self, model: str, image: str, params: dict[str, Any]) -> list[Any]:
        file, answer = self.client.infer(model, image, params)
        if file is not None:
            # The name that the client gives is that of the server's temporary file.
            kept = self.work / f"{len(list(self.work.glob('*_of_*')))}_of_{model}{''.join(Path(file).suffixes)}"
            shutil.move(file, kept)
            file = str(kept)
        return [file, answer]

    def polygons(self, model: str, image: str, form: str) -> str:
        # As QuPath asks; the client has no call for it.
        query = {"image": image, "output": form}
        wsi = {"wsi": json.dumps({"min_poly_area": 1})}
        answer = requests.post(f"{self.url}/infer/wsi_v2/{model}", params=query, data=wsi, timeout=TASK_SECONDS)
        answer.raise_for_status()
        return answer.text

    def label(self, image: str, file: str) -> Any:
        return self.client.save_label(image, file)

    def train(self, model: str, params: dict[str, Any]) -> Any:
        self.client.train_start(model, params)
        end = time.monotonic() + TASK_SECONDS
        while time.monotonic() < end:
            state = self.client.train_status(False)
            if state.get("end_ts"):
                return state
            time.sleep(0.2)
        raise RuntimeError(f"the training of {model} did not end in {TASK_SECONDS} s")

    def score(self, model: str) -> Any:
        # The client has no call for it.
        answer = requests.post(f"{self.url}/scoring/{model}", params={"run_sync": True}, json={}, timeout=TASK_SECONDS)
        answer.raise_for_status()
        return answer.json()

    def info(self) -> Any:
        return self.client.info()


def main(job_file: str) -> None:
    job = json.loads(Path(job_file).read_text())
    results = []
    with Session(job) as session:
        for name, *arguments in job["steps"]:
            begin = time.monotonic()
            results.append(getattr(session, name)(*arguments))
            print(f"{time.monotonic() - begin:6.1f} s  {name} {' '.join(map(str, arguments))[:120]}", flush=True)
    (session.work / "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1])
