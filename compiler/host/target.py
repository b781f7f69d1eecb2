"""The CPU that code is for."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

import llvmlite.binding as llvm

from ...errors import TilewrightError

__all__ = ["Target"]


@cache
def _initialise() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


@dataclass(frozen=True)
class Target:
    """An LLVM triple, CPU name and feature string (``"+avx2,-fma"``)."""

    triple: str
    cpu: str
    features: str

    @classmethod
    def of(cls, triple: str | None = None, cpu: str | None = None, features: str | None = None) -> Target:
        """What is given; the rest is this machine's. For another triple, its generic CPU."""
        native = llvm.get_process_triple()
        triple = triple or native
        if cpu is None and triple == native:
            host = llvm.get_host_cpu_features().flatten() if features is None else features
            target = cls(triple, llvm.get_host_cpu_name(), host)
        else:
            target = cls(triple, cpu or "generic", features or "")
        if cpu or features:
            _require_known(target)
        return target

    def machine(self) -> llvm.TargetMachine:
        """
        Raises
        ------
        TilewrightError
            LLVM has no target for the triple.
        """
        cpu = "" if self.cpu == "generic" else self.cpu
        target = self._architecture()
        return target.create_target_machine(cpu=cpu, features=self.features, opt=2, reloc="pic", codemodel="small")

    def _architecture(self) -> llvm.Target:
        _initialise()
        try:
            return llvm.Target.from_triple(self.triple)
        except RuntimeError:
            raise TilewrightError(
                f"triple must name a CPU that LLVM knows, such as x86_64-unknown-linux-gnu, not {self.triple!r}"
            ) from None


_PROBE = """
import sys
import llvmlite.binding as llvm
triple, cpu, features = sys.argv[1:]
llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
module = llvm.parse_assembly("define void @nothing() { ret void }")
llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features).emit_object(module)
"""


@cache
def _require_known(target: Target) -> None:
    """LLVM only warns of a CPU or feature that it does not know, and ends the process where the two don't go with the
    triple: so a process of its own asks.

    Raises
    ------
    TilewrightError
        It does not know one of them, or they are no CPU of the triple.
    """
    for feature in filter(None, target.features.split(",")):
        if feature[0] not in "+-":
            raise TilewrightError(f"features must each begin with + or -, such as +avx2,-fma, not {feature!r}")
    target._architecture()
    cpu = "" if target.cpu == "generic" else target.cpu
    words = [sys.executable, "-c", _PROBE, target.triple, cpu, target.features]
    asked = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if (unknown := re.search(r"'(.*?)' is not a recognized (processor|feature)", asked.stderr)) is not None:
        raise TilewrightError(
            f"{unknown[2]} must be one that LLVM knows for {target.triple}, not {unknown[1]!r}: "
            "leave it out for the generic one"
        )
    if asked.returncode:
        reason = asked.stderr.partition("\n")[0].removeprefix("LLVM ERROR: ")
        raise TilewrightError(
            f"processor and features must be those of a CPU for {target.triple}, not {target.cpu!r} with "
            f"{target.features!r} ({reason}): name another, or leave them out"
        )
