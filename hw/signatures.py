"""The interfaces by which components meet. A component's interface is its signature."""

from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Member, Out, Signature

from ..config import Config
from ..isa.memories import memory_shape, transfer_unit
from ..isa.table import ENGINES, ErrorCode, Memory, Opcode
from .layout import INDEX_BITS, queued

__all__ = [
    "READ_LATENCY", "Activity", "Axi4", "AxiLite", "BurstRequest", "CellRead", "CellReadPort", "CellWrite", "Fault",
    "ReadPort", "SegmentTable", "TokenLink", "WritePort", "engine_members", "log2",
]  # fmt: skip

READ_LATENCY = 3


def log2(value: int) -> int:
    """Exact base-2 logarithm of a power of two."""
    assert value > 0 and value & (value - 1) == 0
    return value.bit_length() - 1


class Fault(Signature):
    """A pulse that stops the core: `code` is an ErrorCode, `index` the instruction's."""

    def __init__(self) -> None:
        super().__init__({"valid": Out(1), "code": Out(range(max(ErrorCode) + 1)), "index": Out(INDEX_BITS)})


class Activity(Signature):
    """What an engine does in this cycle; counted, and watched by the watchdog.

    Members
    -------
    busy
        It has an instruction.
    token
        It waits for a token to take or for room to give one.
    memory
        It waits for DRAM.
    bank
        It waits for an on-chip bank, or for a result of its own that is on its way to one.
    progress
        It did something that brings it nearer to the end of its instruction.
    """

    def __init__(self) -> None:
        super().__init__({"busy": Out(1), "token": Out(1), "memory": Out(1), "bank": Out(1), "progress": Out(1)})


class TokenLink(Signature):
    """An engine's side of the tokens.

    `acquire` carries a wait mask and is accepted when one token of each is there (an empty mask at
    once); `release` carries a signal mask and is accepted when there is room for all.
    """

    def __init__(self) -> None:
        super().__init__(
            {"acquire": Out(stream.Signature(len(ENGINES))), "release": Out(stream.Signature(len(ENGINES)))}
        )


def engine_members(opcode: Opcode) -> dict[str, Member]:
    """What every engine has.

    Members
    -------
    instruction
        Its queue's head. Accepted when the engine has begun with it.
    halt
        While 1 nothing new is started; what is on the bus is completed.
    oldest
        Index of the oldest instruction that it has accepted and that has not retired; valid while
        `pending`.
    retired
        A pulse, with `retired_index`, when an instruction retires (its tokens are given).
    started
        A pulse, with `started_index`, when an instruction has its tokens and begins.
    awake
        Something in it may change at the next edge; while 0 its clock may stand still.
    """
    return {
        "instruction": In(stream.Signature(queued(opcode))),
        "tokens": Out(TokenLink()),
        "fault": Out(Fault()),
        "activity": Out(Activity()),
        "halt": In(1),
        "pending": Out(1),
        "oldest": Out(INDEX_BITS),
        "started": Out(1),
        "started_index": Out(INDEX_BITS),
        "retired": Out(1),
        "retired_index": Out(INDEX_BITS),
        "awake": Out(1),
    }


