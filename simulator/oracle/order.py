"""Fetching, queues and tokens: in which order instructions run, and when none can."""

from collections import deque
from collections.abc import Callable
from itertools import product

from ...config import Config
from ...isa.instruction import Instruction
from ...isa.launch import Outcome
from ...isa.table import ENGINES, Engine, ErrorCode
from .fault import Fault

__all__ = ["Sequencer"]


class Sequencer:
    """Runs instructions as soon as their tokens allow it.

    What a program computes does not depend on the choices made here: taking and giving tokens
    commutes, and what no tokens order may run in any order.
    """

    def __init__(
        self, config: Config, *, fetch: Callable[[int], Instruction], execute: Callable[[Instruction], None]
    ) -> None:
        self._fetch = fetch
        self._execute = execute
        self._depth = config.queue_depth
        self._most_tokens = (1 << config.token_bits) - 1
        self._waiting: dict[Engine, deque[tuple[int, Instruction]]] = {engine: deque() for engine in ENGINES}
        self._giving: dict[Engine, tuple[int, Instruction] | None] = dict.fromkeys(ENGINES)
        self._tokens = dict.fromkeys(product(ENGINES, ENGINES), 0)
        self._retired = 0
        self._at = 0

    def run(self, count: int) -> Outcome:
        for index in range(count):
            self._at = index
            try:
                instruction = self._fetch(index)
                engine = instruction.engine
                if engine is None:
                    return self._finish()
                if len(self._waiting[engine]) == self._depth:
                    return self._outcome(ErrorCode.WATCHDOG, self._oldest())
                self._waiting[engine].append((index, instruction))
                while any(self._step(each) for each in ENGINES):
                    pass
            except Fault as fault:
                return self._outcome(fault.code, self._at)
        return self._outcome(ErrorCode.PROGRAM_END, count)

    def _finish(self) -> Outcome:
        if any(self._waiting.values()) or any(self._giving.values()):
            return self._outcome(ErrorCode.WATCHDOG, self._oldest())
        self._retired += 1
        return self._outcome(ErrorCode.NONE, 0)

    def _outcome(self, error: ErrorCode, index: int) -> Outcome:
        return Outcome(error, index, {"instructions": self._retired})

    def _oldest(self) -> int:
        """The lowest index among what has been handed to engines and has not retired."""
        held = [entry for entry in self._giving.values() if entry] + [q[0] for q in self._waiting.values() if q]
        return min(index for index, _ in held)

    def _step(self, engine: Engine) -> bool:
        """Retire what `engine` has run, or run its next instruction; False where tokens forbid both."""
        done = self._giving[engine]
        if done:
            given = [(engine, other) for other in ENGINES if done[1]["signal"] >> other & 1]
            if any(self._tokens[link] == self._most_tokens for link in given):
                return False
            for link in given:
                self._tokens[link] += 1
            self._giving[engine] = None
            self._retired += 1
            return True
        if not self._waiting[engine]:
            return False
        index, instruction = self._waiting[engine][0]
        taken = [(other, engine) for other in ENGINES if instruction["wait"] >> other & 1]
        if not all(self._tokens[link] for link in taken):
            return False
        for link in taken:
            self._tokens[link] -= 1
        self._giving[engine] = self._waiting[engine].popleft()
        self._at = index
        self._execute(instruction)
        return True
