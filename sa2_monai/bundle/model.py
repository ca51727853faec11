# SPDX-License-Identifier: Apache-2.0
"""What a bundle in memory is: its folder, weights, settings and network; what it does is in ``loaded``."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from sa2_monai.bundle.ensemble.open import ensemble_in, is_ensemble
from sa2_monai.bundle.locate import bundle_of_weights, find_bundle, find_config, load
from sa2_monai.bundle.network import metadata_of, ready_network
from sa2_monai.bundle.packaging.large_files import missing_weights
from sa2_monai.bundle.sidecar import Sidecar, apply_settings, read_sidecar
from sa2_monai.bundle.trust.consent import came_from, trust_if
from sa2_monai.bundle.unzip import extract_bundle
from sa2_monai.bundle.workflow import choose_device, sees_volumes
from sa2_monai.io.digest import remembered_sha256
from sa2_monai.io.kinds import current_word
from sa2_monai.weights import starter_file, weight_file

__all__ = ["BundleModel"]


class BundleModel:
    """A bundle and its weights; see :func:`~sa2_monai.bundle.load_bundle` for the arguments.

    Attributes:
        root: folder of the bundle.
        weights: file of the weights; ``None`` as long as there are none.
        device: where the network runs.
        name: name of the network.
    """

    def __init__(
        self,
        path_or_name: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        weights: str | os.PathLike[str] | None = None,
        device: str | None = None,
        trust: bool = False,
    ) -> None:
        paths = [path_or_name] if isinstance(path_or_name, (str, os.PathLike)) else list(path_or_name)
        if weights is None and len(paths) == 1 and starter_file(paths[0]) is not None:
            paths, weights = [bundle_of_weights(paths[0])], paths[0]
        several = is_ensemble(paths)
        if several and weights is not None:
            raise ValueError("weights are those of one bundle; an ensemble has its own")
        found = Path() if several else find_bundle(paths[0])
        self._trust = trust
        self.device = choose_device(device)
        self.is_temporary = several or found.is_file()
        # What another process, started in another folder, finds it by.
        self._paths = [_lasting(path) for path in paths] if several else [found]
        # Unlike TemporaryDirectory it does not complain when nobody closes it.
        self._scratch = Path(tempfile.mkdtemp(prefix="sa2_monai_")).resolve()
        self._remove = weakref.finalize(self, _remove_scratch, self._scratch, os.getpid())
        self._building = threading.Lock()
        self._trust_if_told(self._scratch, *(paths if several else [found]))
        if several:
            self.root = ensemble_in(paths, self._scratch)
        else:
            self.root = extract_bundle(found, self._scratch / "bundle") if self.is_temporary else found
            came_from(self.root, found)
        own = self.root / "models" / "model.pt"
        weights = None if weights is None else weight_file(weights)
        if weights is not None and not weights.is_file():
            raise FileNotFoundError(f"{weights}: no such weights. Give the file of trained weights.")
        self.weights: Path | None = None
        if weights is not None or own.is_file():
            self._use_weights(Path(weights or own).resolve())
        else:
            self._sidecar = Sidecar({}, self.root.name, None)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r}, weights={str(self.weights)!r}, device={self.device!r})"

    @property
    def name(self) -> str:
        """Name of the network."""
        return self._sidecar.network

    @property
    def settings(self) -> dict[str, Any]:
        """What the weights say about themselves: channels, classes, how the network sees an image."""
        return dict(self._sidecar.settings)

    @property
    def metadata(self) -> dict[str, Any]:
        """Content of the bundle's ``metadata.json``."""
        return metadata_of(self.root)

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, background first; their numbers are the values of label maps."""
        names = self._sidecar.settings.get("class_names")
        return list(names if names is not None else self._inference_config()["class_names"])

    @property
    def sees_volumes(self) -> bool:
        """Whether images are volumes, not images."""
        return sees_volumes(self._inference_config(), self._sidecar.settings)

    @property
    def kind(self) -> str:
        """Kind of the files that it was made for: ``"images"``, ``"volumes"`` or ``"preprocessed"``."""
        if not self.sees_volumes:
            return "images"
        config = self._inference_config()
        return "preprocessed" if current_word(config.get("kind")) == "preprocessed" else "volumes"

    def network(self, dropout: float | None = None) -> nn.Module:
        """The network with its weights, on the device, in evaluation mode; built once.

        Args:
            dropout: rate for dropout samples; that of the configuration by default.
        """
        weights = self._trained_weights()
        built = (remembered_sha256(weights), dropout)
        with self._building:
            if self._network is None or self._network[0] != built:
                config = {**self._inference_config(), **({} if dropout is None else {"dropout": dropout})}
                self._network = (built, ready_network(config, weights, self.device))
            return self._network[1]

    def close(self) -> None:
        """Let go of the network and of all temporary files; it cannot be used any more. A second call does nothing."""
        self._network = None
        self._remove()

    def _trust_if_told(self, *paths: str | os.PathLike[str]) -> None:
        """What ``trust=True`` is about: the bundle, and configurations that are used with it."""
        trust_if(self._trust, *paths)

    def _inference_config(self) -> dict[str, Any]:
        """Content of ``configs/inference.yaml``, by id, with the settings of the weights in place of its own."""
        if self._config is None:
            self._config = load(find_config(self.root, "inference"))
        return apply_settings(self._config, self._sidecar)

    def _use_weights(self, weights: Path) -> None:
        """Take other weights from now on.

        Args:
            weights: their file.

        Raises:
            ValueError: a damaged sidecar, or weights of another network.
        """
        self._sidecar = read_sidecar(weights, self.root.name)
        self.weights = weights

    def _trained_weights(self) -> Path:
        """The file of the weights.

        Raises:
            FileNotFoundError: there are none.
            ValueError: it is closed.
        """
        self._check_open()
        if self.weights is None:
            file = self.root / "models" / "model.pt"
            raise FileNotFoundError(f"{self.root} has no models/model.pt. {missing_weights(file, 'weights=FILE')}")
        return self.weights

    def _run_folder(self, what: str) -> Path:
        """A new temporary folder, which goes with this object; no two threads or forked processes get the same.

        Args:
            what: begins its name.

        Raises:
            ValueError: it is closed.
        """
        self._check_open()
        return Path(tempfile.mkdtemp(prefix=f"{what}_", dir=self._scratch))

    def _check_open(self) -> None:
        if not self._remove.alive:
            raise ValueError(f"{self!r} is closed. Load the bundle again.")

    _network: tuple[tuple[str, float | None], nn.Module] | None = None
    _config: dict[str, Any] | None = None


def _lasting(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """A path that means the same in every working directory; the name of a bundle stays a name."""
    return os.path.abspath(path) if os.path.exists(path) else path


def _remove_scratch(folder: Path, owner: int) -> None:
    """Remove a temporary folder, but not at the end of a forked process, whose parent still uses it."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
