"""A first-in first-out queue between two streams."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.hdl import Shape, ShapeLike
from amaranth.lib import fifo, stream
from amaranth.lib.wiring import Component, In, Out

__all__ = ["Queue"]


class Queue(Component):
    """Passes payloads on in order.

    Parameters
    ----------
    shape
        Shape of a payload.
    depth
        Payloads that it holds.
    block_memory
        Keep them in memory with a registered output, for deep or wide queues: a payload then shows two cycles
        after it went in instead of one.

    Members
    -------
    input, output
        The two ends.
    occupied
        There is one inside, whether or not it shows already; a register.
    awake
        Something in it may change at the next edge.
    """

    def __init__(self, shape: ShapeLike, *, depth: int, block_memory: bool = False) -> None:
        self._shape, self._depth, self._block_memory = shape, depth, block_memory
        super().__init__(
            {
                "input": In(stream.Signature(shape)),
                "output": Out(stream.Signature(shape)),
                "occupied": Out(1),
                "awake": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        kind = fifo.SyncFIFOBuffered if self._block_memory else fifo.SyncFIFO
        m.submodules.fifo = queue = kind(width=Shape.cast(self._shape).width, depth=self._depth)
        m.d.comb += [
            queue.w_data.eq(self.input.payload),
            queue.w_en.eq(self.input.valid),
            self.input.ready.eq(queue.w_rdy),
            self.output.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.output.ready),
            self.awake.eq((queue.w_en & queue.w_rdy) | Mux(queue.r_rdy, queue.r_en, self.occupied)),
        ]
        inside = Signal(range(self._depth + 1))
        enters, leaves = queue.w_en & queue.w_rdy, queue.r_en & queue.r_rdy
        with m.If(enters & ~leaves):
            m.d.sync += [inside.eq(inside + 1), self.occupied.eq(1)]
        with m.Elif(leaves & ~enters):
            m.d.sync += [inside.eq(inside - 1), self.occupied.eq(inside != 1)]
        if isinstance(self._shape, (Shape, int, range)):
            m.d.comb += self.output.payload.eq(queue.r_data)
        else:
            m.d.comb += self.output.payload.as_value().eq(queue.r_data)
        return m
