"""From Verilog to a shared library: Verilator, the harness and the C++ compiler, cached by content."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from ...cache import cache_directory, cached_build
from ...errors import DeviceError
from ...isa.table import Memory
from ...toolchain import cpu_identity, find_tool, source_texts, tool_identity
from .compilation import Compilation, run_logged
from .dispatch import take_over
from .shell import SHELL, Probe, both_edges, gated_parts, shell_clocks, shell_verilog

__all__ = ["TOP", "Array", "Emitted", "Probe", "build_model"]

TOP = "tilewright"
_LIBRARY = "model.so"
_LOG = "build.log"
_OUTPUT = "verilated"
_BUILD = ("compilation", "training", "dispatch", "laziness", "generated")
_HARNESS = resources.files(__package__) / "harness"

_MODULE = re.compile(r"\s*module \\?([^\s(;]+)")
_ARRAY = re.compile(r"\s*reg \[\d+:0\] \\?([^\s\[]+) +\[\d+:0\];")
_REPEATED = re.compile(r"(?P<part>\\?[^\s,{}()\\]+(?: ?\[\d+(?::\d+)?\])?)(?:, (?P=part)(?=[,\s}]))+")

_VERILATOR_FLAGS = (
    "--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "--output-split", "10000",
    "-Wno-fatal", "-Wno-WIDTH", "-Wno-CASEINCOMPLETE",
)  # fmt: skip
_SLOW_ANYWAY = ("-O1",)  # a waveform takes most of the time: an eighth slower, and built a fifth sooner


@dataclass(frozen=True)
class Array:
    """A bank of an on-chip memory: `words` words of `word_bytes`.

    Members
    -------
    path
        Instance names below the top, then the array's own name, as in the Verilog.
    """

    memory: Memory
    row: int
    bank: int
    path: tuple[str, ...]
    words: int
    word_bytes: int

    @property
    def instance(self) -> str:
        """Hierarchical name of the instance that holds it, which is also its module's name."""
        return ".".join((TOP, *self.path[:-1]))

    @property
    def name(self) -> str:
        return self.path[-1]


@dataclass(frozen=True)
class Emitted:
    """Verilog text with the top module ``tilewright``, and its on-chip memories.

    Members
    -------
    twins
        Verilog of modules that are used in it in place of its data path; the arrays are then the harness's own.
    probes
        What the harness looks at in it.
    constants
        What the harness must know of the core.
    """

    verilog: str
    arrays: tuple[Array, ...]
    twins: str = ""
    probes: tuple[Probe, ...] = ()
    constants: Mapping[str, int] = field(default_factory=dict)


