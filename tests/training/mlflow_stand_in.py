# SPDX-License-Identifier: Apache-2.0
"""What of MLflow a bundle uses, kept in memory, with MLflow's own rules about runs and parameters."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, NamedTuple


class Param(NamedTuple):
    key: str
    value: str


class Metric(NamedTuple):
    key: str
    value: float
    timestamp: int
    step: int


class Server:
    """All experiments of one address."""

    def __init__(self) -> None:
        self.experiments: dict[str, Any] = {}
        self.runs: list[Any] = []
        self.artifacts: dict[str, list[str]] = {}
        self.history: dict[str, list[Metric]] = {}


class MlflowClient:
    servers: dict[str | None, Server] = {}

    def __init__(self, tracking_uri: str | None = None) -> None:
        self.tracking_uri = tracking_uri
        self.server = self.servers.setdefault(tracking_uri, Server())

    def get_experiment_by_name(self, name: str) -> Any:
        return self.server.experiments.get(name)

    def create_experiment(self, name: str, artifact_location: str | None = None) -> str:
        number = str(len(self.server.experiments) + 1)
        self.server.experiments[name] = types.SimpleNamespace(
            experiment_id=number, name=name, lifecycle_stage="active", artifact_location=artifact_location
        )
        return number

    def get_experiment(self, number: str) -> Any:
        return next(e for e in self.server.experiments.values() if e.experiment_id == number)

    def create_run(self, experiment_id: str, run_name: str | None = None) -> Any:
        number = f"run{len(self.server.runs)}"
        info = types.SimpleNamespace(run_id=number, run_name=run_name, status="RUNNING", experiment_id=experiment_id)
        data = types.SimpleNamespace(params={}, tags={}, metrics={})
        self.server.runs.append(types.SimpleNamespace(info=info, data=data))
        self.server.artifacts[number], self.server.history[number] = [], []
        return self.server.runs[-1]

    def get_run(self, run_id: str) -> Any:
        return next(run for run in self.server.runs if run.info.run_id == run_id)

    def search_runs(self, experiment_ids: Any) -> list[Any]:
        return [run for run in reversed(self.server.runs) if run.info.experiment_id in experiment_ids]

    def update_run(self, run_id: str, status: str) -> None:
        self.get_run(run_id).info.status = status

    set_terminated = update_run

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self.get_run(run_id).data.tags[key] = value

    def log_batch(self, run_id: str, metrics: Any, params: Any, tags: Any) -> None:
        data = self.get_run(run_id).data
        assert len(params) <= 100
        assert len(metrics) <= 1000
        for param in params:
            known = data.params.setdefault(param.key, param.value)
            assert known == param.value, f"MLflow refuses another value of the parameter {param.key}"
        for metric in metrics:
            data.metrics[metric.key] = float(metric.value)
            self.server.history[run_id].append(metric)

    def get_metric_history(self, run_id: str, key: str) -> list[Metric]:
        return [metric for metric in self.server.history[run_id] if metric.key == key]

    def log_artifact(self, run_id: str, path: str) -> None:
        assert Path(path).is_file()
        self.server.artifacts[run_id].append(Path(path).name)

    def log_artifacts(self, run_id: str, folder: str, artifact_path: str) -> None:
        self.server.artifacts[run_id] += [f"{artifact_path}/{file.name}" for file in Path(folder).iterdir()]

    def list_artifacts(self, run_id: str, path: str | None = None) -> list[Any]:
        names = self.server.artifacts[run_id]
        if path is None:
            tops = dict.fromkeys(name.split("/")[0] for name in names)
            return [types.SimpleNamespace(path=name, is_dir=name not in names) for name in tops]
        return [types.SimpleNamespace(path=name, is_dir=False) for name in names if name.startswith(f"{path}/")]


class RunStatus:
    FINISHED = "FINISHED"
    to_string = staticmethod(str)


def make() -> Any:
    """The module, without any run."""
    MlflowClient.servers = {}
    stage = types.SimpleNamespace(ACTIVE="active")
    entities = types.SimpleNamespace(Param=Param, Metric=Metric, LifecycleStage=stage, RunStatus=RunStatus)
    return types.SimpleNamespace(MlflowClient=MlflowClient, entities=entities)
