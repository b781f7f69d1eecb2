"""The board's end of the host link: takes requests, carries each out once, answers."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import memory, stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from ...driver.frames import ANSWER, PAYLOAD_BYTES, PROTOCOL_VERSION, SYSTEM_PAGE, Kind, Status, System
from ...hw.signatures import AxiLite, log2
from .frame_receiver import FrameReceiver, Header
from .frame_sender import FrameSender
from .framing import Deframer, Framer
from .memory_bus import MemoryBus
from .memory_mover import MemoryMover
from .register_access import RegisterAccess
from .system_registers import SystemRegisters

__all__ = ["HostLink"]


class HostLink(Component):
    """Protocol of ``driver/frames.py`` on a stream of bytes each way.

    Parameters
    ----------
    base, size
        Where the memory lies, in bytes.
    clock_hz
        Shown to the host.

    Members
    -------
    received, sent
        The line's bytes.
    memory, registers
        What requests are carried out on.
    """

    def __init__(self, *, base: int, size: int, word_bytes: int, clock_hz: int) -> None:
        self._base, self._size, self._word_bytes = base, size, word_bytes
        self._values = {
            System.MEMORY_BASE: base,
            System.MEMORY_BYTES: size,
            System.WORD_BYTES: word_bytes,
            System.CLOCK_HZ: clock_hz,
        }
        super().__init__(
            {
                "received": In(stream.Signature(8, always_ready=True)),
                "sent": Out(stream.Signature(8)),
                "memory": Out(MemoryBus(address_bits=log2(size // word_bytes), word_bytes=word_bytes)),
                "registers": Out(AxiLite()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.receiver = receiver = FrameReceiver(word_bytes=self._word_bytes)
        m.submodules.sender = sender = FrameSender(word_bytes=self._word_bytes)
        m.submodules.registers = registers = RegisterAccess()
        m.submodules.mover = mover = MemoryMover(
            address_bits=log2(self._size // self._word_bytes), word_bytes=self._word_bytes
        )
        self._line(m, receiver, sender)
        self._buffer(m, receiver, sender, mover)
        connect(m, flipped(self.memory), mover.memory)
        connect(m, flipped(self.registers), registers.bus)
        self._operands(m, receiver.header, registers, mover)
        self._sequence(m, receiver, sender, registers, mover)
        return m

    def _line(self, m: Module, receiver: FrameReceiver, sender: FrameSender) -> None:
        m.submodules.deframer = deframer = Deframer()
        m.submodules.framer = framer = Framer()
        connect(m, flipped(self.received), deframer.input)
        connect(m, deframer.output, receiver.input)
        m.d.comb += receiver.flag.eq(deframer.flag)
        connect(m, sender.output, framer.input)
        connect(m, framer.output, flipped(self.sent))

    def _buffer(self, m: Module, receiver: FrameReceiver, sender: FrameSender, mover: MemoryMover) -> None:
        """One payload, coming or going: the two never meet."""
        words = PAYLOAD_BYTES // self._word_bytes
        m.submodules.payload = cells = memory.Memory(shape=8 * self._word_bytes, depth=words, init=[])
        write, read = cells.write_port(granularity=8), cells.read_port()
        m.d.comb += [
            write.en.eq(receiver.buffer.enable),
            write.addr.eq(receiver.buffer.address),
            write.data.eq(receiver.buffer.data),
            read.addr.eq(Mux(sender.busy, sender.read_address, mover.read_address)),
            sender.read_data.eq(read.data),
            mover.read_data.eq(read.data),
        ]
        with m.If(~receiver.listen):
            m.d.comb += [
                write.en.eq(mover.buffer.enable),
                write.addr.eq(mover.buffer.address),
                write.data.eq(mover.buffer.data),
            ]

    def _operands(self, m: Module, header: Any, registers: RegisterAccess, mover: MemoryMover) -> None:
        """One cycle late, when the header stands long since."""
        low = log2(self._word_bytes)
        m.d.sync += [
            registers.write.eq(header.kind == Kind.WRITE_REGISTER),
            registers.address.eq(header.address),
            registers.data.eq(header.value),
            mover.write.eq(header.kind == Kind.WRITE_MEMORY),
            mover.address.eq((header.address - self._base)[low:]),
            mover.words.eq(header.length >> low),
            mover.head.eq(header.value[:8]),
            mover.tail.eq(header.value[8:16]),
        ]

    def _allowed(self, m: Module, header: Any) -> Signal:
        """Whether the request's address and length exist. One cycle late, when the header stands long since."""
        low, allowed = log2(self._word_bytes), Signal()
        place, end = Signal(33), Signal(33)
        m.d.comb += [place.eq(header.address - self._base), end.eq(place[:32] + header.length)]
        inside = (header.address >= self._base) & (end <= self._size)
        whole = (header.length != 0) & (header.length <= PAYLOAD_BYTES) & ~(Cat(header.length[:low], place[:low]).any())
        with m.Switch(header.kind):
            with m.Case(Kind.READ_MEMORY, Kind.WRITE_MEMORY):
                m.d.sync += allowed.eq(inside & whole)
            with m.Case(Kind.READ_REGISTER):
                m.d.sync += allowed.eq((header.address[13:] == 0) & (header.address[:2] == 0))
            with m.Case(Kind.WRITE_REGISTER):
                m.d.sync += allowed.eq((header.address[12:] == 0) & (header.address[:2] == 0))
            with m.Default():
                m.d.sync += allowed.eq(0)
        return allowed

    def _sequence(
        self, m: Module, receiver: FrameReceiver, sender: FrameSender, registers: RegisterAccess, mover: MemoryMover
    ) -> None:
        """One request after the other; each state is named for what it does with it."""
        answer, again = _Answer(receiver.header), Signal(Header())
        m.submodules.system = system = SystemRegisters(self._values)
        m.d.comb += [
            sender.header.eq(answer.frame),
            sender.payload.eq(answer.frame.length),
            system.address.eq(receiver.header.address),
        ]
        allowed = self._allowed(m, receiver.header)
        with m.FSM():
            with m.State("LISTEN"):
                m.d.comb += receiver.listen.eq(1)
                with m.If(receiver.arrived):
                    m.next = "JUDGE"
                    with m.If(~receiver.intact):
                        m.d.sync += [*answer.say(Status.DAMAGED), answer.frame.kind.eq(ANSWER)]
                        m.next = "ANSWER"
            self._judge(m, receiver.header, answer, again)
            self._carry_out(m, receiver.header, answer, allowed, system.value, registers, mover)
            with m.State("FINISH"):
                m.d.sync += again.eq(answer.frame)
                m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += sender.start.eq(1)
                m.next = "SEND"
            with m.State("SEND"):
                with m.If(~sender.busy):
                    m.next = "LISTEN"

    def _judge(self, m: Module, header: Any, answer: "_Answer", again: Any) -> None:
        """Whether it is the session's next request. `again` is the answer to its last one."""
        session, last = Signal(32), Signal(8)
        opens, known, same, follows = Signal(), Signal(), Signal(), Signal()
        # One cycle late, when the header stands long since.
        m.d.sync += [
            opens.eq(header.kind == Kind.OPEN),
            known.eq((header.session == session) & (session != 0)),
            same.eq((header.sequence == last) & (header.kind != Kind.READ_MEMORY)),
            follows.eq((header.sequence == last) | (header.sequence == (last + 1)[:8])),
        ]
        with m.State("JUDGE"):
            m.next = "ANSWER"
            with m.If(opens):
                m.d.sync += [session.eq(header.session), last.eq(0), *answer.say(Status.DONE, PROTOCOL_VERSION)]
                m.next = "FINISH"
            with m.Elif(~known):
                m.d.sync += answer.say(Status.NO_SESSION)
            with m.Elif(same):
                m.d.sync += answer.frame.eq(again)
            with m.Elif(~follows):
                m.d.sync += answer.say(Status.OUT_OF_SEQUENCE)
            with m.Else():
                m.d.sync += last.eq(header.sequence)
                m.next = "BEGIN"

    def _carry_out(
        self,
        m: Module,
        header: Any,
        answer: "_Answer",
        allowed: Signal,
        shown: Signal,
        registers: RegisterAccess,
        mover: MemoryMover,
    ) -> None:
        """`shown` is what the system registers hold at the header's address."""
        with m.State("BEGIN"):
            m.next = "FINISH"
            with m.If(~allowed):
                m.d.sync += answer.say(Status.REFUSED)
            with m.Elif((header.kind == Kind.READ_MEMORY) | (header.kind == Kind.WRITE_MEMORY)):
                m.d.comb += mover.start.eq(1)
                m.next = "MOVE"
            with m.Elif(header.address[log2(SYSTEM_PAGE)]):
                m.d.sync += answer.say(Status.DONE, shown)
            with m.Else():
                m.d.comb += registers.start.eq(1)
                m.next = "ACCESS"
        with m.State("MOVE"):
            with m.If(mover.done):
                m.d.sync += answer.say(Status.DONE, 0, Mux(mover.write, 0, header.length))
                m.next = "FINISH"
        with m.State("ACCESS"):
            with m.If(registers.done):
                m.d.sync += answer.say(Status.DONE, registers.value)
                with m.If(registers.failed):
                    m.d.sync += answer.frame.address.eq(Status.FAILED)
                m.next = "FINISH"


class _Answer:
    """The answer to a request, in registers."""

    def __init__(self, header: Any) -> None:
        self.frame, self._header = Signal(Header(), name="answer"), header

    def say(self, status: Status, value: Any = 0, length: Any = 0) -> list[Any]:
        frame, header = self.frame, self._header
        return [
            frame.kind.eq(header.kind | ANSWER),
            frame.sequence.eq(header.sequence),
            frame.session.eq(header.session),
            frame.address.eq(status),
            frame.value.eq(value),
            frame.length.eq(length),
        ]
