"""The host link's frames: what host and board agree on, for the driver and for the hardware.

The host asks and the board answers, one frame each, one request at a time. On the line a frame is::

    7E  header (16 bytes)  payload (0 to PAYLOAD_BYTES)  CRC-32 (4 bytes)  7E

in the manner of RFC 1662: every 7E and 7D between the flags is sent as 7D and the byte XOR 20, so that a receiver
that has lost its place finds it again at the next 7E, whatever came before. The CRC is that of Ethernet and zlib,
lowest byte first, over header and payload. Numbers are little-endian.

A request names the *session* that the host has opened and a *sequence* number, one higher with each request. The board
carries out a request only if it is the session's next one; the last one again means that its answer got lost, and is
answered again without being carried out again (reads of memory excepted, which change nothing). After a reset the board
has no session, and refuses everything but a new OPEN: a program can't go on half way on a board that has forgotten it.
"""

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

__all__ = [
    "ANSWER", "CRC_BYTES", "ESCAPE", "ESCAPED", "FLAG", "HEADER_BYTES", "PAYLOAD_BYTES", "PROTOCOL_VERSION",
    "SEQUENCES", "SYSTEM_PAGE", "Deframer", "Frame", "Kind", "Status", "System", "on_line",
]  # fmt: skip

PROTOCOL_VERSION = 1
FLAG, ESCAPE, ESCAPED = 0x7E, 0x7D, 0x20
HEADER_BYTES, CRC_BYTES = 16, 4
PAYLOAD_BYTES = 2048
SEQUENCES = 256
ANSWER = 0x80
SYSTEM_PAGE = 0x1000


class Kind(IntEnum):
    """What a request asks for. `length` and `address` of memory are whole words of the memory's bus.

    Members
    -------
    OPEN
        Begin `session`; this is its request 0. The answer's `value` is the protocol's version.
    READ_REGISTER, WRITE_REGISTER
        The 32-bit register at byte `address`: the core's page, then from SYSTEM_PAGE on those of :class:`System`.
    READ_MEMORY
        `length` bytes from byte `address` on.
    WRITE_MEMORY
        The payload's `length` bytes, to `address`; of the first word the lowest `value` & FF bytes, and of the last the
        highest `value` >> 8 & FF, stay as they are.
    """

    OPEN = 1
    READ_REGISTER = 2
    WRITE_REGISTER = 3
    READ_MEMORY = 4
    WRITE_MEMORY = 5


class Status(IntEnum):
    """How a request ended; in an answer it stands in the address's place.

    Members
    -------
    DONE
        It was carried out.
    DAMAGED
        What arrived was no whole frame, or its CRC does not fit: send it again.
    NO_SESSION
        The board has not this session: it was reset, or someone else has opened one.
    OUT_OF_SEQUENCE
        Neither the session's next request nor its last.
    REFUSED
        No such kind, or a length or address that is not allowed.
    FAILED
        The bus answered with an error.
    """

    DONE = 0
    DAMAGED = 1
    NO_SESSION = 2
    OUT_OF_SEQUENCE = 3
    REFUSED = 4
    FAILED = 5


class System(IntEnum):
    """Registers of the system around the core, by their place in SYSTEM_PAGE; read only."""

    MEMORY_BASE = 0x0
    MEMORY_BYTES = 0x4
    WORD_BYTES = 0x8
    CLOCK_HZ = 0xC


_HEADER = struct.Struct("<BBHIII")
assert _HEADER.size == HEADER_BYTES


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A request, or an answer: `kind` with ANSWER set, and a Status as its `address`."""

    kind: int
    sequence: int = 0
    length: int = 0
    session: int = 0
    address: int = 0
    value: int = 0
    payload: bytes = b""

    def encode(self) -> bytes:
        """Header, payload and CRC."""
        fields = (self.kind, self.sequence, self.length, self.session, self.address, self.value)
        body = _HEADER.pack(*fields) + self.payload
        return body + zlib.crc32(body).to_bytes(CRC_BYTES, "little")

    @classmethod
    def decode(cls, raw: bytes) -> "Frame | None":
        """The frame whose :meth:`encode` is `raw`; None if it is damaged."""
        body, crc = raw[:-CRC_BYTES], raw[-CRC_BYTES:]
        if len(body) < HEADER_BYTES or zlib.crc32(body) != int.from_bytes(crc, "little"):
            return None
        kind, sequence, length, session, address, value = _HEADER.unpack_from(body)
        return cls(
            kind=kind, sequence=sequence, length=length, session=session, address=address, value=value,
            payload=body[HEADER_BYTES:],
        )  # fmt: skip


def on_line(raw: bytes) -> bytes:
    """`raw` between flags, with what looks like a flag or an escape escaped."""
    for byte in (ESCAPE, FLAG):
        raw = raw.replace(bytes([byte]), bytes([ESCAPE, byte ^ ESCAPED]))
    return bytes([FLAG]) + raw + bytes([FLAG])


class Deframer:
    """The inverse of :func:`on_line` for bytes as they come."""

    def __init__(self) -> None:
        self._waiting = b""
        self._inside = False

    def feed(self, received: bytes) -> list[bytes]:
        """What lay between the flags that have come so far, damaged or not."""
        *complete, self._waiting = (self._waiting + received).split(bytes([FLAG]))
        frames = complete if self._inside else complete[1:]
        self._inside = self._inside or bool(complete)
        if not self._inside:
            self._waiting = b""
        return [_unescaped(frame) for frame in frames if frame]

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]


def _unescaped(frame: bytes) -> bytes:
    first, *rest = frame.split(bytes([ESCAPE]))
    return first + b"".join(bytes([part[0] ^ ESCAPED]) + part[1:] for part in rest if part)
