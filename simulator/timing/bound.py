"""A closed form: cycles below which a schedule cannot end, for a million schedules a second and more.

It never exceeds what the timing model says, so a schedule whose bound is above the best time found so far can be
dropped unseen. It knows how much each engine has to do, and what must come before the first product and after the last;
not in what order, nor who waits for whom in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...config import Config
from ...isa.columns import column, opcodes, raw_instructions
from ...isa.instruction import Instruction
from ...isa.memories import memory_shape
from ...isa.table import GEMM_DIMS, INSTRUCTION_BYTES, INSTRUCTIONS, TRANSFER_DIMS, VECTOR_DIMS, Memory, Opcode
from .model import DEFAULT_LATENCY

__all__ = ["Demand", "demand_of", "lower_bound"]

# Cycles that pass even where nothing else happens; the components of hw/ in which they do stand beside them.
_TO_START = 8  # prefetch, assembler, legality, queue: from the first instruction's last word to its start
_LOAD_TO_USE = 10  # runs, bursts, port, steps, tokens: without the latency and the words
_STORE_TO_END = 15  # runs, bursts, steps, port: the same
_VECTOR_TO_END = 20  # the pipeline, its queue, retirement
_GEMM_TO_END = 5  # operands, update, retirement: without products and sums; the write is announced ahead
_WRITES_OUTSTANDING = 8

Numbers = np.ndarray | int


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What schedules ask of the engines: arrays of one shape, one element a schedule, or numbers for all of them.

    Parameters
    ----------
    gemm_points
        Products, in points of GEMM nests.
    vector_steps
        Points of VECTOR nests, times ``block_out / vector_lanes``.
    load_words, load_bursts
        Bus words that are loaded, and the least number of bursts for them.
    store_words, store_bursts
        The same of what is stored.
    instructions
        With FINISH; each is fetched over the same bus.
    words_before
        Bus words that must have been loaded before the first product.
    steps_after, words_after
        Steps of the vector engine that need the last product, and bus words stored that need those.
    """

    gemm_points: Numbers = 0
    vector_steps: Numbers = 0
    load_words: Numbers = 0
    load_bursts: Numbers = 0
    store_words: Numbers = 0
    store_bursts: Numbers = 0
    instructions: Numbers = 1
    words_before: Numbers = 0
    steps_after: Numbers = 0
    words_after: Numbers = 0


def lower_bound(config: Config, demand: Demand, *, latency: int = DEFAULT_LATENCY) -> np.ndarray:
    """Cycles that each schedule takes at least; int64, in the shape of the demand's arrays.

    Formula: the first instruction's arrival, and then the longest of: all words over the bus; read bursts through
    `reads_outstanding` places and write bursts through theirs, each held for the latency and its words; the vector
    engine's steps; words stored; the loads before the first product, the products, and what follows the last.
    """
    fetched = np.asarray(demand.instructions) * (8 * INSTRUCTION_BYTES // config.bus_bits)
    words = demand.load_words + fetched
    start = latency + _TO_START + 8 * INSTRUCTION_BYTES // config.bus_bits
    products = np.asarray(demand.gemm_points) + (_GEMM_TO_END + _array_latency(config))
    before = np.where(np.asarray(demand.words_before) > 0, demand.words_before + latency + _LOAD_TO_USE, 0)
    after = np.where(np.asarray(demand.steps_after) > 0, demand.steps_after + _VECTOR_TO_END, 0)
    stored = np.asarray(demand.words_after)
    after = after + np.where(stored > 0, stored + latency + _STORE_TO_END, 0)
    serial = before + np.where(np.asarray(demand.gemm_points) > 0, products, 0) + after
    reading = _through_places(demand.load_bursts, demand.load_words, config, config.reads_outstanding, latency + 1)
    writing = _through_places(demand.store_bursts, demand.store_words, config, _WRITES_OUTSTANDING, latency + 2)
    longest = serial
    for each in (demand.vector_steps, demand.store_words, reading, writing):
        longest = np.maximum(longest, each)
    bound: np.ndarray = np.maximum(start + longest, latency + words)
    return bound.astype(np.int64)


def _through_places(bursts: Numbers, words: Numbers, config: Config, places: int, held: int) -> np.ndarray:
    """A burst begins when the one `places` before it has ended, `held` cycles and its words later."""
    rest = np.maximum(np.asarray(bursts) - places, 0) * held
    return np.asarray((rest + np.maximum(np.asarray(words) - places * config.burst_beats, 0)) // places)


def _array_latency(config: Config) -> int:
    """Registers of the multiplier array: products, and an adder tree of four inputs a level."""
    levels, terms = 1, config.block_in
    while terms > 1:
        terms, levels = -(-terms // 4), levels + 1
    return levels


def demand_of(instructions: Sequence[Instruction] | np.ndarray, config: Config) -> Demand:
    """What a program asks for, up to its FINISH; nothing of what comes before or after products."""
    raw = raw_instructions(instructions)
    kinds = opcodes(raw)
    ends = np.flatnonzero(kinds == Opcode.FINISH)
    if len(ends):
        raw, kinds = raw[: ends[0] + 1], kinds[: ends[0] + 1]
    passes = config.block_out // config.vector_lanes
    load_words, load_bursts = _transfers(raw[kinds == Opcode.LOAD], Opcode.LOAD, config)
    store_words, store_bursts = _transfers(raw[kinds == Opcode.STORE], Opcode.STORE, config)
    return Demand(
        gemm_points=int(_points(raw[kinds == Opcode.GEMM], Opcode.GEMM, GEMM_DIMS).sum()),
        vector_steps=int(_points(raw[kinds == Opcode.VECTOR], Opcode.VECTOR, VECTOR_DIMS).sum()) * passes,
        load_words=load_words,
        load_bursts=load_bursts,
        store_words=store_words,
        store_bursts=store_bursts,
        instructions=len(raw),
    )


def _points(raw: np.ndarray, opcode: Opcode, dims: int) -> np.ndarray:
    spec = next(spec for spec in INSTRUCTIONS if spec.opcode is opcode)
    points = np.ones(len(raw), np.int64)
    for d in range(dims):
        points *= column(raw, spec, f"bound{d}")
    return points


def _transfers(raw: np.ndarray, opcode: Opcode, config: Config) -> tuple[int, int]:
    """Bus words, and bursts where every run begins at a bus word and crosses no page more than it must."""
    spec = next(spec for spec in INSTRUCTIONS if spec.opcode is opcode)
    cells = np.array([memory_shape(config, memory).cell_bytes for memory in Memory], np.int64)
    run = column(raw, spec, f"bound{TRANSFER_DIMS - 1}")
    words = -(-run * cells[column(raw, spec, "memory")] // config.bus_bytes)
    runs = _points(raw, opcode, TRANSFER_DIMS) // np.maximum(run, 1)
    return int((runs * words).sum()), int((runs * -(-words // config.burst_beats)).sum())
