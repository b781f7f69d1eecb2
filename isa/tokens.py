"""Runs a program's tokens, and nothing else: an order in which the engines can run it, or the deadlock.

Engines, queues and counters form a network in which every counter has one giver and one taker; so if
one order of events ends in a deadlock, all do, and running greedily decides it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..config import Config
from ..errors import ProgramError
from .columns import column, opcodes, raw_instructions, token_masks
from .instruction import Instruction
from .table import ENGINES, INSTRUCTIONS, Engine, Opcode

__all__ = ["Deadlock", "TokenRun", "engines_of", "execution_order", "run_tokens"]

_NO_ENGINE = -1


@dataclass(frozen=True)
class Deadlock:
    """The oldest instruction that can't go on.

    Members
    -------
    index, engine
        The instruction, and the engine that it stops.
    waits_for
        Engines whose token it lacks, or, where `giving`, whose full counter it waits for.
    fetched
        How many instructions were fetched; those after it could not help.
    """

    index: int
    engine: Engine
    waits_for: tuple[Engine, ...]
    giving: bool
    fetched: int

    def __str__(self) -> str:
        names = " and ".join(engine.name for engine in self.waits_for)
        if self.giving:
            return f"deadlock: {self.engine.name} can't give a token to {names}, whose counter stays full"
        return (
            f"deadlock: {self.engine.name} waits for a token from {names} that never comes "
            f"({self.fetched} instructions fetched)"
        )


@dataclass(frozen=True)
class TokenRun:
    """What running the tokens of one program gave.

    Members
    -------
    order
        Indices of the instructions that started, in an order in which every token is given before it is taken.
    leftover
        (giver, taker) and how many tokens remain, where any do.
    deadlock
        None where the program ends.
    """

    order: tuple[int, ...]
    leftover: dict[tuple[Engine, Engine], int]
    deadlock: Deadlock | None


def engines_of(raw: np.ndarray) -> np.ndarray:
    """int64, shape (n,): the engine of each instruction; -1 for FINISH and for unknown opcodes."""
    found = np.full(len(raw), _NO_ENGINE, dtype=np.int64)
    kinds = opcodes(raw)
    for spec in INSTRUCTIONS:
        here = kinds == spec.opcode
        if spec.opcode is Opcode.SYNC:
            found[here] = column(raw[here], spec, "engine")
        elif spec.engine is not None:
            found[here] = spec.engine
    return found


def run_tokens(instructions: Sequence[Instruction] | np.ndarray, config: Config) -> TokenRun:
    """Run up to the first FINISH, or to the end.

    Parameters
    ----------
    instructions
        Legal ones; as values or as uint8 of shape (n, 64).
    """
    raw = raw_instructions(instructions)
    ends = np.flatnonzero(opcodes(raw) == Opcode.FINISH)
    raw = raw[: ends[0]] if len(ends) else raw
    wait, signal = token_masks(raw)
    network = _Network(engines_of(raw).tolist(), wait.tolist(), signal.tolist(), config)
    return network.run()


def execution_order(instructions: Sequence[Instruction] | np.ndarray, config: Config) -> tuple[int, ...]:
    """Indices up to the first FINISH in an order in which every token is given before it is taken.

    Raises
    ------
    ProgramError
        There is none: the program deadlocks.
    """
    result = run_tokens(instructions, config)
    if result.deadlock:
        raise ProgramError(f"instruction {result.deadlock.index}: {result.deadlock}")
    return result.order


_MEMBERS = [[engine for engine in ENGINES if mask >> engine & 1] for mask in range(16)]


class _Network:
    """An instruction leaves its queue when it takes its tokens; the next one starts when it has given its own.

    Hardware may be more eager, and then has only more room.
    """

    def __init__(self, engines: list[int], wait: list[int], signal: list[int], config: Config) -> None:
        self.engines, self.wait, self.signal = engines, wait, signal
        self.depth = config.queue_depth
        self.most = (1 << config.token_bits) - 1
        self.fetched = 0
        self.queues: list[deque[int]] = [deque() for _ in ENGINES]
        self.giving: list[int | None] = [None] * len(ENGINES)
        self.tokens = [[0] * len(ENGINES) for _ in ENGINES]
        self.order: list[int] = []

    def run(self) -> TokenRun:
        moving = True
        while moving:
            moving = self._fetch()
            for engine in ENGINES:
                while self._step(engine):
                    moving = True
        done = self.fetched == len(self.engines) and not any(self.queues) and self.giving == [None] * len(ENGINES)
        leftover = {(e, f): self.tokens[e][f] for e in ENGINES for f in ENGINES if self.tokens[e][f]}
        return TokenRun(tuple(self.order), leftover, None if done else self._stuck())

    def _fetch(self) -> bool:
        start = self.fetched
        while self.fetched < len(self.engines):
            queue = self.queues[self.engines[self.fetched]]
            if len(queue) >= self.depth:
                break
            queue.append(self.fetched)
            self.fetched += 1
        return self.fetched > start

    def _step(self, engine: Engine) -> bool:
        """Give what the running instruction has to give, or start the next one; False where neither can be."""
        running = self.giving[engine]
        if running is not None:
            takers = _MEMBERS[self.signal[running]]
            if any(self.tokens[engine][taker] >= self.most for taker in takers):
                return False
            for taker in takers:
                self.tokens[engine][taker] += 1
            self.giving[engine] = None
            return True
        queue = self.queues[engine]
        if not queue or self._missing(queue[0], engine):
            return False
        index = queue.popleft()
        for giver in _MEMBERS[self.wait[index]]:
            self.tokens[giver][engine] -= 1
        self.order.append(index)
        self.giving[engine] = index
        return True

    def _missing(self, index: int, engine: Engine) -> tuple[Engine, ...]:
        return tuple(giver for giver in _MEMBERS[self.wait[index]] if not self.tokens[giver][engine])

    def _stuck(self) -> Deadlock:
        found = []
        for engine in ENGINES:
            running = self.giving[engine]
            if running is not None:
                takers = _MEMBERS[self.signal[running]]
                full = tuple(taker for taker in takers if self.tokens[engine][taker] >= self.most)
                found.append(Deadlock(running, engine, full, True, self.fetched))
            elif self.queues[engine]:
                index = self.queues[engine][0]
                found.append(Deadlock(index, engine, self._missing(index, engine), False, self.fetched))
        return min(found, key=lambda deadlock: deadlock.index)
