"""The memory port: joins the fetch, load and store clients on one AXI4 manager."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from ..config import Config
from .queue import Queue
from .signatures import Axi4, ReadPort, WritePort, log2

__all__ = ["WRITES_OUTSTANDING", "MemoryPort"]

WRITES_OUTSTANDING = 8
_FETCH_ID, _LOAD_ID = 0, 1
_INCR = 1
_BUFFERABLE = 0b0011


class MemoryPort(Component):
    """Reads and writes don't wait for each other; a request once accepted goes to its end.

    Members
    -------
    m_axi
        Fetch reads with id 0, load with id 1; writes with id 0. All outputs but `rready` are registers
        or come from a queue.
    fetch, load
        Read clients; fetch goes first. Up to `reads_outstanding` bursts are in flight.
    store
        The write client; up to WRITES_OUTSTANDING bursts are in flight.
    idle
        Nothing is in flight or waits to be.
    awake
        Something here may change at the next edge.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        super().__init__(
            {
                "m_axi": Out(Axi4(config)),
                "fetch": In(ReadPort(config)),
                "load": In(ReadPort(config)),
                "store": In(WritePort(config)),
                "idle": Out(1),
                "awake": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        axi = self.m_axi
        for channel in ("ar", "aw"):
            m.d.comb += [
                getattr(axi, f"{channel}size").eq(log2(self._config.bus_bytes)),
                getattr(axi, f"{channel}burst").eq(_INCR),
                getattr(axi, f"{channel}cache").eq(_BUFFERABLE),
            ]
        reads, writes = self._ask_reads(m), self._ask_writes(m)
        undelivered = self._route_beats(m)
        m.d.comb += self.idle.eq(~(reads.any() | writes.any() | undelivered))
        requests = self.fetch.request.valid | self.load.request.valid | self.store.request.valid
        bus = axi.arvalid | axi.rvalid | axi.awvalid | axi.wvalid | axi.bvalid
        m.d.comb += self.awake.eq(requests | bus | undelivered | self.store.beat.valid | self.store.done)
        return m

    def _ask_reads(self, m: Module) -> Signal:
        axi, limit = self.m_axi, self._config.reads_outstanding
        in_flight = Signal(range(limit + 1), name="reads_in_flight")
        room, ask = Signal(), Signal()
        fetch, load = self.fetch.request, self.load.request
        m.d.comb += [
            room.eq((~axi.arvalid | axi.arready) & (in_flight != limit)),
            fetch.ready.eq(room),
            load.ready.eq(room & ~fetch.valid),
            ask.eq(room & (fetch.valid | load.valid)),
        ]
        asked = Signal(fetch.payload.shape(), name="read_asked", reset_less=True)
        number = Signal(name="read_id", reset_less=True)
        m.d.comb += [axi.araddr.eq(asked.address), axi.arlen.eq(asked.beats), axi.arid.eq(number)]
        with m.If(ask):
            m.d.sync += [
                axi.arvalid.eq(1),
                number.eq(Mux(fetch.valid, _FETCH_ID, _LOAD_ID)),
                asked.eq(Mux(fetch.valid, fetch.payload, load.payload)),
            ]
        with m.Elif(axi.arready):
            m.d.sync += axi.arvalid.eq(0)
        m.d.sync += in_flight.eq(in_flight + ask - (axi.rvalid & axi.rready & axi.rlast))
        return in_flight

    def _route_beats(self, m: Module) -> Any:
        """A short queue keeps the clients' ready out of the bus's timing."""
        axi, bits = self.m_axi, self._config.bus_bits
        shape = data.StructLayout({"id": 1, "data": bits, "last": 1, "error": 1})
        m.submodules.beats = beats = Queue(shape, depth=2)
        m.d.comb += [
            beats.input.valid.eq(axi.rvalid),
            axi.rready.eq(beats.input.ready),
            beats.input.p.id.eq(axi.rid),
            beats.input.p.data.eq(axi.rdata),
            beats.input.p.last.eq(axi.rlast),
            beats.input.p.error.eq(axi.rresp[1]),
        ]
        beat = beats.output
        for client, number in ((self.fetch, _FETCH_ID), (self.load, _LOAD_ID)):
            m.d.comb += client.beat.valid.eq(beat.valid & (beat.p.id == number))
            m.d.comb += [client.beat.p[name].eq(beat.p[name]) for name in ("data", "last", "error")]
        m.d.comb += beat.ready.eq(Mux(beat.p.id == _FETCH_ID, self.fetch.beat.ready, self.load.beat.ready))
        return beat.valid

    def _ask_writes(self, m: Module) -> Signal:
        axi, request = self.m_axi, self.store.request
        length = data.StructLayout({"beats": 8, "single": 1})
        m.submodules.lengths = lengths = Queue(length, depth=WRITES_OUTSTANDING)
        in_flight = Signal(range(WRITES_OUTSTANDING + 1), name="writes_in_flight")
        ask, answered = Signal(), Signal()
        m.d.comb += [
            request.ready.eq((~axi.awvalid | axi.awready) & (in_flight != WRITES_OUTSTANDING)),
            ask.eq(request.valid & request.ready),
            lengths.input.valid.eq(ask),
            lengths.input.p.beats.eq(request.p.beats),
            lengths.input.p.single.eq(request.p.beats == 0),
            axi.bready.eq(1),
            answered.eq(axi.bvalid & axi.bready),
        ]
        asked = Signal(request.payload.shape(), name="write_asked", reset_less=True)
        m.d.comb += [axi.awaddr.eq(asked.address), axi.awlen.eq(asked.beats)]
        with m.If(ask):
            m.d.sync += [axi.awvalid.eq(1), asked.eq(request.payload)]
        with m.Elif(axi.awready):
            m.d.sync += axi.awvalid.eq(0)
        m.d.sync += [
            in_flight.eq(in_flight + ask - answered),
            self.store.done.eq(answered),
            self.store.error.eq(axi.bresp[1]),
        ]
        self._send(m, lengths.output)
        return in_flight

    def _send(self, m: Module, lengths: Any) -> None:
        """Write data follow their addresses; a short queue keeps the bus's ready out of the store engine's timing."""
        axi, beat = self.m_axi, self.store.beat
        sent, first, ending = Signal(8), Signal(init=1), Signal()
        take, last = Signal(), Signal()
        m.submodules.words = words = Queue(data.StructLayout({"beat": beat.payload.shape(), "last": 1}), depth=2)
        m.d.comb += [
            words.input.valid.eq(beat.valid & lengths.valid),
            words.input.p.beat.eq(beat.payload),
            words.input.p.last.eq(last),
            beat.ready.eq(words.input.ready & lengths.valid),
            take.eq(beat.valid & beat.ready),
            last.eq(Mux(first, lengths.p.single, ending)),
            lengths.ready.eq(take & last),
            axi.wvalid.eq(words.output.valid),
            axi.wdata.eq(words.output.p.beat.data),
            axi.wstrb.eq(words.output.p.beat.strobe),
            axi.wlast.eq(words.output.p.last),
            words.output.ready.eq(axi.wready),
        ]
        with m.If(take):
            m.d.sync += [sent.eq(Mux(last, 0, sent + 1)), first.eq(last), ending.eq(sent + 1 == lengths.p.beats)]
