"""Fetching a program and running its instructions in an order that its tokens allow."""

from collections.abc import Callable

from ...config import Config
from ...isa.instruction import Instruction
from ...isa.launch import Outcome
from ...isa.table import ErrorCode
from ...isa.tokens import run_tokens
from .fault import Fault

__all__ = ["run_program"]


def run_program(
    config: Config, count: int, *, fetch: Callable[[int], Instruction], execute: Callable[[Instruction], None]
) -> Outcome:
    """Run up to FINISH, the first error, or a deadlock.

    The order is that of :mod:`isa.tokens`; what a program computes does not depend on which of the
    legal orders it is. `fetch` and `execute` raise :class:`Fault`.
    """
    program, end = _fetched(count, fetch)
    tokens = run_tokens(program, config)
    for index in tokens.order:
        try:
            execute(program[index])
        except Fault as fault:
            return Outcome(fault.code, index)
    if tokens.deadlock and (end.error is ErrorCode.NONE or tokens.deadlock.fetched < len(program)):
        return Outcome(ErrorCode.WATCHDOG, tokens.deadlock.index)
    return end


def _fetched(count: int, fetch: Callable[[int], Instruction]) -> tuple[list[Instruction], Outcome]:
    """The instructions before FINISH or the first error, and how the program ends if it comes that far."""
    program: list[Instruction] = []
    for index in range(count):
        try:
            instruction = fetch(index)
        except Fault as fault:
            return program, Outcome(fault.code, index)
        if instruction.engine is None:
            return program, Outcome(counters={"instructions": index})
        program.append(instruction)
    return program, Outcome(ErrorCode.PROGRAM_END, count)
