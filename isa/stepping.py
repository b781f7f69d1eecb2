"""A run in steps: the part of it between two instructions, as a program of its own."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from ..config import Config
from .columns import column, opcodes, token_masks
from .instruction import finish
from .program import encode_instructions
from .table import ENGINES, INSTRUCTIONS, Opcode
from .tokens import engines_of, execution_order

__all__ = ["SteppedRun"]

_STORE = next(spec for spec in INSTRUCTIONS if spec.opcode is Opcode.STORE)
_FINISH = encode_instructions([finish()])


class SteppedRun:
    """The instructions of a run in an order in which they can be carried out one by one.

    That is the order written, where it gives every token before it is taken, as the compiler's programs do. After its
    first n instructions, and nothing else, every memory of a program without races has one content, whatever the
    device: for a set of instructions that holds all that its members wait for, what they compute does not depend on
    time.

    Parameters
    ----------
    instructions
        uint8, shape (n, 64), legal; what follows the first FINISH does not count.

    Members
    -------
    order
        Their indices, without FINISH.
    stored
        Segments that any of them stores to.

    Raises
    ------
    ProgramError
        The run deadlocks.
    """

    def __init__(self, instructions: np.ndarray, config: Config) -> None:
        ends = np.flatnonzero(opcodes(instructions) == Opcode.FINISH)
        self._raw = instructions[: ends[0]] if len(ends) else instructions
        stores = self._raw[opcodes(self._raw) == Opcode.STORE]
        self.stored = frozenset(column(stores, _STORE, "segment").tolist())
        self._engines = engines_of(self._raw).tolist()
        self._tokens = self._matched(range(len(self._raw)))
        self.order: tuple[int, ...] = tuple(range(len(self._raw)))
        if self._tokens is None:
            self.order = execution_order(self._raw, config)
            self._tokens = self._matched(self.order)

    def __len__(self) -> int:
        return len(self.order)

    def after(self, index: int) -> int:
        """How many steps it takes until instruction `index` is done."""
        return self.order.index(index) + 1

    def part(self, first: int, end: int) -> tuple[np.ndarray, tuple[int, ...]]:
        """Steps from `first` on and before `end`, for a device that has done those before `first`.

        It has the tokens that its instructions give each other. Of those that come from outside nothing is left to
        wait for, and those that would go outside nobody takes; so tokens balance, and the part ends as the whole does.

        Returns
        -------
        uint8, shape (n + 1, 64), FINISH included; and the index of each instruction in the run.
        """
        members = sorted(self.order[first:end])
        inside = set(members)
        wait, signal = dict.fromkeys(members, 0), dict.fromkeys(members, 0)
        for giver, taker in self._tokens or ():
            if giver in inside and taker in inside:
                wait[taker] |= 1 << self._engines[giver]
                signal[giver] |= 1 << self._engines[taker]
        part = self._raw[members]
        part[:, 0] = part[:, 0] & 0x0F | np.array([wait[n] << 4 for n in members], dtype=np.uint8)
        part[:, 1] = part[:, 1] & 0xF0 | np.array([signal[n] for n in members], dtype=np.uint8)
        return np.concatenate([part, _FINISH]), tuple(members)

    def _matched(self, order: Iterable[int]) -> list[tuple[int, int]] | None:
        """(giver, taker) of every token that is taken; None where `order` takes one before it is given."""
        waits, signals = (mask.tolist() for mask in token_masks(self._raw))
        given: dict[tuple[int, int], list[int]] = defaultdict(list)
        pairs = []
        for index in order:
            engine = self._engines[index]
            for other in ENGINES:
                if waits[index] >> other & 1:
                    if not given[other, engine]:
                        return None
                    pairs.append((given[other, engine].pop(0), index))
                if signals[index] >> other & 1:
                    given[engine, other].append(index)
        return pairs
