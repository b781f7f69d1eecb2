"""The host's end of the link, against a board in Python behind a line that loses, damages and invents bytes."""

import random
from collections.abc import Callable
from time import monotonic, sleep

import pytest
from tilewright.driver.frames import (
    ANSWER,
    ESCAPE,
    FLAG,
    PROTOCOL_VERSION,
    Deframer,
    Frame,
    Kind,
    Status,
    on_line,
)
from tilewright.driver.link import HostLink, LinkError


class Board:
    """Carries out requests as the manual in ``frames.py`` says, and is its own line.

    Members
    -------
    accesses
        Registers as they were written.
    harm
        What happens to the bytes of a frame on their way.
    """

    def __init__(self, harm: Callable[[bytes], bytes] = bytes, version: int = PROTOCOL_VERSION) -> None:
        self.timeout: float | None = None
        self.harm, self.version = harm, version
        self.memory, self.accesses = bytearray(64), list[tuple[int, int]]()
        self.session = self.last = 0
        self.again = b""
        self.closed = False
        self._deframer, self._outgoing = Deframer(), bytearray()

    @property
    def in_waiting(self) -> int:
        return len(self._outgoing)

    def close(self) -> None:
        self.closed = True

    def read(self, size: int) -> bytes:
        if not self._outgoing:
            sleep(self.timeout or 0)  # nothing more will come
        found, self._outgoing = bytes(self._outgoing[:size]), self._outgoing[size:]
        return found

    def write(self, data: bytes) -> object:
        for raw in self._deframer.feed(self.harm(data)):
            frame = Frame.decode(raw)
            answer = self.answer(frame) if frame else Frame(kind=ANSWER, address=Status.DAMAGED)
            self._outgoing += self.harm(on_line(answer.encode()))
        return len(data)

    def answer(self, frame: Frame) -> Frame:
        def say(status: Status, value: int = 0, payload: bytes = b"") -> Frame:
            return Frame(
                kind=frame.kind | ANSWER, sequence=frame.sequence, session=frame.session, address=status, value=value,
                payload=payload, length=len(payload),
            )  # fmt: skip

        if frame.kind == Kind.OPEN:
            self.session, self.last = frame.session, 0
            return say(Status.DONE, self.version)
        if frame.session != self.session or not self.session:
            return say(Status.NO_SESSION)
        if frame.kind == Kind.READ_MEMORY:
            self.last = frame.sequence
            return say(Status.DONE, 0, bytes(self.memory[frame.address : frame.address + frame.length]))
        if frame.sequence != self.last:
            assert frame.sequence == (self.last + 1) % 256
            self.last = frame.sequence
            self.accesses.append((frame.address, frame.value))
            if frame.kind == Kind.WRITE_MEMORY:
                self.memory[frame.address : frame.address + frame.length] = frame.payload
            self.again_value = sum(value for _, value in self.accesses)
        return say(Status.DONE, self.again_value if frame.kind == Kind.READ_REGISTER else 0)


def linked(board: Board, *, patience: float = 20.0) -> HostLink:
    return HostLink(board, baud=3_000_000, patience=patience, name="line")


def test_frames_come_back_from_the_line() -> None:
    rng = random.Random(1)
    frame = Frame(
        kind=4, sequence=255, length=300, session=1 << 31, address=ESCAPE, value=FLAG, payload=bytes(range(256))
    )
    raw = on_line(frame.encode())
    assert raw.count(FLAG) == 2
    for _ in range(50):
        deframer, found, left = Deframer(), [], b"\x01\x02" + raw + raw[1:] + b"\x7d" + raw
        while left:
            size = rng.randint(1, 40)
            found += deframer.feed(left[:size])
            left = left[size:]
        assert [Frame.decode(each) for each in found] == [frame, frame, None, frame][: len(found)]
        assert Frame.decode(found[-1]) == frame
    assert Frame.decode(b"") is None and Frame.decode(frame.encode()[:-1]) is None


def test_a_session() -> None:
    board = Board()
    link = linked(board)
    for n in range(600):
        link.write32(4, n)
    assert board.accesses == [(4, n) for n in range(600)] and link.repeats == 0
    link.write_memory(8, b"12345678")
    assert link.read_memory(8, 16) == b"12345678" + bytes(8)
    link.close()
    assert board.closed


