"""Which instructions the core refuses when it fetches them."""

from ...errors import ProgramError
from ...isa.instruction import Instruction, decode
from ...isa.table import ErrorCode, Function, Memory, Opcode
from .fault import Fault

__all__ = ["decode_legal"]


def decode_legal(raw: bytes) -> Instruction:
    """The instruction in 64 bytes. Raises :class:`Fault` where it is illegal."""
    try:
        instruction = decode(raw)
    except ProgramError:
        raise Fault(ErrorCode.ILLEGAL_INSTRUCTION) from None
    if not _legal(instruction):
        raise Fault(ErrorCode.ILLEGAL_INSTRUCTION)
    return instruction


def _legal(instruction: Instruction) -> bool:
    if instruction.opcode is Opcode.FINISH:
        return True
    own = 1 << instruction.engine  # type: ignore[operator]
    if (instruction["wait"] | instruction["signal"]) & own or 0 in instruction.nest.bounds:
        return False
    match instruction.opcode:
        case Opcode.LOAD:
            return instruction["memory"] in tuple(Memory)
        case Opcode.STORE:
            return instruction["memory"] in (Memory.ACT, Memory.ACC)
        case Opcode.VECTOR:
            return _legal_vector(instruction)
    return True


def _legal_vector(instruction: Instruction) -> bool:
    function = instruction["function"]
    if function not in tuple(Function) or instruction["reduce"] > 5:
        return False
    if function == Function.MAC and (instruction["a_memory"], instruction["b_memory"]) != (Memory.ACT, Memory.ACT):
        return False
    return not instruction["table_enable"] or instruction["dst_memory"] == Memory.ACT
