"""Which instructions fetch refuses."""

from collections.abc import Callable, Iterable
from typing import Any

from amaranth import Cat, Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from ..isa.memories import STORABLE
from ..isa.table import INSTRUCTION_BITS, INSTRUCTIONS, Engine, Function, InstructionSpec, Memory, Opcode
from .layout import instruction_layout

__all__ = ["Legality"]

_ACC_OPERAND = 1


def _among(value: Any, allowed: Iterable[int]) -> Any:
    return Cat([value == each for each in allowed]).any()


def _load(word: Any) -> list[Any]:
    return [_among(word.memory, Memory)]


def _store(word: Any) -> list[Any]:
    return [_among(word.memory, STORABLE)]


def _vector(word: Any) -> list[Any]:
    is_mac = word.function == Function.MAC
    return [
        _among(word.function, Function),
        word.reduce <= 5,
        ~(is_mac & ((word.a_memory == _ACC_OPERAND) | (word.b_memory == _ACC_OPERAND))),
        ~(word.table_enable & (word.dst_memory == _ACC_OPERAND)),
    ]


_OWN_RULES: dict[Opcode, Callable[[Any], list[Any]]] = {
    Opcode.LOAD: _load,
    Opcode.STORE: _store,
    Opcode.VECTOR: _vector,
}


class Legality(Component):
    """Combinational.

    Members
    -------
    word
        An instruction.
    legal
        None of the conditions of ILLEGAL_INSTRUCTION holds.
    finish
        It is a FINISH.
    engine
        Otherwise: whose queue it goes to.
    """

    def __init__(self) -> None:
        super().__init__({"word": In(INSTRUCTION_BITS), "legal": Out(1), "finish": Out(1), "engine": Out(Engine)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        with m.Switch(self.word[:4]):
            for spec in INSTRUCTIONS:
                with m.Case(spec.opcode):
                    self._judge(m, spec, data.View(instruction_layout(spec.opcode), self.word))
        return m

    def _judge(self, m: Module, spec: InstructionSpec, word: Any) -> None:
        rules = [word.reserved == 0]
        rules += [word[f"bound{d}"] != 0 for d in range(spec.dims)]
        rules += _OWN_RULES.get(spec.opcode, lambda word: [])(word)
        if spec.opcode is Opcode.FINISH:
            m.d.comb += self.finish.eq(1)
        else:
            engine = Signal(range(len(Engine)), name=f"{spec.name.lower()}_engine")
            m.d.comb += engine.eq(word.engine if spec.opcode is Opcode.SYNC else spec.engine)
            m.d.comb += self.engine.eq(engine)
            rules.append(~(word.wait | word.signal).bit_select(engine, 1))
        m.d.comb += self.legal.eq(Cat(rules).all())
