"""The quick rungs: what a point costs by closed form and by the timing model, with schedules searched for or not."""

from collections.abc import Mapping
from contextlib import nullcontext

import numpy as np

from ..compiler.assemble import assemble_core
from ..compiler.graph import Graph
from ..compiler.ops import find_operator
from ..compiler.passes.manager import run_passes
from ..compiler.pipeline import passes_for
from ..config import Config
from ..errors import TilewrightError
from ..fpga.boards import Board
from ..fpga.system_area import system_estimate
from ..simulator.timing.bound import Demand, demand_of, lower_bound
from ..simulator.timing.model import TimingModel
from ..simulator.timing.program import time_program
from .clock import estimate_fmax
from .energy import run_energy
from .rungs import Measurement, Rung, cpu_seconds
from .schedules import tuner
from .workload import Workload, WorkloadModel

__all__ = ["closed_form", "timed"]


def closed_form(workload: Workload, config: Config, board: Board) -> Measurement:
    """Area and clock by formula; no more cycles, bytes and energy than the point can ever reach.

    Cycles: the longer of all multiply-accumulates at as many a cycle as matrix and vector engine do together, and all
    weights over the bus (`simulator.timing.bound` for the rest).
    """
    began = cpu_seconds()
    quantities = _hardware(config, board)
    try:
        graphs = {model.name: run_passes(model.graph, passes_for(config)) for model in workload.models}
    except TilewrightError as error:
        return Measurement(Rung.CLOSED_FORM, refused=str(error), seconds=cpu_seconds() - began)
    found = {name: _least(graph, config) for name, graph in graphs.items()}
    return Measurement(Rung.CLOSED_FORM, quantities | _sums(found), seconds=cpu_seconds() - began)


def timed(workload: Workload, config: Config, *, tune: bool = False) -> Measurement:
    """Each model compiled for the point, and its exact cycles by the timing model.

    Parameters
    ----------
    tune
        With the best schedules that a search finds, instead of heuristic ones.
    """
    rung = Rung.TUNED if tune else Rung.TIMING
    began = cpu_seconds()
    found = {}
    try:
        model = TimingModel(config, shared=True)
        for item in workload.models:
            found[item.name] = _run(item, config, model, tune)
    except TilewrightError as error:
        return Measurement(rung, refused=f"{config.name}: {error}", seconds=cpu_seconds() - began)
    return Measurement(rung, _sums(found), seconds=cpu_seconds() - began)


def _hardware(config: Config, board: Board) -> dict[str, float]:
    takes = {name: float(count) for name, count in system_estimate(config, board).items()}
    return {**takes, "fmax": estimate_fmax(config)}


def _run(item: WorkloadModel, config: Config, model: TimingModel, tune: bool) -> dict[str, float]:
    lowered = run_passes(item.graph, passes_for(config))
    with tuner(item.name) if tune else nullcontext() as scheduler:
        schedule = None if scheduler is None else scheduler(lowered, config)
    program = assemble_core(lowered, config, schedule).program
    result = dict.fromkeys(("cycles", "bytes_read", "bytes_written", "energy"), 0.0)
    for run in time_program(program, model=model):
        counters = run.timing.counters
        demand = demand_of(program.instructions[run.run.first : run.run.first + run.run.count], config)
        result["cycles"] += counters["cycles"]
        result["bytes_read"] += counters["bytes_read"]
        result["bytes_written"] += counters["bytes_written"]
        result["energy"] += run_energy(
            config,
            gemm_points=int(demand.gemm_points),
            vector_steps=int(demand.vector_steps),
            dram_bytes=counters["bytes_read"] + counters["bytes_written"],
        )
    return result | {"macs": float(_macs(lowered))}


def _least(graph: Graph, config: Config) -> dict[str, float]:
    """Less than any schedule of `graph` takes."""
    macs, weights = _macs(graph), _weight_bytes(graph)
    points = macs // (config.macs_per_cycle + config.rows * config.vector_lanes)
    words = weights // config.bus_bytes
    cycles = int(lower_bound(config, Demand(vector_steps=points, load_words=words)))
    energy = run_energy(config, gemm_points=0, vector_steps=0, dram_bytes=weights)
    found = {"cycles": cycles, "bytes_read": weights, "bytes_written": 0, "energy": energy, "macs": macs}
    return {name: float(value) for name, value in found.items()}


def _macs(graph: Graph) -> int:
    """Of the accelerator."""
    total = 0
    for node in graph.nodes:
        if node.target == "accelerator":
            results = [graph.values[name] for name in node.outputs]
            total += find_operator(node).macs(node, graph.arguments(node), results)
    return total


def _weight_bytes(graph: Graph) -> int:
    """Bytes of int8 constants that layers with multiply-accumulates on the accelerator read."""
    names = {
        name
        for node in graph.nodes
        if node.target == "accelerator"
        and find_operator(node).macs(node, graph.arguments(node), [graph.values[out] for out in node.outputs])
        for name in node.inputs
    }
    constants = (graph.constant(name) for name in names)
    return sum(data.nbytes for data in constants if data is not None and data.dtype == np.int8)


def _sums(found: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Over all models, and the cycles of each."""
    names = dict.fromkeys(name for one in found.values() for name in one)
    total = {name: sum(one[name] for one in found.values()) for name in names}
    return total | {f"cycles:{model}": one["cycles"] for model, one in found.items()}
