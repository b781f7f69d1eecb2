"""The models that hardware is searched for."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..compiler.compile import import_model
from ..compiler.graph import Graph
from ..errors import TilewrightError
from ..files import require_file

__all__ = ["Workload", "WorkloadModel"]


@dataclass(frozen=True)
class WorkloadModel:
    """One model's file.

    Members
    -------
    name
        Of the file, without its suffix.
    digest
        SHA-256 of its content.
    """

    name: str
    path: Path
    digest: str

    @property
    def graph(self) -> Graph:
        """As the file has it. A file that has changed since the search began is refused."""
        return _graph(self.path, self.digest)


@dataclass(frozen=True)
class Workload:
    """Models that run one after the other, each once."""

    models: tuple[WorkloadModel, ...]

    @classmethod
    def read(cls, paths: Sequence[Path]) -> "Workload":
        """
        Raises
        ------
        TilewrightError
            There is none, one does not exist, or two have one name.
        """
        if not paths:
            raise TilewrightError("the search must have at least one model to find hardware for")
        for path in paths:
            _require(path)
        models = tuple(WorkloadModel(path.stem, path.absolute(), _digest(path)) for path in paths)
        names = [model.name for model in models]
        for name in names:
            if names.count(name) > 1:
                raise TilewrightError(f"model {name} must be given once, not {names.count(name)} times; rename a file")
        return cls(models)

    @property
    def key(self) -> str:
        """16 hexadecimal digits that stand for the models' contents."""
        return hashlib.sha256(" ".join(sorted(model.digest for model in self.models)).encode()).hexdigest()[:16]


@lru_cache(maxsize=8)
def _graph(path: Path, digest: str) -> Graph:
    _require(path)
    if _digest(path) != digest:
        raise TilewrightError(f"model {path} must not change while hardware is searched for it, but has")
    return import_model(path)


def _require(path: Path) -> None:
    require_file(path, "model", error=TilewrightError, way_out="give an ONNX or TFLite file")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
