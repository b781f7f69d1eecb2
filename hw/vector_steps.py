"""The vector engine's nests as steps: what each of them does, and all that asking for its operands takes."""

from collections.abc import Iterable
from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from ..config import Config
from ..isa.table import VECTOR_DIMS, Function, Memory, Opcode
from .layout import queued
from .nest import NestWalker, nest_start
from .scratchpad import one_bank
from .signatures import log2
from .vector_datapath import FLAGS

__all__ = ["AskingStep", "ComingStep", "VectorSteps", "place_bits", "unit_bits"]

_OPERANDS = ("a", "b", "dst")


def unit_bits(config: Config) -> int:
    """Bits of an address in ACT or ACC in units of `vector_lanes` channels."""
    return _cell_bits(config) + log2(config.block_out // config.vector_lanes)


def place_bits(config: Config) -> int:
    """Bits of what tells a unit of either memory from all others."""
    return unit_bits(config) + 1


def _cell_bits(config: Config) -> int:
    return log2(max(config.act_depth, config.acc_depth))


class ComingStep(data.StructLayout):
    """Where a step reads.

    Members
    -------
    a_place, b_place
        The same for every address of one unit.
    a_banks, b_banks
        A bit for each bank of ACT, and above them of ACC.
    """

    def __init__(self, config: Config) -> None:
        banks = config.act_banks + config.acc_banks
        places = place_bits(config)
        super().__init__({"a_place": places, "b_place": places, "a_banks": banks, "b_banks": banks})


class AskingStep(data.StructLayout):
    """A step that asks for its operands.

    Members
    -------
    a, b, dst
        Addresses in units.
    place
        `dst` as :class:`ComingStep` has operands.
    a_banks, b_banks
        See :class:`ComingStep`.
    keeps
        The same of the operands that it reads.
    bias, scale
        Addresses of its result's entries.
    a_needed, b_needed, meet
        Which operands it reads, and whether both lie in one bank.
    first, result, last
        The first and last of a reduction; the nest's last.
    flags, row_mask
        The instruction's.
    """

    def __init__(self, config: Config) -> None:
        beat_bits, banks = log2(config.block_out // config.vector_lanes), config.act_banks + config.acc_banks
        super().__init__(
            {
                **dict.fromkeys(_OPERANDS, unit_bits(config)),
                "place": place_bits(config),
                "a_banks": banks,
                "b_banks": banks,
                "keeps": banks,
                "bias": log2(config.bias_depth) + beat_bits,
                "scale": log2(config.scale_depth) + beat_bits,
                **dict.fromkeys(("a_needed", "b_needed", "meet", "first", "result", "last"), 1),
                "flags": data.StructLayout(FLAGS),
                "row_mask": config.rows,
            }
        )


class VectorSteps(Component):
    """A step a cycle, nest after nest without a gap.

    Members
    -------
    nest
        Instructions.
    step
        All payload bits are registers.
    coming, moves
        `coming` becomes the step at this edge if `moves`.
    busy
        There are steps to come.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._beats = config.block_out // config.vector_lanes
        super().__init__(
            {
                "nest": In(stream.Signature(queued(Opcode.VECTOR))),
                "step": Out(stream.Signature(AskingStep(config))),
                "coming": Out(ComingStep(config)),
                "moves": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        walker = self._walker(m)
        point, coming, step = walker.point, self.coming, self.step
        flags = point.p.context.flags
        result = (point.p.end[-VECTOR_DIMS:] | ~point.p.context.reduced).all()
        needs_a = flags.function != Function.ZERO
        needs_b = (flags.function == Function.MAC) | (flags.residual & result)
        asking = Signal(AskingStep(self._config), name="asking", reset_less=True)
        m.d.comb += [
            self.moves.eq(~step.valid | step.ready),
            point.ready.eq(self.moves),
            step.payload.eq(asking),
            self.busy.eq(point.valid | step.valid),
            *(coming[f"{operand}_place"].eq(self._place(point.p, operand)) for operand in "ab"),
            *(coming[f"{operand}_banks"].eq(self._banks(point.p, operand)) for operand in "ab"),
        ]
        with m.If(self.moves):
            m.d.sync += [
                step.valid.eq(point.valid),
                *(asking[operand].eq(self._unit(point.p, operand)) for operand in _OPERANDS),
                *(asking[name].eq(coming[name]) for name in ("a_banks", "b_banks")),
                *(asking[name].eq(Cat(self._beat(point.p), point.p[name])) for name in ("bias", "scale")),
                asking.place.eq(self._place(point.p, "dst")),
                asking.a_needed.eq(needs_a),
                asking.b_needed.eq(needs_b),
                asking.keeps.eq(Mux(needs_a, coming.a_banks, 0) | Mux(needs_b, coming.b_banks, 0)),
                asking.meet.eq((coming.a_banks & coming.b_banks).any()),
                asking.first.eq((point.p.zero[-VECTOR_DIMS:] | ~point.p.context.reduced).all()),
                asking.result.eq(result),
                asking.last.eq(point.p.last),
                asking.flags.eq(flags),
                asking.row_mask.eq(point.p.context.row_mask),
            ]
        return m

    def _walker(self, m: Module) -> NestWalker:
        """The nest, with a pass over all of it for each group of lanes as the outermost loop."""
        config = self._config
        context = data.StructLayout(
            {"flags": data.StructLayout(FLAGS), "reduced": VECTOR_DIMS, "row_mask": config.rows}
        )
        operands = dict.fromkeys(_OPERANDS, _cell_bits(config))
        channels = {"bias": log2(config.bias_depth), "scale": log2(config.scale_depth)}
        passes = {"beat": log2(self._beats)} if self._beats > 1 else {}
        dims = VECTOR_DIMS + len(passes)
        m.submodules.walker = walker = NestWalker(
            dims=dims, bound_bits=16, operands={**operands, **channels, **passes}, context=context
        )
        start, word = walker.start, self.nest.p.word
        nest_start(m, start.payload, self.nest.payload, {name: name for name in operands})
        m.d.comb += [start.valid.eq(self.nest.valid), self.nest.ready.eq(start.ready)]
        for name in channels:
            m.d.comb += start.p[f"{name}_base"].eq(word[f"{name}_base"])
            for d in range(VECTOR_DIMS):
                stride = word[f"channel_stride{d}"]
                fixed = word.scale_shared if name == "scale" else 0
                m.d.comb += start.p[f"{name}_stride"][dims - VECTOR_DIMS + d].eq(Mux(fixed, 0, stride))
        if passes:
            m.d.comb += [start.p.bound[0].eq(self._beats), start.p.single[0].eq(0), start.p.beat_stride[0].eq(1)]
        for name in FLAGS:
            m.d.comb += start.p.context.flags[name].eq(word[name])
        for d in range(VECTOR_DIMS):
            m.d.comb += start.p.context.reduced[d].eq(word.reduce >= VECTOR_DIMS - d)
        m.d.comb += start.p.context.row_mask.eq(word.row_mask)
        return walker

    def _beat(self, point: Any) -> Iterable[Any]:
        return [point.beat] if self._beats > 1 else []

    def _unit(self, point: Any, operand: str) -> Any:
        """Address of an operand in units of lanes, of ACT or ACC."""
        config = self._config
        address, in_acc = point[operand], point.context.flags[f"{operand}_memory"] == Memory.ACC
        group = address[log2(config.block_out // config.granule) : log2(config.act_depth)]
        return Cat(self._beat(point), Mux(in_acc, address[: log2(config.acc_depth)], group))

    def _place(self, point: Any, operand: str) -> Any:
        """The unit and its memory; as fewer gates than the unit: what does not count in an address is 0."""
        config = self._config
        address, memory = point[operand], point.context.flags[f"{operand}_memory"]
        in_act, in_acc = config.act_depth - config.block_out // config.granule, config.acc_depth - 1
        return Cat(self._beat(point), address & Mux(memory == Memory.ACC, in_acc, in_act), memory)

    def _banks(self, point: Any, operand: str) -> Any:
        config = self._config
        address, in_acc = point[operand], point.context.flags[f"{operand}_memory"] == Memory.ACC
        act = one_bank(address[: log2(config.act_depth)], config.act_banks)
        acc = one_bank(address[: log2(config.acc_depth)], config.acc_banks)
        return Cat(Mux(in_acc, 0, act), Mux(in_acc, acc, 0))
