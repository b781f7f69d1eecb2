"""The slow rungs: the Verilog that runs the models bit for bit, and its synthesis."""

from pathlib import Path

import numpy as np

from ..cache import cached_build
from ..compiler.compile import compile_graph
from ..config import Config
from ..driver.session import Session
from ..errors import DeviceError, TilewrightError
from ..fpga.bitstream import require_tools as require_board_tools
from ..fpga.bitstream import route_system, synthesise_system
from ..fpga.board_system import usual_system
from ..fpga.boards import Board
from ..fpga.families import FAMILIES, Resources
from ..fpga.synthesis import read_synthesis, require_yosys, synthesis_key, synthesise
from ..hw.verilog import core_verilog
from ..isa.program import Program, Tensor
from ..simulator.agreement import memory_differences
from ..simulator.cycle import CycleSimulator
from ..simulator.native import NativeSimulator
from ..toolchain import find_tool
from .rungs import Measurement, Rung, cpu_seconds
from .schedules import tuner
from .workload import Workload

__all__ = ["require_tools", "routed", "simulated", "synthesised"]

_SEEDS = (1, 2)
_TOP = "tilewright"


def require_tools(board: Board, *, routed: bool = False) -> None:
    """Raise DeviceError where a tool is missing without which no point could be verified, or `routed`."""
    require_yosys(FAMILIES[board.family])
    find_tool(["verilator"], purpose="verification", package="verilator")
    if routed or board.platform:
        require_board_tools(board)


def simulated(workload: Workload, config: Config, seed: int) -> Measurement:
    """Every model run on the Verilog with inputs from `seed`: the cycles that it counts.

    Refused where an output, an on-chip memory or a byte of DRAM differs from the native simulator's.
    """
    began = cpu_seconds()
    cycles: dict[str, float] = {}
    try:
        for model in workload.models:
            with tuner(model.name) as scheduler:
                program = compile_graph(model.graph, config, scheduler=scheduler)
            count, differences = _run_both(program, seed)
            if differences:
                raise DeviceError(f"{model.name} must run as on the native simulator, but {differences[0]}")
            cycles[f"cycles:{model.name}"] = float(count)
    except TilewrightError as error:
        return Measurement(Rung.RTL, refused=f"{config.name}: {error}", seconds=cpu_seconds() - began)
    return Measurement(Rung.RTL, {"cycles": sum(cycles.values()), **cycles}, seconds=cpu_seconds() - began)


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


def synthesised(config: Config, board: Board) -> Measurement:
    """The resources that Yosys finds for the whole system, or for the core where the board gets no bitstream.

    Kept in the build cache, where a bitstream finds them.
    """
    began = cpu_seconds()
    try:
        takes = synthesise_system(config, usual_system(board), board).takes if board.platform else _core(config, board)
    except TilewrightError as error:
        return Measurement(Rung.SYNTHESIS, refused=f"{config.name}: {error}", seconds=cpu_seconds() - began)
    quantities = {name: float(count) for name, count in takes.items()}
    return Measurement(Rung.SYNTHESIS, quantities, seconds=cpu_seconds() - began)


def _core(config: Config, board: Board) -> Resources:
    family, verilog = FAMILIES[board.family], core_verilog(config)

    def build(directory: Path) -> None:
        synthesise(verilog, family, directory, top=_TOP)

    entry = cached_build(synthesis_key(verilog, family, top=_TOP), build, name=f"area-{family.name}")
    return read_synthesis(entry, family, top=_TOP).takes


def routed(config: Config, board: Board) -> Measurement:
    """The clock that nextpnr reaches for the whole system on the board, the better of two seeds; kept in the cache."""
    began = cpu_seconds()
    try:
        report = route_system(config, usual_system(board), board, seeds=_SEEDS, jobs=1)[1]
    except TilewrightError as error:
        return Measurement(Rung.ROUTED, refused=f"{config.name}: {error}", seconds=cpu_seconds() - began)
    share, clock = report.best.slowest
    return Measurement(
        Rung.ROUTED, {"fmax": share * report.best.wanted_mhz[clock] * 1e6}, seconds=cpu_seconds() - began
    )