def build_model(
    emitted: Emitted,
    *,
    bus_bytes: int,
    waveform: str | None = None,
    threads: int = 1,
    name: str = "cycle",
    surroundings: Traversable = _HARNESS,
    train: Callable[[Path], object] | None = None,
) -> Path:
    """The shared library that simulates `emitted`.

    Parameters
    ----------
    surroundings
        The folder of the C++ around the Verilog; its harness.cpp is compiled.
    waveform
        ``"fst"``, ``"vcd"`` or None: the format that this simulator can write.
    train
        Runs what is typical on the library that it is given; GCC then optimises for that. Builds take longer.

    Raises
    ------
    DeviceError
        Verilator or a C++ compiler is missing, or the build fails; the message names the log.
    """
    purpose = "the cycle simulator"
    verilator = find_tool(["verilator"], purpose=purpose, package="verilator")
    compiler = find_tool([os.environ.get("CXX") or "g++", "c++"], purpose=purpose, package="g++")
    harness = {
        item.name: item.read_bytes()
        for item in sorted(surroundings.iterdir(), key=lambda item: item.name)
        if item.is_file()
    }
    text = _prepared(emitted.verilog, () if emitted.twins else emitted.arrays) + emitted.twins
    shell = surroundings is _HARNESS
    if shell:
        text += shell_verilog(emitted.verilog, TOP, emitted.probes)
    both = shell and waveform is None and "negedge" not in text and ", posedge" not in text
    if both:
        text = both_edges(text)
    parts = gated_parts(emitted.verilog, TOP)
    constants = {"BUS_BYTES": bus_bytes, "BOTH_EDGES": int(both), **emitted.constants}
    flags, defines = _verilator_flags(waveform, threads), _defines(constants, parts, waveform)
    tools = (tool_identity(verilator), tool_identity(compiler), cpu_identity(), Path(__file__).read_bytes())
    trained = train if "Free Software Foundation" in tool_identity(compiler) else None
    sources = source_texts(*(f"simulator/cycle/{part}.py" for part in _BUILD))
    key: list[bytes | str] = [text, *tools, *flags, *defines, *harness.values(), *sources, str(trained is not None)]

    def build(work: Path) -> None:
        (work / f"{TOP}.v").write_text(text, encoding="utf-8")
        for file_name, data in harness.items():
            (work / file_name).write_bytes(data)
        log = work / _LOG
        try:
            names = ("--top-module", SHELL if shell else TOP, "--prefix", f"V{TOP}", "--Mdir", _OUTPUT)
            run_logged([verilator, *flags, *names, f"{TOP}.v"], work, log)
            if both and threads == 1:
                take_over(work / _OUTPUT, shell_clocks(emitted.verilog, TOP))
            compilation = Compilation(
                compiler=compiler,
                verilator=verilator,
                runtime=_verilator_root(verilator) / "include",
                defines=defines,
                flags=_SLOW_ANYWAY if waveform else (),
                libraries=("-lz",) if waveform == "fst" else (),
                work=work,
                log=log,
            )
            compilation.build(work / _OUTPUT, work / "harness.cpp", work / _LIBRARY, trained)
        except subprocess.CalledProcessError as error:
            kept = cache_directory() / f"{name}.log"
            shutil.copyfile(log, kept)
            tool = Path(error.cmd[0]).name
            raise DeviceError(f"{tool} must build the cycle simulator, but failed: see {kept}") from None
        shutil.rmtree(work / _OUTPUT)

    return cached_build(key, build, name=name) / _LIBRARY


def _verilator_flags(waveform: str | None, threads: int) -> tuple[str, ...]:
    trace = {None: (), "fst": ("--trace-fst",), "vcd": ("--trace",)}[waveform]
    return (*_VERILATOR_FLAGS, *trace, *(("--threads", str(threads)) if threads > 1 else ()))


def _defines(constants: Mapping[str, int], parts: Sequence[str], waveform: str | None) -> tuple[str, ...]:
    """What Verilator's own makefile would define, and the harness's own."""
    wanted = {
        **{f"TILEWRIGHT_{name}": value for name, value in constants.items()},
        "TILEWRIGHT_GATED(each)": " ".join(f"each({part})" for part in parts if part != "sample"),
        "VERILATOR": 1,
        "VM_COVERAGE": 0,
        "VM_SC": 0,
        "VM_TRACE": int(waveform is not None),
        "VM_TRACE_FST": int(waveform == "fst"),
        "VM_TRACE_VCD": int(waveform == "vcd"),
    }
    if waveform:
        wanted[f"TILEWRIGHT_WAVE_{waveform.upper()}"] = 1
    return tuple(f"-D{key}={value}" for key, value in wanted.items())


def _prepared(verilog: str, arrays: Sequence[Array]) -> str:
    """Made ready for Verilator.

    The memory arrays, and nothing else, are kept by name. Yosys writes a sign extension bit by bit, and
    Verilator would compute it so: repeated parts of a concatenation become replications.
    """
    wanted = {(array.instance, array.name) for array in arrays}
    found = set()
    module = ""
    lines = []
    for line in verilog.splitlines():
        if started := _MODULE.match(line):
            module = started[1]
        elif (declared := _ARRAY.match(line)) and (module, declared[1]) in wanted:
            found.add((module, declared[1]))
            line = line.rstrip().removesuffix(";") + " /*verilator public_flat_rd*/;"
        elif "{" in line:
            line = _REPEATED.sub(_replication, line)
        lines.append(line)
    if missing := sorted(wanted - found):
        raise DeviceError(f"the Verilog must have the memory array {'.'.join(missing[0])}")
    return "\n".join(lines) + "\n"


def _replication(match: re.Match[str]) -> str:
    count = match[0].count(", ") + 1
    return f"{{{count}{{{match['part']}}}}}" if count > 2 else match[0]


def _verilator_root(verilator: str) -> Path:
    said = subprocess.run([verilator, "--getenv", "VERILATOR_ROOT"], capture_output=True, text=True, check=True)
    return Path(said.stdout.strip())
