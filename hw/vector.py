"""The vector engine: reduce, combine, requantise and write, one vector of lanes a cycle."""

from itertools import pairwise
from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from ..config import Config
from ..isa.table import Memory, Opcode
from .cells import ScratchpadShape
from .scratchpad import ScratchpadReader, ScratchpadWriter
from .sequencer import Sequencer
from .signatures import engine_members
from .vector_datapath import ASK_BIAS, ASK_SCALE, FLAGS, RESULTS, VectorDatapath, VectorStep, table_members
from .vector_steps import VectorSteps, place_bits, unit_bits
from .vector_window import VectorWindow

__all__ = ["VectorEngine"]


class VectorEngine(Component):
    """See docs/isa.md, VECTOR. Channels beyond `vector_lanes` take further passes over the nest.

    Parameters
    ----------
    act, acc, bias, scale
        Shapes of the scratchpads it works on.

    Members
    -------
    a_act, a_acc, b_act, b_acc, bias_read, scale_read, act_write, acc_write
        Its clients' ends of the scratchpads. It asks for no operand in a bank that the matrix engine reads, and counts
        on being served.
    gemm_act, gemm_acc
        The banks from which the matrix engine reads in the next cycle, a bit for each.
    keeps_act, keeps_acc
        The banks in which the operands of the present step lie, from which it may read; registers say which.
    """

    def __init__(
        self,
        config: Config,
        *,
        act: ScratchpadShape,
        acc: ScratchpadShape,
        bias: ScratchpadShape,
        scale: ScratchpadShape,
    ) -> None:
        lanes = config.vector_lanes
        self._config = config
        super().__init__(
            {
                **engine_members(Opcode.VECTOR),
                "a_act": Out(ScratchpadReader(act, lanes)),
                "a_acc": Out(ScratchpadReader(acc, 4 * lanes)),
                "b_act": Out(ScratchpadReader(act, lanes)),
                "b_acc": Out(ScratchpadReader(acc, 4 * lanes)),
                "bias_read": Out(ScratchpadReader(bias, 4 * lanes)),
                "scale_read": Out(ScratchpadReader(scale, 8 * lanes)),
                "act_write": Out(ScratchpadWriter(act, lanes)),
                "acc_write": Out(ScratchpadWriter(acc, 4 * lanes)),
                "gemm_act": In(config.act_banks),
                "gemm_acc": In(config.acc_banks),
                "keeps_act": Out(config.act_banks),
                "keeps_acc": Out(config.acc_banks),
                **table_members(config),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        config = self._config
        m.submodules.sequencer = sequencer = Sequencer(Opcode.VECTOR)
        for name in ("instruction", "tokens"):
            connect(m, getattr(sequencer, name), flipped(getattr(self, name)))
        for name in ("pending", "oldest", "started", "started_index", "retired", "retired_index"):
            m.d.comb += getattr(self, name).eq(getattr(sequencer, name))
        m.d.comb += sequencer.halt.eq(self.halt)
        m.submodules.steps = steps = VectorSteps(config)
        connect(m, sequencer.nest, steps.nest)
        written = data.StructLayout({"memory": 1, "address": unit_bits(config), "rows": config.rows, "last": 1})
        m.submodules.window = window = VectorWindow(place_bits=place_bits(config), written=written, depth=RESULTS)
        issue, step = self._issue(m, steps, window)
        present = steps.step.p.keeps & steps.step.valid.replicate(config.act_banks + config.acc_banks)
        m.d.comb += Cat(self.keeps_act, self.keeps_acc).eq(present)
        path = self._connect(m, step, self._pipe(m, steps.step.p, step.result))
        self._write(m, path, window, sequencer)
        m.d.comb += [
            self.awake.eq(sequencer.awake | self.pending | steps.busy),
            self.activity.busy.eq(steps.busy | self.pending | self.instruction.valid),
            self.activity.token.eq(sequencer.waiting & ~steps.busy),
            self.activity.bank.eq(steps.step.valid & ~issue & ~self.halt),
            self.activity.progress.eq(issue | sequencer.started | sequencer.retired | window.release),
        ]
        return m

    def _issue(self, m: Module, steps: VectorSteps, window: VectorWindow) -> tuple[Signal, Any]:
        """Ask for operands; a step goes on when it has all of them.

        Operand B is asked for with A or after it: where both lie in one bank, A comes first and is held.
        """
        step, flags = steps.step.p, steps.step.p.flags
        may, issue, a_now, a_held = Signal(), Signal(), Signal(), Signal()
        a_free, b_free, a_wanted = Signal(), Signal(), Signal()
        taken = self._taken(m, steps)
        m.d.comb += [
            may.eq(steps.step.valid & window.room & ~self.halt),
            a_wanted.eq(step.a_needed & ~a_held),
            a_free.eq(~window.hit_a & ~taken[0]),
            b_free.eq(~window.hit_b & ~taken[1] & ~(step.meet & a_wanted)),
            a_now.eq(may & a_wanted & a_free),
            issue.eq(may & (~a_wanted | a_free) & (~step.b_needed | b_free)),
            steps.step.ready.eq(issue),
        ]
        m.d.sync += a_held.eq(~issue & (a_held | a_now))
        self._ask(m, "a", flags.a_memory, step.a, a_now)
        self._ask(m, "b", flags.b_memory, step.b, issue & step.b_needed)
        m.d.comb += [
            window.move.eq(steps.moves),
            window.next_a.eq(steps.coming.a_place),
            window.next_b.eq(steps.coming.b_place),
            window.claim.eq(steps.step.valid & step.result),
            window.place.eq(step.place),
            window.claimed.memory.eq(flags.dst_memory),
            window.claimed.address.eq(step.dst),
            window.claimed.rows.eq(step.row_mask),
            window.claimed.last.eq(step.last),
        ]
        going = Signal(VectorStep())
        marks = {"a_fresh": a_now, "step": issue, "first": step.first, "result": issue & step.result}
        m.d.comb += [going[name].eq(value) for name, value in marks.items()]
        m.d.comb += [going[name].eq(flags[name]) for name in FLAGS]
        return issue, going

    def _taken(self, m: Module, steps: VectorSteps) -> list[Signal]:
        """Registers: whether the matrix engine reads from the bank that an operand lies in."""
        gemm, answers = Cat(self.gemm_act, self.gemm_acc), []
        for operand in "ab":
            taken = Signal(name=f"{operand}_taken")
            coming, present = steps.coming[f"{operand}_banks"], steps.step.p[f"{operand}_banks"]
            m.d.sync += taken.eq(Mux(steps.moves, (coming & gemm).any(), (present & gemm).any()))
            answers.append(taken)
        return answers

    def _ask(self, m: Module, operand: str, memory: Any, unit: Any, ask: Any) -> None:
        act, acc = getattr(self, f"{operand}_act").request, getattr(self, f"{operand}_acc").request
        m.d.comb += [
            act.valid.eq(ask & (memory == Memory.ACT)),
            act.payload.eq(unit),
            acc.valid.eq(ask & (memory == Memory.ACC)),
            acc.payload.eq(unit),
        ]

    def _pipe(self, m: Module, step: Any, result: Any) -> list[Any]:
        """What a result's bias and scale are asked for by, until they are."""
        layout = data.StructLayout({"result": 1, "bias": len(step.bias), "scale": len(step.scale)})
        pipe = [Signal(layout, name=f"pipe{n}") for n in range(max(ASK_BIAS, ASK_SCALE) + 1)]
        m.d.comb += [
            pipe[0].result.eq(result),
            pipe[0].bias.eq(step.bias),
            pipe[0].scale.eq(step.scale),
        ]
        for before, after in pairwise(pipe):
            m.d.sync += after.eq(before)
        return pipe

    def _connect(self, m: Module, step: Any, pipe: list[Any]) -> VectorDatapath:
        """The data path between the memories' answers and the results."""
        m.submodules.datapath = path = VectorDatapath(self._config)
        ask_bias, ask_scale = pipe[ASK_BIAS], pipe[ASK_SCALE]
        m.d.comb += [
            path.step.eq(step),
            self.bias_read.request.valid.eq(ask_bias.result),
            self.bias_read.request.payload.eq(ask_bias.bias),
            self.scale_read.request.valid.eq(ask_scale.result),
            self.scale_read.request.payload.eq(ask_scale.scale),
            path.bias.eq(self.bias_read.data[0]),
            path.scale.eq(self.scale_read.data[0]),
            path.table_entry.eq(self.table_entry),
            self.table_enable.eq(path.table_enable),
            self.table_address.eq(path.table_address),
        ]
        for name in ("a_act", "a_acc", "b_act", "b_acc"):
            m.d.comb += getattr(path, name).eq(getattr(self, name).data)
        return path

    def _write(self, m: Module, path: VectorDatapath, window: VectorWindow, sequencer: Sequencer) -> None:
        """Results go to their memories in order."""
        oldest, act, acc = window.oldest, self.act_write.request, self.acc_write.request
        to_acc = oldest.memory == Memory.ACC
        m.d.comb += [
            act.valid.eq(path.ready & ~to_acc),
            acc.valid.eq(path.ready & to_acc),
            window.release.eq(path.ready & Mux(to_acc, acc.ready, act.ready)),
            path.take.eq(window.release),
            sequencer.complete.eq(window.release & oldest.last),
        ]
        for request in (act, acc):
            m.d.comb += [request.p.address.eq(oldest.address), request.p.rows.eq(oldest.rows)]
        for row, values in enumerate(path.result):
            m.d.comb += acc.p.data[row].eq(values.as_value())
            m.d.comb += act.p.data[row].eq(Cat(value.as_unsigned()[:8] for value in values))
