"""The core's AXI4 bus on the system's memory."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from ...config import Config
from ...hw.queue import Queue
from ...hw.signatures import Axi4, log2
from .memory_bus import MemoryBus

__all__ = ["AxiMemory"]

_OKAY, _DECODE_ERROR = 0, 3
_INCREMENTING = 1


class AxiMemory(Component):
    """An AXI4 subordinate: bursts become commands, reads and writes taking turns by burst.

    Answers come in the order of requests. A burst outside the memory is answered with a decode error and changes
    nothing. Bursts must be incrementing, of whole words, and stay inside 4 KiB, as the core's are.

    Parameters
    ----------
    base, size
        Where the memory lies on the bus, in bytes; `size` is a power of two and divides `base`.
    requests
        Bursts that wait, each way.
    answers
        Read words on their way.

    Members
    -------
    axi
        The manager's bus.
    memory
        The memory's words.
    """

    def __init__(self, config: Config, *, base: int, size: int, requests: int = 4, answers: int = 16) -> None:
        self._config, self._base, self._size = config, base, size
        self._requests, self._answers = requests, answers
        words = log2(size // config.bus_bytes)
        super().__init__(
            {"axi": In(Axi4(config)), "memory": Out(MemoryBus(address_bits=words, word_bytes=config.bus_bytes))}
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        reads, writes = self._requests_of(m, "ar"), self._requests_of(m, "aw")
        self._take_data(m)
        writing = Signal()
        self._commands(m)
        read = self._read(m, reads, enable=~writing)
        write = self._write(m, writes, enable=writing)
        self._take_turns(m, writing, read, write)
        given = self._given.input
        m.d.comb += [
            given.p.command.write.eq(writing),
            given.p.command.address.eq(Mux(writing, write.address, read.address)),
            given.p.command.data.eq(self._data.output.p.data),
            given.p.command.strobe.eq(Mux(write.outside, 0, self._data.output.p.strobe)),
            given.p.ends.eq(writing & write.last),
            given.p.id.eq(write.id),
            given.p.outside.eq(write.outside),
            given.valid.eq(Mux(writing, write.valid, read.valid)),
        ]
        return m

    def _commands(self, m: Module) -> None:
        """Commands pass a queue, so that whether another has the memory goes no further; with each, what its burst's
        answer takes if the burst `ends` with it."""
        command = self.memory.command
        shape = data.StructLayout({"command": command.payload.shape(), "ends": 1, "id": 1, "outside": 1})
        m.submodules.given = self._given = Queue(shape, depth=2)
        given = self._given.output
        m.d.comb += [
            command.payload.eq(given.p.command),
            command.valid.eq(given.valid),
            given.ready.eq(command.ready),
        ]

    def _requests_of(self, m: Module, channel: str) -> Queue:
        """Bursts as they were asked for: where in the memory, how long, by whom."""
        words = log2(self._size // self._config.bus_bytes)
        shape = data.StructLayout({"address": words, "beats": 8, "id": 1, "outside": 1})
        m.submodules[channel] = queue = Queue(shape, depth=self._requests)
        axi, low = self.axi, log2(self._config.bus_bytes)
        address = getattr(axi, f"{channel}addr")
        m.d.comb += [
            queue.input.valid.eq(getattr(axi, f"{channel}valid")),
            getattr(axi, f"{channel}ready").eq(queue.input.ready),
            queue.input.p.address.eq(address[low : low + words]),
            queue.input.p.beats.eq(getattr(axi, f"{channel}len")),
            queue.input.p.id.eq(getattr(axi, f"{channel}id")),
            queue.input.p.outside.eq(address[low + words :] != self._base >> (low + words)),
        ]
        return queue

    def _take_data(self, m: Module) -> None:
        """Words to write pass a queue, so that the memory's answer goes no further."""
        axi = self.axi
        shape = data.StructLayout({"data": self._config.bus_bits, "strobe": self._config.bus_bytes})
        m.submodules.w = self._data = Queue(shape, depth=2)
        m.d.comb += [
            self._data.input.valid.eq(axi.wvalid),
            axi.wready.eq(self._data.input.ready),
            self._data.input.p.data.eq(axi.wdata),
            self._data.input.p.strobe.eq(axi.wstrb),
        ]

    def _read(self, m: Module, requests: Queue, *, enable: Any) -> "_Beat":
        """Words are asked for only with room for their answers."""
        axi = self.axi
        label = data.StructLayout({"id": 1, "last": 1, "outside": 1})
        m.submodules.labels = labels = Queue(label, depth=self._answers)
        m.submodules.words = words = Queue(self._config.bus_bits, depth=self._answers)
        beat = _Beat(m, "read", requests.output)
        sent = Signal(name="read_sent")
        m.d.comb += [
            beat.valid.eq(beat.waits & labels.input.ready),
            sent.eq(enable & beat.valid & self._given.input.ready),
            beat.move.eq(sent),
            labels.input.valid.eq(sent),
            labels.input.p.id.eq(beat.id),
            labels.input.p.last.eq(beat.last),
            labels.input.p.outside.eq(beat.outside),
            words.input.valid.eq(self.memory.answered),
            words.input.payload.eq(self.memory.answer),
            axi.rvalid.eq(words.output.valid),
            words.output.ready.eq(axi.rready),
            labels.output.ready.eq(axi.rready & axi.rvalid),
            axi.rid.eq(labels.output.p.id),
            axi.rlast.eq(labels.output.p.last),
            axi.rresp.eq(Mux(labels.output.p.outside, _DECODE_ERROR, _OKAY)),
            axi.rdata.eq(words.output.payload),
        ]
        return beat

    def _write(self, m: Module, requests: Queue, *, enable: Any) -> "_Beat":
        """A burst is answered when the memory has accepted its last word: what is accepted later sees it."""
        axi = self.axi
        answer = data.StructLayout({"id": 1, "outside": 1})
        m.submodules.answers = answers = Queue(answer, depth=self._requests)
        word, given = self._data.output, self._given.output
        unanswered, full = Signal(range(self._requests + 1)), Signal(name="all_unanswered")
        beat = _Beat(m, "write", requests.output, room=~full)
        sent = Signal(name="write_sent")
        # A burst is taken only with room for its answer.
        begins, ends = requests.output.valid & requests.output.ready, axi.bvalid & axi.bready
        with m.If(begins & ~ends):
            m.d.sync += [unanswered.eq(unanswered + 1), full.eq(unanswered == self._requests - 1)]
        with m.Elif(ends & ~begins):
            m.d.sync += [unanswered.eq(unanswered - 1), full.eq(0)]
        m.d.comb += [
            beat.valid.eq(beat.waits & word.valid),
            sent.eq(enable & beat.valid & self._given.input.ready),
            beat.move.eq(sent),
            word.ready.eq(enable & beat.waits & self._given.input.ready),
            answers.input.valid.eq(given.valid & given.ready & given.p.ends),
            answers.input.p.id.eq(given.p.id),
            answers.input.p.outside.eq(given.p.outside),
            axi.bvalid.eq(answers.output.valid),
            answers.output.ready.eq(axi.bready),
            axi.bid.eq(answers.output.p.id),
            axi.bresp.eq(Mux(answers.output.p.outside, _DECODE_ERROR, _OKAY)),
        ]
        return beat

    def _take_turns(self, m: Module, writing: Signal, read: "_Beat", write: "_Beat") -> None:
        """After each burst the other direction goes next, if it has one that can begin."""
        can_read, can_write = read.waits, write.waits & self._data.output.valid
        within = Signal()
        moved, last = Mux(writing, write.move, read.move), Mux(writing, write.last, read.last)
        with m.If(moved):
            m.d.sync += within.eq(~last)
        with m.If((moved & last) | (~moved & ~within)):
            m.d.sync += writing.eq(Mux(writing, ~can_read, can_write))