@pytest.mark.parametrize("seed", range(6))
def test_every_request_is_carried_out_once(seed: int) -> None:
    rng = random.Random(seed)

    def harm(raw: bytes) -> bytes:
        out = bytearray(raw)
        kind = rng.random()
        if kind < 0.08:
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
        elif kind < 0.14:
            del out[rng.randrange(len(out))]
        elif kind < 0.22:
            out[0:0] = rng.randbytes(rng.randrange(30))
        elif kind < 0.25:
            return bytes(out[: rng.randrange(len(out))])
        return bytes(out)

    board = Board(harm)
    link = linked(board)
    for n in range(30):
        link.write32(4, n)
        assert link.read32(0) == sum(range(n + 1))
    assert [access for access in board.accesses if access[0]] == [(4, n) for n in range(30)]
    assert link.repeats > 0


def test_silence_is_an_error_in_time() -> None:
    board = Board()
    link = linked(board, patience=0.3)
    board.harm = lambda raw: b""
    began = monotonic()
    with pytest.raises(LinkError, match=r"^the board on line must answer within 0.3 s, and does not: is it connected"):
        link.write32(4, 1)
    assert monotonic() - began < 3
    board.harm = bytes
    with pytest.raises(LinkError, match=r"^the link to the board on line has been lost: open the device again$"):
        link.read32(0)
    assert linked(board).read32(0) == 0


def test_endless_garbage_is_an_error_in_time() -> None:
    board = Board()
    link = linked(board, patience=0.3)
    rng = random.Random(3)
    board.harm = lambda raw: rng.randbytes(50) + b"\x7e" + rng.randbytes(50) + b"\x7e"
    with pytest.raises(LinkError, match=r"must answer within 0.3 s"):
        link.write32(4, 1)


def test_a_board_that_forgot_its_session() -> None:
    board = Board()
    link = linked(board)
    board.session = 0
    with pytest.raises(LinkError, match=r"must keep its session, but has lost it: it was reset, or another program"):
        link.write32(4, 1)
    assert board.accesses == []


def test_a_board_of_another_release() -> None:
    with pytest.raises(LinkError, match=r"^the board on line must speak version 1 of the link's protocol, not 9: load"):
        linked(Board(version=9))


def test_what_a_board_refuses_is_told() -> None:
    board = Board()
    link = linked(board)
    board.answer = lambda frame: Frame(  # type: ignore[method-assign]
        kind=frame.kind | ANSWER, sequence=frame.sequence, session=frame.session, address=Status.REFUSED
    )
    with pytest.raises(LinkError, match=r"must carry out WRITE_REGISTER at 0x4, but answers REFUSED with 0 bytes$"):
        link.write32(4, 1)


def test_a_line_that_fails() -> None:
    board = Board()
    link = linked(board)

    def broken(data: bytes) -> object:
        raise OSError("the adapter was pulled out")

    board.write = broken  # type: ignore[method-assign]
    with pytest.raises(
        LinkError, match=r"^the line line to the board must work, but fails: the adapter was pulled out"
    ):
        link.write32(4, 1)


def test_a_host_that_sleeps_longer_than_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    board, asleep = Board(), 0.0
    link = HostLink(board, baud=3_000_000, patience=2.0, name="line", clock=lambda: monotonic() + asleep)
    read, losses = board.read, [True] * 4  # two to an attempt: one in time, and one for what came meanwhile

    def interrupted(size: int) -> bytes:
        nonlocal asleep
        if losses:
            asleep += 100.0
            losses.pop()
            board._outgoing.clear()
            return b""
        return read(size)

    monkeypatch.setattr(board, "read", interrupted)
    link.write32(8, 5)
    assert board.accesses == [(8, 5)] and link.repeats == 2


def test_what_came_while_the_host_slept_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    board, asleep = Board(), 0.0
    link = HostLink(board, baud=3_000_000, patience=2.0, name="line", clock=lambda: monotonic() + asleep)
    write = board.write

    def write_and_sleep(data: bytes) -> object:
        nonlocal asleep
        asleep += 100.0
        return write(data)

    monkeypatch.setattr(board, "write", write_and_sleep)
    for value in range(20):
        link.write32(8, value)
    assert link.repeats == 0


def test_a_board_that_was_slow_is_given_more_time() -> None:
    board, now = Board(), 0.0
    link = HostLink(board, baud=3_000_000, patience=0.1, name="line", clock=lambda: now)
    write, read = board.write, board.read

    def slow(data: bytes) -> object:
        nonlocal now
        now += 0.5
        return write(data)

    def nothing(size: int) -> bytes:
        nonlocal now
        now += 1.0
        return read(size)

    board.write, board.read = slow, nothing  # type: ignore[method-assign]
    for value in range(8):
        link.write32(8, value)
    board.harm = lambda raw: b""
    with pytest.raises(LinkError, match=r"must answer within 4\d\.\d s, and does not"):
        link.write32(8, 9)