def _widest_part(config: Config) -> int:
    return max(max(memory_shape(config, m).cell_bytes // transfer_unit(config, m), 1) for m in Memory)


class CellWrite(data.StructLayout):
    """A write into an on-chip memory by the load engine, one bus-sized part of a cell at most.

    Members
    -------
    memory, row_mask, address
        As in LOAD; `address` is the cell's, taken modulo the depth by the memory.
    part
        Which ``transfer_unit`` bytes of the cell, from its lowest byte up.
    data
        The bytes, at the bottom.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(
            {
                "memory": 3,
                "row_mask": config.rows,
                "address": 16,
                "part": range(max(_widest_part(config), 2)),
                "data": config.bus_bits,
            }
        )


class CellRead(data.StructLayout):
    """A read of ACT or ACC by the store engine: as :class:`CellWrite`, without data."""

    def __init__(self, config: Config) -> None:
        super().__init__(
            {
                "memory": 3,
                "row": range(max(config.rows, 2)),
                "address": 16,
                "part": range(max(_widest_part(config), 2)),
            }
        )


class CellReadPort(Signature):
    """Requests, answered in order, each exactly READ_LATENCY cycles after it was accepted.

    `data` holds the part's bytes at the bottom, valid while `valid`; it can't be held back, so ask only with
    room to put the answer.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(
            {
                "request": Out(stream.Signature(CellRead(config))),
                "valid": In(1),
                "data": In(config.bus_bits),
            }
        )


class BurstRequest(data.StructLayout):
    """A burst of ``beats + 1`` whole bus words from bus-aligned byte `address`; never crosses 4 KiB."""

    def __init__(self, config: Config) -> None:
        super().__init__({"address": config.address_bits, "beats": 8})


class ReadPort(Signature):
    """A client's side of DRAM reads: bursts asked, beats answered in order.

    Members
    -------
    beat
        `data`, whether it is the burst's `last`, and whether the bus reported an `error`.
    """

    def __init__(self, config: Config) -> None:
        beat = data.StructLayout({"data": config.bus_bits, "last": 1, "error": 1})
        super().__init__({"request": Out(stream.Signature(BurstRequest(config))), "beat": In(stream.Signature(beat))})


class WritePort(Signature):
    """A client's side of DRAM writes.

    Members
    -------
    beat
        `data` and byte strobes, as many as the requests ask for, in the same order. The client
        offers a request only when all of its beats will follow without waiting for anything else.
    done
        A pulse when the oldest unanswered burst has been answered; `error` tells how.
    """

    def __init__(self, config: Config) -> None:
        beat = data.StructLayout({"data": config.bus_bits, "strobe": config.bus_bytes})
        super().__init__(
            {
                "request": Out(stream.Signature(BurstRequest(config))),
                "beat": Out(stream.Signature(beat)),
                "done": In(1),
                "error": In(1),
            }
        )


class SegmentTable(Signature):
    """Base and limit of every segment, as the registers hold them."""

    def __init__(self, config: Config, segments: int) -> None:
        super().__init__(
            {
                "base": Out(data.ArrayLayout(config.address_bits, segments)),
                "limit": Out(data.ArrayLayout(32, segments)),
            }
        )


class Axi4(Signature):
    """An AXI4 manager; ports become ``m_axi__awvalid`` and so on where the member is ``m_axi``."""

    def __init__(self, config: Config, id_bits: int = 1) -> None:
        address = {"id": id_bits, "addr": config.address_bits, "len": 8, "size": 3, "burst": 2, "prot": 3, "cache": 4}
        members: dict[str, Member] = {}
        for channel in ("aw", "ar"):
            members |= {f"{channel}valid": Out(1), f"{channel}ready": In(1)}
            members |= {f"{channel}{name}": Out(width) for name, width in address.items()}
        members |= {"wvalid": Out(1), "wready": In(1), "wdata": Out(config.bus_bits)}
        members |= {"wstrb": Out(config.bus_bytes), "wlast": Out(1)}
        members |= {"bvalid": In(1), "bready": Out(1), "bid": In(id_bits), "bresp": In(2)}
        members |= {"rvalid": In(1), "rready": Out(1), "rid": In(id_bits), "rdata": In(config.bus_bits)}
        members |= {"rresp": In(2), "rlast": In(1)}
        super().__init__(members)


class AxiLite(Signature):
    """An AXI4-Lite manager of a 4 KiB page; the core has it flipped, as ``s_axi``."""

    def __init__(self) -> None:
        super().__init__(
            {
                "awvalid": Out(1), "awready": In(1), "awaddr": Out(12), "awprot": Out(3),
                "wvalid": Out(1), "wready": In(1), "wdata": Out(32), "wstrb": Out(4),
                "bvalid": In(1), "bready": Out(1), "bresp": In(2),
                "arvalid": Out(1), "arready": In(1), "araddr": Out(12), "arprot": Out(3),
                "rvalid": In(1), "rready": Out(1), "rdata": In(32), "rresp": In(2),
            }
        )  # fmt: skip
