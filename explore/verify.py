"""The slow rungs: the Verilog that runs the models bit for bit, and its synthesis."""

from pathlib import Path
from time import process_time

import numpy as np

from ..compiler.compile import compile_graph
from ..config import Config
from ..driver.session import Session
from ..errors import TilewrightError
from ..fpga.families import Family
from ..fpga.synthesis import read_synthesis, require_yosys, synthesis_key, synthesise
from ..hw.verilog import core_verilog
from ..isa.program import Program, Tensor
from ..simulator.agreement import memory_differences
from ..simulator.build import cached_build
from ..simulator.cycle import CycleSimulator
from ..simulator.native import NativeSimulator
from .rungs import Measurement, Rung
from .workload import Workload

__all__ = ["simulated", "synthesised"]

_TOP = "tilewright"


def simulated(workload: Workload, config: Config, seed: int) -> Measurement:
    """Every model run on the Verilog with inputs from `seed`: the cycles that it counts.

    Refused where an output, an on-chip memory or a byte of DRAM differs from the native simulator's.
    """
    began = process_time()
    cycles: dict[str, float] = {}
    for model in workload.models:
        program = compile_graph(model.graph, config)
        count, differences = _run_both(program, seed)
        if differences:
            wrong = f"{config.name} must compute {model.name} as the native simulator does, but {differences[0]}"
            return Measurement(Rung.RTL, refused=wrong, seconds=process_time() - began)
        cycles[f"cycles:{model.name}"] = float(count)
    return Measurement(Rung.RTL, {"cycles": sum(cycles.values()), **cycles}, seconds=process_time() - began)


def _run_both(program: Program, seed: int) -> tuple[int, list[str]]:
    """The Verilog's cycles, and in what it differs from the native simulator."""
    random = np.random.default_rng(seed)
    inputs = {tensor.name: _input(tensor, random) for tensor in program.inputs}
    native = NativeSimulator(program.config)
    with CycleSimulator(program.config) as verilog:
        expected = Session(program, native).run(inputs)
        session = Session(program, verilog)
        found = session.run(inputs)
        cycles = sum(record.counters["cycles"] for record in session.records if record.counters)
        differences = [f"output {name} differs" for name in expected if not _same(expected[name], found[name])]
        differences += memory_differences(native, verilog)
    return cycles, differences


def _same(expected: np.ndarray, found: np.ndarray) -> bool:
    return np.array_equal(expected, found, equal_nan=expected.dtype.kind == "f")


def _input(tensor: Tensor, random: np.random.Generator) -> np.ndarray:
    dtype = np.dtype(tensor.dtype)
    if dtype.kind == "f":
        return random.standard_normal(tensor.shape).astype(dtype)
    if dtype.kind == "b":
        return random.integers(2, size=tensor.shape).astype(dtype)
    limits = np.iinfo(dtype)
    low, high = max(limits.min, -128), min(limits.max, 255 if limits.min == 0 else 127)
    return random.integers(low, high, size=tensor.shape, dtype=dtype, endpoint=True)


def synthesised(config: Config, family: Family) -> Measurement:
    """The resources that Yosys finds; kept in the build cache."""
    began = process_time()
    require_yosys(family)
    verilog = core_verilog(config)

    def build(directory: Path) -> None:
        synthesise(verilog, family, directory, top=_TOP)

    try:
        entry = cached_build(synthesis_key(verilog, family, top=_TOP), build, name=f"area-{family.name}")
    except TilewrightError as error:
        return Measurement(Rung.SYNTHESIS, refused=f"{config.name}: {error}", seconds=process_time() - began)
    synthesis = read_synthesis(entry, family, top=_TOP)
    takes = {name: float(count) for name, count in synthesis.takes.items()}
    return Measurement(Rung.SYNTHESIS, takes, seconds=process_time() - began)
