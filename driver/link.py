"""The host's end of the link to a board: requests over a line that may lose, damage and invent bytes."""

import secrets
from collections.abc import Callable
from time import monotonic
from typing import Protocol

from ..errors import DeviceError
from .frames import ANSWER, PAYLOAD_BYTES, PROTOCOL_VERSION, SEQUENCES, Deframer, Frame, Kind, Status, on_line

__all__ = ["HostLink", "Line", "LinkError"]

_BITS_PER_BYTE = 10
_FRAME_OVERHEAD = 24
_LATENCY = 0.002  # of a USB adapter, both ways
_GRACE = 0.1
_LEAST_ATTEMPTS = 16  # within the patience
_FEWEST_ATTEMPTS = 4  # however long they take
_MANY = 4096
_GLANCE = 0.05  # between looks at the clock, which need not be that of the line's timeouts


class LinkError(DeviceError):
    """The board does not answer, or has forgotten the session: open the device again."""


class Line(Protocol):
    """What carries the bytes; a pyserial port is one."""

    timeout: float | None

    def write(self, data: bytes) -> object: ...

    def read(self, size: int) -> bytes: ...

    @property
    def in_waiting(self) -> int: ...

    def close(self) -> None: ...


class HostLink:
    """A session with a board.

    Every request is carried out exactly once or ends with an error: what arrives damaged is asked for again, and the
    board knows a repeated request by its number.

    Parameters
    ----------
    line
        Carries the bytes; its errors (OSError) become LinkError.
    baud
        Its speed, for knowing when an answer is late.
    patience
        Seconds without a good answer after which the board is given up; more, where it has been slow to answer before.
    name
        What errors call the line.
    clock
        Seconds as they pass for the board: those of a simulated one may be longer than the host's.

    Members
    -------
    repeats
        Requests that had to be sent again so far.

    Raises
    ------
    LinkError
        No board answers, or one that speaks another version of the protocol.
    """

    def __init__(
        self, line: Line, *, baud: int, patience: float, name: str, clock: Callable[[], float] = monotonic
    ) -> None:
        self._line, self._baud, self._patience, self._name = line, baud, patience, name
        self._clock = clock
        self._deframer = Deframer()
        self._session = secrets.randbelow((1 << 32) - 1) + 1
        self._sequence = -1
        self._broken = False
        self._slowness = self._usual = (
            1.0  # of the board, as times of what the line's speed lets expect; on a good line
        )
        self.repeats = 0
        version = self._request(Kind.OPEN).value
        if version != PROTOCOL_VERSION:
            raise LinkError(
                f"the board on {name} must speak version {PROTOCOL_VERSION} of the link's protocol, not {version}: "
                "load a bitstream of this release"
            )

    def read32(self, address: int) -> int:
        """The register at byte `address`: the core's page, then those of ``frames.System``."""
        return self._request(Kind.READ_REGISTER, address=address).value

    def write32(self, address: int, value: int) -> None:
        self._request(Kind.WRITE_REGISTER, address=address, value=value)

    def read_memory(self, address: int, nbytes: int) -> bytes:
        """Whole words, PAYLOAD_BYTES at most."""
        return self._request(Kind.READ_MEMORY, address=address, length=nbytes).payload

    def write_memory(self, address: int, words: bytes, *, head: int = 0, tail: int = 0) -> None:
        """Whole words, PAYLOAD_BYTES at most, but for the first `head` and the last `tail` bytes."""
        self._request(Kind.WRITE_MEMORY, address=address, payload=words, length=len(words), value=head | tail << 8)

    def close(self) -> None:
        self._line.close()

    def _request(self, kind: Kind, *, address: int = 0, value: int = 0, length: int = 0, payload: bytes = b"") -> Frame:
        if self._broken:
            raise LinkError(f"the link to the board on {self._name} has been lost: open the device again")
        self._sequence = (self._sequence + 1) % SEQUENCES
        asked = Frame(
            kind=kind, sequence=self._sequence, length=length, session=self._session, address=address, value=value,
            payload=payload,
        )  # fmt: skip
        try:
            answer = self._until_answered(asked)
        except OSError as error:
            self._broken = True
            raise LinkError(f"the line {self._name} to the board must work, but fails: {error}") from None
        except BaseException:
            self._broken = True  # the board may or may not have carried it out
            raise
        return answer

    def _until_answered(self, asked: Frame) -> Frame:
        raw = on_line(asked.encode())
        expected = PAYLOAD_BYTES if asked.kind == Kind.READ_MEMORY else 0
        nominal = _LATENCY + (len(raw) + expected + _FRAME_OVERHEAD) * _BITS_PER_BYTE / self._baud
        patience = max(self._patience, 2 * _LEAST_ATTEMPTS * self._usual * nominal)
        started = now = self._clock()
        end = started + patience
        attempts = 0
        clean = True
        while now < end or attempts < _FEWEST_ATTEMPTS:  # this process may have been suspended until after the end
            attempts += 1
            self._line.write(raw)
            wait = min(_GRACE + 2 * self._slowness * nominal, patience / _LEAST_ATTEMPTS)
            answer = self._answer(asked, now + wait)
            now = self._clock()
            if answer is not None:
                measured = (now - started) / nominal if clean else 0.0
                self._slowness = max(1.0, (self._slowness + measured) / 2)
                self._usual = max(1.0, (self._usual + measured) / 2) if clean else self._usual
                return answer
            clean = False
            self.repeats += 1
        raise LinkError(
            f"the board on {self._name} must answer within {patience:.3g} s, and does not: is it connected, "
            "configured, and no other program using it?"
        )

    def _answer(self, asked: Frame, deadline: float) -> Frame | None:
        """The answer to `asked`; None if it is late, or something arrived damaged: ask again."""
        late = False
        while not late:
            left = deadline - self._clock()
            late = left <= 0  # what arrived while this process was suspended is taken nevertheless
            self._line.timeout = min(max(left, 0.0), _GLANCE)
            for raw in self._deframer.feed(self._line.read(min(max(self._line.in_waiting, 1), _MANY))):
                got = Frame.decode(raw)
                if got is None or (got.kind, got.address) == (ANSWER, Status.DAMAGED):
                    return None
                if (got.kind, got.sequence, got.session) == (asked.kind | ANSWER, asked.sequence, asked.session):
                    return self._accepted(asked, got)
        self._slowness *= 2  # asked again too soon, the line would fill with what nobody needs
        return None

    def _accepted(self, asked: Frame, answer: Frame) -> Frame:
        """`answer`, whose status is DONE, and whose payload is as long as was asked for."""
        if answer.address == Status.NO_SESSION:
            raise LinkError(
                f"the board on {self._name} must keep its session, but has lost it: it was reset, or another program "
                "took it over; open the device again"
            )
        wanted = asked.length if asked.kind == Kind.READ_MEMORY else 0
        if answer.address != Status.DONE or len(answer.payload) != wanted:
            status = Status(answer.address).name if answer.address in list(Status) else f"status {answer.address}"
            raise LinkError(
                f"the board on {self._name} must carry out {Kind(asked.kind).name} at {asked.address:#x}, "
                f"but answers {status} with {len(answer.payload)} bytes"
            )
        return answer
