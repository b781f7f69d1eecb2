"""The accelerator: everything between the AXI4 bus and the AXI4-Lite registers."""

from itertools import zip_longest
from typing import Any

from amaranth import (
    Cat,
    ClockDomain,
    ClockSignal,
    Const,
    DomainRenamer,
    Module,
    Mux,
    ResetInserter,
    ResetSignal,
    Signal,
)
from amaranth.lib.wiring import Component, In, Out, Signature, connect, flipped

from ..config import Config
from ..isa.registers import COUNTERS
from ..isa.table import ENGINES, Engine, Memory, Opcode
from .counters import Counters
from .csr import ControlRegisters
from .fetch import Fetch
from .gemm import GemmEngine
from .layout import INDEX_BITS, queued
from .load import LoadEngine
from .onchip import OnChipMemories, scratchpad_shapes
from .port import MemoryPort
from .queue import Queue
from .signatures import Axi4, AxiLite
from .store import StoreEngine
from .supervisor import Supervisor
from .tokens import Tokens
from .vector import VectorEngine

__all__ = ["GATED", "Core", "Trace"]

_ENGINES = tuple(engine.name.lower() for engine in ENGINES)
GATED = (*_ENGINES, "ahead", "front", "sample")


class Trace(Signature):
    """Starts and retirements of instructions, for simulators that draw timelines; costs nothing unconnected."""

    def __init__(self) -> None:
        events = Signature(
            {"started": Out(1), "started_index": Out(INDEX_BITS), "retired": Out(1), "retired_index": Out(INDEX_BITS)}
        )
        super().__init__({engine.name.lower(): Out(events) for engine in ENGINES})


