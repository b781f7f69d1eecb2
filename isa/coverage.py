"""What random programs reach: bins derived from the instruction table, and counts of them."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache

import numpy as np

from ..config import Config
from .columns import columns, opcodes, raw_instructions
from .coverage_fields import (
    field_bins,
    neighbour_bins,
    reached_fields,
    reached_neighbours,
    reached_switches,
    switch_bins,
)
from .coverage_walks import nest_bins, reached_nests, reached_walks, walk_bins
from .memories import memory_shape
from .random_programs import RandomProgram
from .table import INSTRUCTIONS, SEGMENTS, Memory

__all__ = ["Coverage", "bins_by_part", "coverage_bins"]

_BATCH = 200
_INT8 = {"-128": -128, "-1": -1, "0": 0, "1": 1, "127": 127}
_INT32 = {"-2^31": -(1 << 31), "-1": -1, "0": 0, "1": 1, "2^31 - 1": (1 << 31) - 1}


def bins_by_part() -> dict[tuple[str, str], tuple[str, ...]]:
    """The bins, by their kind and by the instruction that they belong to, or ``all``; in a fixed order."""
    parts: dict[tuple[str, str], tuple[str, ...]] = {}
    for spec in INSTRUCTIONS:
        parts["fields", spec.name] = (*field_bins(spec), *switch_bins(spec))
        parts["loops", spec.name] = tuple(nest_bins(spec))
        parts["walks", spec.name] = tuple(walk_bins(spec))
    parts["order", "all"] = tuple(neighbour_bins())
    parts["contents", "all"] = tuple(_content_bins())
    return parts


@cache
def coverage_bins() -> tuple[str, ...]:
    """Every bin there is, in a fixed order."""
    return tuple(name for part in bins_by_part().values() for name in part)


class Coverage:
    """How often programs have reached each of :func:`coverage_bins`.

    Members
    -------
    programs, instructions
        How many were counted.
    """

    def __init__(self) -> None:
        self.programs = 0
        self.instructions = 0
        self._counts: Counter[str] = Counter()
        self._pending: list[tuple[np.ndarray, tuple[int, ...]]] = []
        self._config: Config | None = None

    def add(self, program: RandomProgram) -> None:
        if program.config != self._config or len(self._pending) >= _BATCH:
            self._flush()
            self._config = program.config
        self._count_contents(program)
        self._pending.append((raw_instructions(program.instructions), program.segment_sizes))
        self.programs += 1
        self.instructions += len(program.instructions)

    def merge(self, text: str) -> None:
        """Add what :meth:`to_json` of another one wrote."""
        other = json.loads(text)
        self.programs += other["programs"]
        self.instructions += other["instructions"]
        self._counts.update(other["counts"])

    def to_json(self) -> str:
        return json.dumps({"programs": self.programs, "instructions": self.instructions, "counts": dict(self.counts)})

    @property
    def counts(self) -> Mapping[str, int]:
        """By the names of :func:`coverage_bins`."""
        self._flush()
        return self._counts

    @property
    def missing(self) -> tuple[str, ...]:
        counts = self.counts
        return tuple(each for each in coverage_bins() if not counts[each])

    @property
    def percent(self) -> float:
        return 100.0 * (1 - len(self.missing) / len(coverage_bins()))

    def __str__(self) -> str:
        """One line, and one for each missing bin."""
        bins = len(coverage_bins())
        text = (
            f"{self.percent:.2f}% of {bins:,} bins (opcode × operand × loop depth × corner values) reached "
            f"by {self.programs:,} programs of {self.instructions:,} instructions"
        )
        return "\n".join([text, *(f"never reached: {name}" for name in self.missing)])

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        if not pending:
            return
        assert self._config is not None
        raw = np.concatenate([rows for rows, _ in pending])
        programs = np.repeat(np.arange(len(pending)), [len(rows) for rows, _ in pending])
        segments = np.zeros((len(pending), SEGMENTS), np.int64)
        for number, (_, sizes) in enumerate(pending):
            segments[number, : len(sizes)] = sizes
        numbers = opcodes(raw)
        kinds, places = {}, {}
        for spec in INSTRUCTIONS:
            rows = np.flatnonzero(numbers == spec.opcode)
            if not len(rows):
                continue
            places[spec.opcode] = rows
            fields = kinds[spec.opcode] = columns(raw[rows], spec)
            self._counts += reached_fields(spec, fields) + reached_switches(spec, fields)
            self._counts += reached_nests(spec, fields)
            self._counts += reached_walks(spec, fields, self._config, segments[programs[rows]])
        self._counts += reached_neighbours(kinds, places, programs)

    def _count_contents(self, program: RandomProgram) -> None:
        for memory, cells in program.memories.items():
            for label, values, corner in _contents(program.config, memory, cells):
                if not self._counts[label]:
                    self._counts[label] += int((values == corner).any())


def _contents(config: Config, memory: Memory, cells: np.ndarray) -> Iterator[tuple[str, np.ndarray, int]]:
    """A label, values in `cells`, uint8 of shape (rows, depth, cell bytes), and the corner value that they may have."""
    if memory is not Memory.SCALE:
        wide = memory in (Memory.ACC, Memory.BIAS)
        values = cells.reshape(-1).view(np.int32 if wide else np.int8)
        for name, corner in (_INT32 if wide else _INT8).items():
            yield f"{memory.name} holds {name}", values, corner
        return
    entries = cells.reshape(-1, memory_shape(config, memory).cell_bytes // config.block_out)
    top = 1 << (config.multiplier_bits - 1)
    stored = np.ascontiguousarray(entries[:, :4]).view(np.int32).astype(np.int64)
    multipliers = (stored & (2 * top - 1) ^ top) - top
    for name, corner in {"lowest": -top, "-1": -1, "0": 0, "1": 1, "highest": top - 1}.items():
        yield f"SCALE holds multiplier {name}", multipliers, corner
    for byte, part, mask, corners in (
        (4, "left shift", 31, (0, 31)),
        (5, "right shift", 31, (0, 31)),
        (6, "mode", 1, (0, 1)),
    ):
        for corner in corners:
            yield f"SCALE holds {part} {corner}", entries[:, byte] & mask, corner


def _content_bins() -> Iterator[str]:
    config = Config()
    for memory in Memory:
        nothing = np.zeros((1, 0, memory_shape(config, memory).cell_bytes), np.uint8)
        yield from (label for label, _, _ in _contents(config, memory, nothing))
