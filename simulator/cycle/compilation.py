"""From Verilator's C++ to a shared library; where asked for, the compiler sees it run before it decides."""

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ...cache import cached_build
from ...toolchain import cpu_identity, tool_identity

__all__ = ["Compilation", "run_logged"]

_COMPILER_FLAGS = (
    "-std=gnu++17", "-O3", "-march=native", "-fPIC", "-pthread", "-fvisibility=hidden", "-fno-gnu-unique", "-w",
)  # fmt: skip
_LINKER_FLAGS = ("-shared", "-Wl,-Bsymbolic", "-pthread")
_RECORD = ("-fprofile-generate", "-fprofile-update=single")
_RECORDED = ("-fprofile-use",)
_ONCE = ("-O0",)  # what runs but once
_RUNTIME_DEFINES = ("-DVERILATOR", "-DVM_")
_RUNTIME_OBJECT = "part.o"
_SMALL_BYTES = 50_000  # what takes the compiler less time than the headers do


@dataclass(frozen=True, kw_only=True)
class Compilation:
    """How a model's C++ is compiled.

    Members
    -------
    verilator
        Its path.
    runtime
        The folder of its run-time library.
    flags
        Further ones for the model itself; where it is trained, there are none.
    libraries
        Flags for libraries to link.
    work, log
        Where the compiler runs, and the file that gets what it says.
    """

    compiler: str
    verilator: str
    runtime: Path
    defines: Sequence[str]
    flags: Sequence[str]
    libraries: Sequence[str]
    work: Path
    log: Path

    def build(self, output: Path, harness: Path, library: Path, train: Callable[[Path], object] | None) -> None:
        """Compile what Verilator made in the folder `output`, its run-time library and `harness` to `library`.

        Raises
        ------
        subprocess.CalledProcessError
            The compiler refused it.
        """
        (classes,) = output.glob("*_classes.mk")
        names = _listed(classes.read_text(encoding="utf-8"), "VM_GLOBAL_FAST", "VM_GLOBAL_SLOW")
        made = sorted(output.glob("*.cpp"), key=lambda path: -path.stat().st_size)
        often = [*_joined([path for path in made if not path.stem.endswith("__Slow")], output / "small.cpp"), harness]
        rarely = _joined([path for path in made if path.stem.endswith("__Slow")], output / "small__Slow.cpp")
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            runtime = list(pool.map(self._runtime_object, names))
        rest = [*runtime, *self._objects(output, rarely, _ONCE)]
        if train is not None:
            recording = library.with_name("recording.so")
            objects = self._objects(output, often, (*_RECORD, "-DTILEWRIGHT_RECORDING=1"))
            self._link(recording, [*objects, *rest], _RECORD)
            train(recording)
            recording.unlink()
        objects = self._objects(output, often, _RECORDED if train is not None else self.flags)
        self._link(library, [*objects, *rest], ())

    def _objects(self, output: Path, sources: Sequence[Path], flags: Sequence[str]) -> list[str]:
        """Object files, and beside them what a run records, are named relative to `work`, which is renamed later."""
        includes = ("-I.", f"-I{output.name}", *self._runtime_includes)

        def one(source: Path) -> str:
            target = f"{output.name}/{source.stem}.o"
            command = [self.compiler, *_COMPILER_FLAGS, *flags, *self.defines, *includes, "-c", str(source)]
            run_logged([*command, "-o", target], self.work, self.log)
            return target

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return list(pool.map(one, sources))

    @property
    def _runtime_includes(self) -> tuple[str, ...]:
        return (f"-I{self.runtime}", f"-I{self.runtime / 'vltstd'}")

    def _runtime_object(self, name: str) -> str:
        """A part of the run-time library, which is the same in all models."""
        defines = [define for define in self.defines if define.startswith(_RUNTIME_DEFINES)]
        command = [self.compiler, *_COMPILER_FLAGS, *defines, *self._runtime_includes]
        command += ["-c", str(self.runtime / f"{name}.cpp"), "-o", _RUNTIME_OBJECT]
        key = [tool_identity(self.verilator), tool_identity(self.compiler), cpu_identity(), *command]
        entry = cached_build(key, lambda work: run_logged(command, work, self.log), name=f"verilator-{name}")
        return str(entry / _RUNTIME_OBJECT)

    def _link(self, library: Path, objects: Sequence[str], flags: Sequence[str]) -> None:
        command = [self.compiler, *_LINKER_FLAGS, *flags, "-o", library.name, *objects, *self.libraries]
        run_logged(command, self.work, self.log)


def _joined(sources: Sequence[Path], together: Path) -> list[Path]:
    """The large ones of `sources`, and a file `together` that includes the others."""
    small = [path for path in sources if path.stat().st_size < _SMALL_BYTES]
    together.write_text("".join(f'#include "{path.name}"\n' for path in small), encoding="utf-8")
    return [*(path for path in sources if path not in small), *([together] if small else [])]


def _listed(makefile: str, *variables: str) -> list[str]:
    """Words of makefile variables that are built up over continued lines."""
    words: list[str] = []
    for variable in variables:
        for match in re.finditer(rf"^{variable} \+= \\\n((?:\t.*\n)*)", makefile, re.MULTILINE):
            words += match[1].replace("\\", " ").split()
    return words


def run_logged(command: Sequence[str], work: Path, log: Path) -> None:
    """Run `command` in `work`; what it says is added to `log`.

    Raises
    ------
    subprocess.CalledProcessError
        It failed.
    """
    done = subprocess.run(
        command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(command)}\n{done.stdout}\n")
    done.check_returncode()