class Core(Component):
    """One accelerator.

    Members
    -------
    m_axi
        AXI4 manager: instructions and data.
    s_axi
        AXI4-Lite subordinate: ``isa/registers.py``.
    irq
        High while the core is done or holds an error, where CONTROL enables it.
    trace
        See :class:`Trace`.
    clocks, awake
        With `gated_clocks`, the parts in GATED have clocks of their own. The surroundings raise a part's clock
        together with ``clk``, and may leave it low in cycles before whose edge its `awake` is 0: nothing in
        it would change. A simulator need not evaluate what is not clocked. What is awake together has one clock:
        the engines' includes what mostly they use, and ``ahead`` is that of the parts of LOAD and STORE which work
        once for a burst. The clock ``sample`` comes before all others, in no time: it shows the registers the counters,
        which otherwise would be looked at whenever one of them counts.
    """

    def __init__(self, config: Config, *, gated_clocks: bool = False) -> None:
        self._config, self._gated = config, gated_clocks
        lines = Signature({name: Out(1) for name in GATED})
        gating = {"clocks": In(lines), "awake": Out(lines)} if gated_clocks else {}
        super().__init__(
            {"m_axi": Out(Axi4(config)), "s_axi": In(AxiLite()), "irq": Out(1), "trace": Out(Trace()), **gating}
        )

    @property
    def _front(self) -> str:
        return "front" if self._gated else "sync"

    @property
    def _ahead(self) -> str:
        return "ahead" if self._gated else "sync"

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        config = self._config
        shapes = scratchpad_shapes(config)
        act, acc, wgt = shapes[Memory.ACT], shapes[Memory.ACC], shapes[Memory.WGT]
        engines: dict[Engine, Any] = {
            Engine.LOAD: LoadEngine(config, ahead=self._ahead),
            Engine.GEMM: GemmEngine(config, act=act, wgt=wgt, acc=acc),
            Engine.VECTOR: VectorEngine(config, act=act, acc=acc, bias=shapes[Memory.BIAS], scale=shapes[Memory.SCALE]),
            Engine.STORE: StoreEngine(config, ahead=self._ahead),
        }
        fetch, port, tokens = Fetch(config), MemoryPort(config), Tokens(config)
        memories = OnChipMemories(config, gated_clocks=self._gated)
        reset = Signal()
        supervisor, csr = Supervisor(("fetch", *_ENGINES)), ControlRegisters(config)
        m.submodules.supervisor = self._in_domain("front", supervisor)
        m.submodules.csr = self._in_domain("front", csr)
        m.submodules.counters = counters = Counters(config)
        m.submodules.memories = memories
        m.submodules.fetch = self._in_domain("front", ResetInserter(reset)(fetch))
        m.submodules.tokens = self._in_domain("front", self._with_reset(m, "tokens", tokens, reset))
        m.submodules.port = self._in_domain("load", self._with_reset(m, "port", port, reset))
        for engine, part in engines.items():
            name = engine.name.lower()
            m.submodules[name] = self._in_domain(name, self._with_reset(m, name, part, reset))
        m.d.comb += reset.eq(supervisor.reset | supervisor.begin)
        heads = self._queues(m, fetch, engines, reset)
        self._memory_side(m, engines, fetch, port, memories)
        self._control_side(m, csr, supervisor, fetch, engines, heads)
        self._observe(m, csr, supervisor, counters, fetch, engines, port)
        for engine, part in engines.items():
            connect(m, part.tokens, getattr(tokens, engine.name.lower()))
        if self._gated:
            front = (csr, supervisor, fetch, tokens, *heads.values())
            awake = {e.name.lower(): supervisor.halt | part.awake for e, part in engines.items()}
            awake["load"] |= port.awake
            awake["ahead"] = supervisor.halt | Cat(engines[e].ahead_awake for e in (Engine.LOAD, Engine.STORE)).any()
            awake["gemm"] |= memories.awake.gemm
            awake["vector"] |= memories.awake.vector
            faults = Cat(part.fault.valid for part in (fetch, *engines.values()))
            awake["front"] = fetch.start | faults.any() | Cat(part.awake for part in front).any()
            awake["sample"] = csr.awake
            following = Signal()
            m.d.front += following.eq(reset)
            self._gate(m, {name: reset | following | line for name, line in awake.items()})
        return m

    def _gate(self, m: Module, awake: dict[str, Any]) -> None:
        for name in GATED:
            m.domains += ClockDomain(name)
            m.d.comb += [
                ClockSignal(name).eq(getattr(self.clocks, name)),
                ResetSignal(name).eq(ResetSignal()),
                getattr(self.awake, name).eq(awake[name]),
            ]

    def _in_domain(self, name: str, part: Any) -> Any:
        return DomainRenamer(name)(part) if self._gated else part

    def _beside(self, m: Module, name: str, value: Any, domain: str) -> Signal:
        """`value` a cycle later, in a register of its own, which synthesis keeps: it can lie beside what it is for."""
        copy = Signal(name=name, attrs={"keep": 1})
        m.d[domain] += copy.eq(value)
        return copy

    def _with_reset(self, m: Module, name: str, part: Any, reset: Signal) -> Any:
        copy = self._beside(m, f"{name}_reset", reset, self._front)
        return ResetInserter({"sync": copy, self._ahead: copy})(part)

    def _queues(self, m: Module, fetch: Fetch, engines: dict[Engine, Any], reset: Signal) -> dict[Engine, Any]:
        heads = {}
        opcodes = {Engine.LOAD: Opcode.LOAD, Engine.GEMM: Opcode.GEMM, Engine.VECTOR: Opcode.VECTOR}
        for engine, part in engines.items():
            shape = queued(opcodes.get(engine, Opcode.STORE))
            queue = Queue(shape, depth=self._config.queue_depth, block_memory=True, pauses=True)
            name = f"{engine.name.lower()}_queue"
            m.submodules[name] = self._in_domain("front", self._with_reset(m, name, queue, reset))
            connect(m, getattr(fetch, engine.name.lower()), queue.input)
            connect(m, queue.output, part.instruction)
            heads[engine] = queue
        return heads

    def _memory_side(
        self, m: Module, engines: dict[Engine, Any], fetch: Fetch, port: MemoryPort, memories: OnChipMemories
    ) -> None:
        load, store = engines[Engine.LOAD], engines[Engine.STORE]
        gemm, vector = engines[Engine.GEMM], engines[Engine.VECTOR]
        connect(m, flipped(self.m_axi), port.m_axi)
        connect(m, fetch.port, port.fetch)
        connect(m, load.port, port.load)
        connect(m, store.port, port.store)
        connect(m, load.cells, memories.load)
        connect(m, store.cells, memories.store)
        for mine, theirs in (
            ("act_read", "gemm_act"), ("wgt_read", "gemm_wgt"), ("acc_read", "gemm_acc"),
            ("acc_write", "gemm_acc_write"),
        ):  # fmt: skip
            connect(m, getattr(gemm, mine), getattr(memories, theirs))
        for mine, theirs in (
            ("a_act", "a_act"), ("a_acc", "a_acc"), ("b_act", "b_act"), ("b_acc", "b_acc"), ("bias_read", "bias"),
            ("scale_read", "scale"), ("act_write", "vector_act_write"), ("acc_write", "vector_acc_write"),
        ):  # fmt: skip
            connect(m, getattr(vector, mine), getattr(memories, theirs))
        m.d.comb += [
            vector.gemm_act.eq(gemm.coming_act),
            vector.gemm_acc.eq(gemm.coming_acc),
            memories.vector_act.eq(vector.keeps_act),
            memories.vector_acc.eq(vector.keeps_acc),
            memories.table_enable.eq(vector.table_enable),
            memories.table_address.eq(vector.table_address),
            vector.table_entry.eq(memories.table_entry),
        ]

    def _control_side(
        self,
        m: Module,
        csr: ControlRegisters,
        supervisor: Supervisor,
        fetch: Fetch,
        engines: dict[Engine, Any],
        heads: dict[Engine, Any],
    ) -> None:
        connect(m, flipped(self.s_axi), csr.s_axi)
        for name in ("fetch", *(e.name.lower() for e in ENGINES)):
            source = fetch if name == "fetch" else engines[Engine[name.upper()]]
            caught = getattr(supervisor, name)
            m.d[self._front] += [
                getattr(caught, part).eq(getattr(source.fault, part)) for part in ("valid", "code", "index")
            ]
            domain = name if self._gated and name != "fetch" else self._front
            m.d.comb += source.halt.eq(self._beside(m, f"{name}_halt", supervisor.halt, domain))
        begin = Signal()
        m.d[self._front] += begin.eq(supervisor.begin)
        idle = [~part.pending & ~heads[engine].occupied for engine, part in engines.items()]
        m.d.comb += [
            supervisor.start.eq(csr.start),
            supervisor.soft_reset.eq(csr.soft_reset),
            supervisor.watchdog.eq(csr.watchdog),
            supervisor.oldest.eq(self._oldest(m, fetch, engines, heads)),
            supervisor.finished.eq(fetch.finished),
            fetch.start.eq(begin),
            fetch.base.eq(csr.program_base),
            fetch.count.eq(csr.program_count),
            fetch.engines_idle.eq(Cat(idle).all()),
        ]
        for engine in (Engine.LOAD, Engine.STORE):
            connect(m, csr.segments, engines[engine].segments)
        self._status(m, csr, supervisor)

    def _oldest(self, m: Module, fetch: Fetch, engines: dict[Engine, Any], heads: dict[Engine, Any]) -> Any:
        """Index of the oldest instruction that has not retired, once nothing has changed for some cycles.

        One comparison a cycle, and what it means for the choice in the next.
        """
        candidates: list[tuple[Any, Any]] = []
        for engine, part in engines.items():
            waiting = heads[engine].output
            candidates.append((part.pending | waiting.valid, Mux(part.pending, part.oldest, waiting.p.index)))
        candidates.append((Const(1), fetch.index))
        while len(candidates) > 1:
            older: list[tuple[Any, Any]] = []
            for (valid, index), (also, other) in zip_longest(
                candidates[::2], candidates[1::2], fillvalue=(Const(0), Const(0))
            ):
                number = f"{len(candidates)}_{len(older)}"
                valid_q, index_q = Signal(name=f"old_valid{number}"), Signal(INDEX_BITS, name=f"old_index{number}")
                younger = Signal(name=f"old_younger{number}")
                m.d[self._front] += [
                    valid_q.eq(valid | also),
                    younger.eq(other < index),
                    index_q.eq(Mux(valid & ~(also & younger), index, other)),
                ]
                older.append((valid_q, index_q))
            candidates = older
        return candidates[0][1]

    def _status(self, m: Module, csr: ControlRegisters, supervisor: Supervisor) -> None:
        m.d.comb += [
            csr.busy.eq(supervisor.busy),
            csr.done.eq(supervisor.done),
            csr.error_code.eq(supervisor.code),
            csr.error_index.eq(supervisor.index),
            self.irq.eq(csr.irq),
        ]

    def _observe(
        self,
        m: Module,
        csr: ControlRegisters,
        supervisor: Supervisor,
        counters: Counters,
        fetch: Fetch,
        engines: dict[Engine, Any],
        port: MemoryPort,
    ) -> None:
        axi = port.m_axi
        read_beat, written = axi.rvalid & axi.rready, axi.wvalid & axi.wready
        moves = fetch.dispatched | read_beat | written | (axi.arvalid & axi.arready) | (axi.bvalid & axi.bready)
        moved = Signal(1 + len(engines))
        m.d.sync += moved.eq(Cat(moves, *(part.activity.progress for part in engines.values())))
        m.d.comb += [
            supervisor.bus_idle.eq(port.idle),
            supervisor.progress.eq(moved.any()),
            counters.running.eq(supervisor.busy),
            counters.clear.eq(supervisor.begin),
            counters.read_beat.eq(read_beat),
            counters.write_strobe.eq(Mux(written, axi.wstrb, 0)),
        ]
        values = counters.values
        if self._gated:
            values = Signal(counters.values.shape(), name="sampled")
            m.d.sample += values.eq(counters.values)
        for n in range(len(COUNTERS)):
            m.d.comb += csr.counters[n].eq(values[n])
        for engine, part in engines.items():
            name = engine.name.lower()
            connect(m, part.activity, getattr(counters, name))
            m.d.comb += counters.retired[engine].eq(part.retired)
            events = getattr(self.trace, name)
            for event in ("started", "started_index", "retired", "retired_index"):
                m.d.comb += getattr(events, event).eq(getattr(part, event))
