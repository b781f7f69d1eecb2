"""Which instructions fetch refuses."""

from collections.abc import Callable, Iterable
from typing import Any

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from ..isa.memories import STORABLE
from ..isa.table import ENGINES, INSTRUCTION_BITS, INSTRUCTIONS, Engine, Function, InstructionSpec, Memory, Opcode
from .layout import instruction_layout

__all__ = ["Legality"]

_ACC_OPERAND = 1
_RULES_TOGETHER = 3
_BITS_TOGETHER = 64


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
    """Judges an instruction in two steps: what each opcode has against it, and a cycle later which opcode counts.

    Members
    -------
    word, take
        An instruction, when `take` is 1.
    legal
        Of the one taken last: none of the conditions of ILLEGAL_INSTRUCTION holds.
    finish
        It is a FINISH.
    engine
        Otherwise: whose queue it goes to.
    <opcode>_single
        Bit d: loop d has one iteration, if the opcode is this.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "word": In(INSTRUCTION_BITS),
                "take": In(1),
                "legal": Out(1),
                "finish": Out(1),
                "engine": Out(Engine),
                **{_single(spec): Out(spec.dims) for spec in INSTRUCTIONS if spec.dims},
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        opcode = Signal(4, reset_less=True)
        synchronised = Signal(range(len(ENGINES)), reset_less=True)
        with m.If(self.take):
            m.d.sync += opcode.eq(self.word[:4])
        verdicts = {spec.opcode: self._judge(m, spec, synchronised) for spec in INSTRUCTIONS}
        with m.Switch(opcode):
            for spec in INSTRUCTIONS:
                with m.Case(spec.opcode):
                    m.d.comb += self.legal.eq(verdicts[spec.opcode])
                    if spec.opcode is Opcode.FINISH:
                        m.d.comb += self.finish.eq(1)
                    else:
                        engine = synchronised if spec.opcode is Opcode.SYNC else spec.engine
                        m.d.comb += self.engine.eq(engine)
        return m

    def _judge(self, m: Module, spec: InstructionSpec, synchronised: Signal) -> Any:
        """Nothing speaks against the instruction if its opcode is that of `spec`; of registers, one for a few rules."""
        word = data.View(instruction_layout(spec.opcode), self.word)
        reserved = word.reserved
        zeros = [reserved[n : n + _BITS_TOGETHER] == 0 for n in range(0, len(reserved), _BITS_TOGETHER)]
        rules = [word[f"bound{d}"] != 0 for d in range(spec.dims)]
        rules += _OWN_RULES.get(spec.opcode, lambda word: [])(word)
        if spec.opcode is not Opcode.FINISH:
            engine = word.engine if spec.opcode is Opcode.SYNC else Const(spec.engine, len(ENGINES).bit_length())
            rules.append(~(word.wait | word.signal).bit_select(engine, 1))
        groups = [Cat(rules[n : n + _RULES_TOGETHER]).all() for n in range(0, len(rules), _RULES_TOGETHER)]
        verdict = Signal(len(zeros) + len(groups), name=f"{spec.name.lower()}_verdict", reset_less=True)
        with m.If(self.take):
            m.d.sync += verdict.eq(Cat(*zeros, *groups))
            if spec.dims:
                m.d.sync += getattr(self, _single(spec)).eq(Cat(word[f"bound{d}"] == 1 for d in range(spec.dims)))
            if spec.opcode is Opcode.SYNC:
                m.d.sync += synchronised.eq(word.engine)
        return verdict.all()


def _single(spec: InstructionSpec) -> str:
    return f"{spec.name.lower()}_single"
