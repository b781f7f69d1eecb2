"""Random legal programs without races: whatever the timing of the engines, they have one result."""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..config import Config
from ..errors import ProgramError
from .dependence import AccessHistory, Clock, TokenClocks, footprint
from .instruction import Instruction, decode, finish
from .memories import memory_shape
from .random_data import random_cells
from .random_instructions import LARGEST_BOUND, InstructionMaker
from .table import ENGINES, SEGMENTS, Engine, Memory, Opcode

__all__ = ["RandomProgram", "ordered", "random_program"]

_LARGEST_SEGMENT = 300_000


@dataclass(frozen=True, kw_only=True)
class RandomProgram:
    """A program with everything that it starts from.

    Members
    -------
    instructions
        The last one is FINISH.
    segments
        uint8 arrays: the DRAM contents of segment 0, 1, …; their lengths are the limits.
    memories
        On-chip contents at the start, uint8, shape (rows, depth, cell bytes).
    strict
        Whether the static checker accepts it; otherwise it may rely on what hardware masks (addresses modulo
        the depth, low address bits, rows and tables modulo their number).
    """

    config: Config
    seed: int
    instructions: tuple[Instruction, ...]
    segments: tuple[np.ndarray, ...]
    memories: Mapping[Memory, np.ndarray] = field(default_factory=dict)
    strict: bool = True

    @property
    def segment_sizes(self) -> tuple[int, ...]:
        return tuple(len(data) for data in self.segments)

    def encode(self) -> bytes:
        return b"".join(instruction.encode() for instruction in self.instructions)

    def save(self, stem: Path) -> None:
        """Write `stem`.json and `stem`.npz."""
        head = {
            "config": self.config.to_toml(),
            "seed": self.seed,
            "strict": self.strict,
            "instructions": [instruction.encode().hex() for instruction in self.instructions],
        }
        stem.parent.mkdir(parents=True, exist_ok=True)
        stem.with_name(stem.name + ".json").write_text(json.dumps(head, indent=1), encoding="utf-8")
        arrays = {f"segment{number}": data for number, data in enumerate(self.segments)}
        arrays |= {memory.name: data for memory, data in self.memories.items()}
        np.savez_compressed(stem.with_name(stem.name + ".npz"), **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, stem: Path) -> "RandomProgram":
        """The inverse of :meth:`save`.

        Raises
        ------
        ProgramError
            A file is missing or not what :meth:`save` wrote.
        """
        try:
            head = json.loads(stem.with_name(stem.name + ".json").read_text(encoding="utf-8"))
            with np.load(stem.with_name(stem.name + ".npz"), allow_pickle=False) as arrays:
                loaded = dict(arrays)
            segments = sum(name.startswith("segment") for name in loaded)
            return cls(
                config=Config.from_toml(head["config"]),
                seed=head["seed"],
                strict=head["strict"],
                instructions=tuple(decode(bytes.fromhex(text)) for text in head["instructions"]),
                segments=tuple(loaded[f"segment{number}"] for number in range(segments)),
                memories={memory: loaded[memory.name] for memory in Memory if memory.name in loaded},
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ProgramError(f"saved program {stem} must be readable: {error}") from None


def random_program(
    config: Config, seed: int, *, size: int = 24, points: int = 160, loose: float = 0.25
) -> RandomProgram:
    """A random program of `size` instructions and a FINISH.

    The same arguments give the same program. Programs differ in character: how crowded the memories
    are, which engines are busiest, how many tokens are redundant.

    Parameters
    ----------
    points
        About how many cycles the largest nests take; from 65,535 on there are loops of the highest bound.
    loose
        The share of programs that are not `strict`.
    """
    rng = np.random.default_rng([seed, size, points])
    strict = bool(rng.random() >= loose)
    segments = _random_segments(rng, config, points)
    make = InstructionMaker(rng, config, segments, points=points, strict=strict)
    instructions = [make.instruction() for _ in range(size)]
    extra = float(rng.choice([0.0, 0.1, 0.5]))
    sizes = [len(data) for data in segments]
    return RandomProgram(
        config=config,
        seed=seed,
        instructions=(*ordered(instructions, config, sizes, rng=rng, extra=extra), finish()),
        segments=segments,
        memories=_random_memories(rng, config),
        strict=strict,
    )


def _random_segments(rng: np.random.Generator, config: Config, points: int) -> tuple[np.ndarray, ...]:
    """One segment in the format of each memory and two more; about one in four ends in the middle of a cell.

    Where nests are long enough for it, a segment of small cells takes the longest run that there is.
    """
    kinds = [*Memory, Memory.ACT, Memory.ACC]
    segments = []
    for memory in kinds[:SEGMENTS]:
        cell = memory_shape(config, memory).cell_bytes
        longest = LARGEST_BOUND if points >= LARGEST_BOUND and LARGEST_BOUND * cell <= _LARGEST_SEGMENT else 0
        data = random_cells(rng, config, memory, max(-(-int(rng.integers(1024, 8192)) // cell), longest) + 4)
        segments.append(data[: len(data) - int(rng.integers(0, min(cell, 64)))] if rng.random() < 0.25 else data)
    return tuple(segments)


def _random_memories(rng: np.random.Generator, config: Config) -> dict[Memory, np.ndarray]:
    memories = {}
    for memory in Memory:
        shape = memory_shape(config, memory)
        cells = random_cells(rng, config, memory, shape.rows * shape.depth)
        memories[memory] = cells.reshape(shape.rows, shape.depth, shape.cell_bytes)
    return memories


def ordered(
    instructions: Sequence[Instruction],
    config: Config,
    segments: Sequence[int],
    *,
    rng: np.random.Generator | None = None,
    extra: float = 0.0,
) -> list[Instruction]:
    """`instructions` with new tokens: those that the order written needs, and with probability `extra` others.

    Every token is given before it is taken in the order written, and no counter overflows in that
    order; so that order is one in which the engines can run, and there is no deadlock.

    Parameters
    ----------
    segments
        Bytes in each segment.
    """
    tokens = _TokenMaker(instructions, config, segments)
    for index in range(len(instructions)):
        tokens.add(index, rng, extra)
    result = []
    for index, instruction in enumerate(instructions):
        masks = {"wait": tokens.wait[index], "signal": tokens.signal[index]}
        result.append(instruction if instruction.engine is None else instruction.replace(**masks))
    return result


class _TokenMaker:
    def __init__(self, instructions: Sequence[Instruction], config: Config, segments: Sequence[int]) -> None:
        self.instructions = instructions
        self.config = config
        self.wait = [0] * len(instructions)
        self.signal = [0] * len(instructions)
        self._history = AccessHistory(config, segments)
        self._clocks = TokenClocks()
        self._index_of: dict[Engine, list[int]] = {engine: [] for engine in ENGINES}
        self._given = {(e, f): -1 for e in ENGINES for f in ENGINES}
        self._taken: dict[tuple[Engine, Engine], list[int]] = {key: [] for key in self._given}

    def add(self, index: int, rng: np.random.Generator | None, extra: float) -> None:
        """Place the tokens that instruction `index` takes."""
        instruction = self.instructions[index]
        engine = instruction.engine
        if engine is None:
            return
        touched = footprint(instruction, self.config)
        needed = self._history.conflicts(engine, touched)
        before = self._wait_for(index, engine, needed)
        if rng is not None:
            before = self._wait_for_more(
                index, engine, before, rng, 0.8 if instruction.opcode is Opcode.SYNC else extra
            )
        self._history.record(engine, self._clocks.count(engine), touched)
        self._clocks.add(engine, before)
        self._index_of[engine].append(index)

    def _wait_for(self, index: int, engine: Engine, needed: Clock) -> Clock:
        """Wait for the latest instruction of every engine of which more than is known must be complete."""
        before = self._clocks.before(engine)
        for giver in ENGINES:
            if needed[giver] > before[giver]:
                before = self._join(before, index, engine, giver, self._clocks.count(giver) - 1)
        return before

    def _wait_for_more(
        self, index: int, engine: Engine, before: Clock, rng: np.random.Generator, probability: float
    ) -> Clock:
        room = (1 << self.config.token_bits) - 1
        for giver in ENGINES:
            first, count = self._given[giver, engine] + 1, self._clocks.count(giver)
            if giver is engine or self.wait[index] >> giver & 1 or first >= count or rng.random() >= probability:
                continue
            position = int(rng.integers(first, count))
            # The giver's latest instruction may be needed later on, and its token must find room too.
            spare = position < count - 1
            if self._held(giver, engine, position) < room and self._held(giver, engine, count - 1) + spare < room:
                before = self._join(before, index, engine, giver, position)
        return before

    def _held(self, giver: Engine, engine: Engine, position: int) -> int:
        """Tokens that the counter may hold when instruction `position` of `giver` gives one, in the order written."""
        taken = self._taken[giver, engine]
        return len(taken) - bisect_right(taken, self._index_of[giver][position])

    def _join(self, before: Clock, index: int, engine: Engine, giver: Engine, position: int) -> Clock:
        self.signal[self._index_of[giver][position]] |= 1 << engine
        self.wait[index] |= 1 << giver
        self._given[giver, engine] = position
        self._taken[giver, engine].append(index)
        known = self._clocks.after[giver][position]
        return tuple(max(parts) for parts in zip(before, known, strict=True))
