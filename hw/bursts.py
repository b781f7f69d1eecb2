"""Splits runs of DRAM bytes into bus bursts, behind the segment fence."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from ..config import Config
from ..isa.table import SEGMENTS, ErrorCode
from .layout import INDEX_BITS
from .queue import Queue
from .signatures import Fault, SegmentTable, log2

__all__ = ["PAGE_BYTES", "Burst", "Run", "RunSplitter"]

PAGE_BYTES = 4096
_OFFSET_BITS = 32


class Run(data.StructLayout):
    """Bytes of a segment that lie next to each other.

    Members
    -------
    index
        The instruction's.
    segment, offset, size
        Where it starts, and how many bytes it has (at least 1).
    unit_mask
        The low bits of `offset` that must be 0.
    last
        The instruction's last run.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(
            {
                "index": INDEX_BITS,
                "segment": range(SEGMENTS),
                "offset": _OFFSET_BITS,
                "size": _OFFSET_BITS,
                "unit_mask": log2(config.bus_bytes),
                "last": 1,
            }
        )


class Burst(data.StructLayout):
    """A piece of a run: as :class:`BurstRequest`.

    Members
    -------
    address, beats
        See :class:`BurstRequest`.
    lane
        Where in the first bus word the *run* starts, in bytes.
    first, last
        The run's first burst; the instruction's last burst.
    index
        The instruction's.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(
            {
                "address": config.address_bits,
                "beats": 8,
                "lane": log2(config.bus_bytes),
                "first": 1,
                "last": 1,
                "index": INDEX_BITS,
            }
        )


def _stage(name: str, members: dict[str, Any]) -> Any:
    """The stream between two pipeline stages."""
    return stream.Signature(data.StructLayout(members)).create(path=(name,))


class RunSplitter(Component):
    """Checks each run as a whole, then cuts it into bursts; one burst a cycle.

    Members
    -------
    run
        In program order.
    burst
        Of runs that passed; bursts are at most `burst_beats` long and never cross 4 KiB.
    fault
        A pulse: ALIGNMENT or SEGMENT_LIMIT. No burst of that run or of a later one comes out.
    segments
        The fence.
    awake
        Something that shows may change at the next edge.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        super().__init__(
            {
                "run": In(stream.Signature(Run(config))),
                "burst": Out(stream.Signature(Burst(config))),
                "fault": Out(Fault()),
                "segments": In(SegmentTable(config, SEGMENTS)),
                "awake": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        located = self._locate(m)
        measured = self._measure(m, located.output)
        self._cut(m, measured)
        handed_on = (measured.valid & measured.ready) | (self.burst.valid & self.burst.ready)
        m.d.comb += self.awake.eq(located.awake | handed_on | self.fault.valid)
        return m

    def _locate(self, m: Module) -> Any:
        """Adds the segment's base, and finds the run's end in 33 bits.

        A queue keeps what moves behind it out of the run walker's timing.
        """
        run = self.run
        lane_bits = log2(self._config.bus_bytes)
        located = data.StructLayout(
            {
                "index": INDEX_BITS,
                "last": 1,
                "misaligned": 1,
                "limit": _OFFSET_BITS,
                "end": _OFFSET_BITS + 1,
                "address": self._config.address_bits,
                "size": _OFFSET_BITS,
            }
        )
        m.submodules.located = queue = Queue(located, depth=2)
        m.d.comb += [
            queue.input.valid.eq(run.valid),
            run.ready.eq(queue.input.ready),
            queue.input.p.index.eq(run.p.index),
            queue.input.p.last.eq(run.p.last),
            queue.input.p.misaligned.eq((run.p.offset[:lane_bits] & run.p.unit_mask).any()),
            queue.input.p.limit.eq(self.segments.limit[run.p.segment]),
            queue.input.p.end.eq(run.p.offset + run.p.size),
            queue.input.p.address.eq(self.segments.base[run.p.segment] + run.p.offset),
            queue.input.p.size.eq(run.p.size),
        ]
        return queue

    def _measure(self, m: Module, located: Any) -> Any:
        """Compares with the limit, and counts the bus words that the run touches."""
        bus_bytes, lane_bits = self._config.bus_bytes, log2(self._config.bus_bytes)
        out = _stage(
            "measured",
            {
                "index": INDEX_BITS,
                "last": 1,
                "misaligned": 1,
                "outside": 1,
                "lane": lane_bits,
                "word": self._config.address_bits - lane_bits,
                "words": _OFFSET_BITS + 1 - lane_bits,
                "to_page_end": range(PAGE_BYTES // bus_bytes + 1),
            },
        )
        m.d.comb += located.ready.eq(~out.valid | out.ready)
        with m.If(located.ready):
            m.d.sync += out.valid.eq(located.valid)
        measured = Signal(out.payload.shape(), name="measured_q", reset_less=True)
        m.d.comb += out.payload.eq(measured)
        lane = located.p.address[:lane_bits]
        with m.If(located.ready & located.valid):
            m.d.sync += [
                measured.index.eq(located.p.index),
                measured.last.eq(located.p.last),
                measured.misaligned.eq(located.p.misaligned),
                measured.outside.eq(located.p.end > located.p.limit),
                measured.lane.eq(lane),
                measured.word.eq(located.p.address[lane_bits:]),
                measured.words.eq((located.p.size + lane + (bus_bytes - 1)) >> lane_bits),
                measured.to_page_end.eq(_words_left_in_page(located.p.address, bus_bytes)),
            ]
        return out

    def _cut(self, m: Module, measured: Any) -> None:
        """How long each burst may be, and whether it is the run's last, is known when its turn comes."""
        config, burst = self._config, self.burst
        lane_bits = log2(config.bus_bytes)
        active, first, last, stopped = Signal(), Signal(), Signal(), Signal()
        index = Signal(INDEX_BITS, reset_less=True)
        lane = Signal(lane_bits, reset_less=True)
        word = Signal(config.address_bits - lane_bits, reset_less=True)
        words = Signal(_OFFSET_BITS + 1 - lane_bits, reset_less=True)
        to_page_end = Signal(measured.p.to_page_end.shape(), reset_less=True)
        longest = Signal(range(config.burst_beats + 1), reset_less=True)
        final = Signal(reset_less=True)
        count = Signal(range(config.burst_beats + 1))
        wrong, take = Signal(), Signal()
        m.d.comb += [
            count.eq(Mux(final, words, longest)),
            burst.valid.eq(active & ~stopped),
            burst.p.address.eq(word << lane_bits),
            burst.p.beats.eq((count - 1)[: len(count)]),
            burst.p.lane.eq(lane),
            burst.p.first.eq(first),
            burst.p.last.eq(last & final),
            burst.p.index.eq(index),
            wrong.eq(measured.p.misaligned | measured.p.outside),
            measured.ready.eq(~stopped & ~wrong & (~active | (burst.ready & final))),
            take.eq(measured.valid & measured.ready),
            self.fault.valid.eq(measured.valid & wrong & ~stopped),
            self.fault.code.eq(Mux(measured.p.misaligned, ErrorCode.ALIGNMENT, ErrorCode.SEGMENT_LIMIT)),
            self.fault.index.eq(measured.p.index),
        ]
        m.d.sync += stopped.eq(stopped | self.fault.valid)
        following = self._following(m, to_page_end)
        with m.If(take):
            m.d.sync += [active.eq(1), first.eq(1), last.eq(measured.p.last), index.eq(measured.p.index)]
            m.d.sync += [lane.eq(measured.p.lane), word.eq(measured.p.word), words.eq(measured.p.words)]
            beats = self._at_most_a_burst(measured.p.to_page_end)
            m.d.sync += [
                to_page_end.eq(measured.p.to_page_end),
                longest.eq(beats),
                final.eq(_at_most(measured.p.words, beats)),
            ]
        with m.Elif(burst.valid & burst.ready):
            # What follows the last burst is never used, so the sums need not wait for `final`.
            m.d.sync += [active.eq(~final), first.eq(0), word.eq(word + longest), words.eq(words - longest)]
            m.d.sync += [to_page_end.eq(following.to_page_end), longest.eq(following.longest)]
            m.d.sync += final.eq(_at_most(words, following.both))

    def _following(self, m: Module, to_page_end: Signal) -> Any:
        """What is true after a burst that is not its run's last: `both` words are at most it and the next one.

        A page is a whole number of the longest bursts, and those are powers of two: bits decide, nothing is subtracted.
        """
        beats, page = self._config.burst_beats, PAGE_BYTES // self._config.bus_bytes
        layout = data.StructLayout(
            {"to_page_end": range(page + 1), "longest": range(beats + 1), "both": range(2 * beats + 1)}
        )
        following = Signal(layout)
        left, partial = Signal.like(to_page_end), Signal(range(beats + 1))
        m.d.comb += [
            left.eq(((to_page_end >> log2(beats)) - 1 << log2(beats)) | partial),
            partial.eq(to_page_end % beats),
        ]
        with m.If(to_page_end <= beats):
            m.d.comb += [following.to_page_end.eq(page), following.longest.eq(beats)]
            m.d.comb += following.both.eq(to_page_end + beats)
        with m.Elif(to_page_end >= 2 * beats):
            m.d.comb += [following.to_page_end.eq(left), following.longest.eq(beats), following.both.eq(2 * beats)]
        with m.Else():
            m.d.comb += [following.to_page_end.eq(left), following.longest.eq(partial), following.both.eq(to_page_end)]
        return following

    def _at_most_a_burst(self, words: Any) -> Any:
        beats = self._config.burst_beats
        return Mux(words < beats, words, beats)


def _at_most(words: Any, limit: Any) -> Any:
    """A comparison as the sign of a difference, which is one carry chain."""
    return (limit - words)[-1] == 0


def _words_left_in_page(address: Any, bus_bytes: int) -> Any:
    """From the bus word at `address` on."""
    return PAGE_BYTES // bus_bytes - address[log2(bus_bytes) : log2(PAGE_BYTES)]