class _Beat:
    """The next word of the burst whose turn it is, in registers; with its last word the next is taken if `room`.

    Members
    -------
    waits
        There is one.
    address, id, outside, last
        Its place, its burst's marks, and whether the burst ends with it.
    valid
        It can be sent.
    move
        It is sent.
    """

    def __init__(self, m: Module, name: str, asked: Any, room: Any = 1) -> None:
        self.waits = Signal(name=f"{name}_waits")
        self.last = Signal(name=f"{name}_last", reset_less=True)
        self.valid = Signal(name=f"{name}_valid")
        self.move = Signal(name=f"{name}_move")
        burst = Signal(asked.payload.shape(), name=f"{name}_burst", reset_less=True)
        self.address, self.id, self.outside = burst.address, burst.id, burst.outside
        m.d.comb += asked.ready.eq((~self.waits | (self.move & self.last)) & room)
        with m.If(asked.ready):
            m.d.sync += [self.waits.eq(asked.valid), burst.eq(asked.payload), self.last.eq(asked.p.beats == 0)]
        with m.Elif(self.move & self.last):
            m.d.sync += self.waits.eq(0)
        with m.Elif(self.move):
            # Bursts stay inside 4 KiB: no more than those bits ever count.
            m.d.sync += [burst.address.eq(burst.address + 1), burst.beats.eq(burst.beats - 1)]
            m.d.sync += self.last.eq(burst.beats == 1)
