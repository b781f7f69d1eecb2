"""Makes a failing random program as small as it gets while it still fails."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from .instruction import Instruction, finish
from .races import find_races
from .random_programs import RandomProgram, ordered
from .table import Opcode
from .tokens import run_tokens

__all__ = ["shrink"]

_SWITCHES = (
    "residual", "bias_enable", "scale_enable", "table_enable", "accumulate", "overwrite_mask", "reduce",
    "a_zero", "b_zero", "zero_point", "scale_shared",
)  # fmt: skip

Body = list[Instruction]


def shrink(
    program: RandomProgram, still_fails: Callable[[RandomProgram], bool], *, attempts: int = 500
) -> RandomProgram:
    """Remove instructions, shorten loops and switch options off, as long as `still_fails`.

    Every candidate is legal, free of races and of deadlocks. Tokens are worked out anew, unless the failure needs the
    program's own; then instructions become SYNCs that keep their tokens.

    Parameters
    ----------
    attempts
        How often `still_fails` may be asked.
    """
    shrinker = _Shrinker(program, still_fails, attempts)
    shrinker.choose_tokens()
    progress = True
    while progress and shrinker.left > 0:
        before = shrinker.body
        shrinker.drop_instructions()
        shrinker.simplify(_shorter)
        shrinker.simplify(_plainer)
        progress = shrinker.body != before
    return shrinker.best


class _Shrinker:
    def __init__(self, program: RandomProgram, still_fails: Callable[[RandomProgram], bool], attempts: int) -> None:
        self.best = program
        self.still_fails = still_fails
        self.left = attempts
        self.keep_tokens = True

    @property
    def body(self) -> Body:
        return list(self.best.instructions[:-1])

    def choose_tokens(self) -> None:
        """Prefer tokens worked out anew, if the program still fails with them."""
        self.keep_tokens = False
        self.keep_tokens = not self.attempt(self.body)

    def attempt(self, body: Body) -> bool:
        """Adopt `body` if it still fails."""
        if self.left <= 0:
            return False
        config, sizes = self.best.config, self.best.segment_sizes
        if self.keep_tokens:
            result = run_tokens(body, config)
            if result.deadlock or find_races(body, config):
                return False
        else:
            body = ordered(body, config, sizes)
        self.left -= 1
        candidate = replace(self.best, instructions=(*body, finish()))
        if not self.still_fails(candidate):
            return False
        self.best = candidate
        return True

    def _without(self, start: int, stop: int) -> Body:
        body = self.body
        kept = [_as_sync(instruction) for instruction in body[start:stop]] if self.keep_tokens else []
        return body[:start] + [i for i in kept if i["wait"] or i["signal"]] + body[stop:]

    def drop_instructions(self) -> None:
        size = max(len(self.body) // 2, 1)
        while size:
            start = 0
            while start < len(self.body):
                smaller = self._without(start, start + size)
                stay = start + len(smaller) - len(self.body) + size
                dropped = smaller != self.body and self.attempt(smaller)
                start = stay if dropped else start + size
            size //= 2

    def simplify(self, variants: Callable[[Instruction], Sequence[Instruction]]) -> None:
        """Put the first of its `variants` that still fails in each instruction's place, again and again."""
        for place in range(len(self.body)):
            while any(self._put(place, variant) for variant in variants(self.body[place])):
                pass

    def _put(self, place: int, instruction: Instruction) -> bool:
        body = self.body
        body[place] = instruction
        return self.attempt(body)


def _as_sync(instruction: Instruction) -> Instruction:
    assert instruction.engine is not None
    tokens = {"wait": instruction["wait"], "signal": instruction["signal"]}
    return Instruction(Opcode.SYNC, {"engine": instruction.engine, **tokens})


def _shorter(instruction: Instruction) -> list[Instruction]:
    variants = []
    for d, bound in enumerate(instruction.nest.bounds):
        sizes = sorted({1, bound // 2, bound - 1} - {0, bound})
        variants += [instruction.replace(**{f"bound{d}": size}) for size in sizes if size < bound]
    return variants


def _plainer(instruction: Instruction) -> list[Instruction]:
    return [instruction.replace(**{name: 0}) for name in _SWITCHES if instruction.values.get(name)]
