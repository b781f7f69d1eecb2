"""From Verilator's C++ to a shared library; where asked for, the compiler sees it run before it decides."""

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Compilation", "run_logged"]

_COMPILER_FLAGS = (
    "-std=gnu++17", "-O3", "-march=native", "-fPIC", "-pthread", "-fvisibility=hidden", "-fno-gnu-unique", "-w",
)  # fmt: skip
_LINKER_FLAGS = ("-shared", "-Wl,-Bsymbolic", "-pthread")
_RECORD = ("-fprofile-generate", "-fprofile-update=single")
_RECORDED = ("-fprofile-use",)


@dataclass(frozen=True, kw_only=True)
class Compilation:
    """How a model's C++ is compiled.

    Members
    -------
    runtime
        The folder of Verilator's run-time library.
    libraries
        Flags for libraries to link.
    work, log
        Where the compiler runs, and the file that gets what it says.
    """

    compiler: str
    runtime: Path
    defines: Sequence[str]
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
        often = [*(path for path in made if not path.stem.endswith("__Slow")), harness]
        rarely = [path for path in made if path.stem.endswith("__Slow")]
        rest = self._objects(output, rarely, ("-O1",))
        rest += self._objects(output, [self.runtime / f"{name}.cpp" for name in names], ())
        if train is not None:
            recording = library.with_name("recording.so")
            objects = self._objects(output, often, (*_RECORD, "-DTILEWRIGHT_RECORDING=1"))
            self._link(recording, [*objects, *rest], _RECORD)
            train(recording)
            recording.unlink()
        objects = self._objects(output, often, _RECORDED if train is not None else ())
        self._link(library, [*objects, *rest], ())

    def _objects(self, output: Path, sources: Sequence[Path], flags: Sequence[str]) -> list[str]:
        """Object files, and beside them what a run records, are named relative to `work`, which is renamed later."""
        includes = ("-I.", f"-I{output.name}", f"-I{self.runtime}", f"-I{self.runtime / 'vltstd'}")

        def one(source: Path) -> str:
            target = f"{output.name}/{source.stem}.o"
            command = [self.compiler, *_COMPILER_FLAGS, *flags, *self.defines, *includes, "-c", str(source)]
            run_logged([*command, "-o", target], self.work, self.log)
            return target

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return list(pool.map(one, sources))

    def _link(self, library: Path, objects: Sequence[str], flags: Sequence[str]) -> None:
        command = [self.compiler, *_LINKER_FLAGS, *flags, "-o", library.name, *objects, *self.libraries]
        run_logged(command, self.work, self.log)


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
