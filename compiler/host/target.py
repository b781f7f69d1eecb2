"""The CPU that code is for."""

from __future__ import annotations

import os
import re
import tempfile
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
        _initialise()
        try:
            target = llvm.Target.from_triple(self.triple)
        except RuntimeError:
            raise TilewrightError(
                f"triple must name a CPU that LLVM knows, such as x86_64-unknown-linux-gnu, not {self.triple!r}"
            ) from None
        cpu = "" if self.cpu == "generic" else self.cpu
        return target.create_target_machine(cpu=cpu, features=self.features, opt=2, reloc="pic", codemodel="small")


@cache
def _require_known(target: Target) -> None:
    """LLVM only warns, on the process's standard error, of a CPU or feature that it does not know.

    Raises
    ------
    TilewrightError
        It does not know one of them.
    """
    module = llvm.parse_assembly(f'target triple = "{target.triple}"\ndefine void @nothing() {{\nret void\n}}')
    kept = os.dup(2)
    with tempfile.TemporaryFile() as heard:
        os.dup2(heard.fileno(), 2)
        try:
            target.machine().emit_object(module)
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        heard.seek(0)
        said = heard.read().decode("utf-8", "replace")
    if (unknown := re.search(r"'(.*?)' is not a recognized (processor|feature)", said)) is not None:
        raise TilewrightError(
            f"{unknown[2]} must be one that LLVM knows for {target.triple}, not {unknown[1]!r}: "
            "leave it out for the generic one"
        )
