"""Banked memories against arrays: priorities, what a read sees, masks, and nothing else touched."""

from collections import deque

import numpy as np
import pytest
from tilewright.hw.cells import ScratchpadShape
from tilewright.hw.scratchpad import Scratchpad
from tilewright.hw.signatures import READ_LATENCY

CASES = {
    "one bank": (
        ScratchpadShape(rows=1, banks=1, words=16, word_bytes=4),
        {"word": 4},
        {"word_write": 4},
    ),
    "banks and rows": (
        ScratchpadShape(rows=2, banks=4, words=16, word_bytes=4),
        {"word": 4, "first": 2, "second": 2, "byte": 1},
        {"word_write": 4, "half_write": 2, "byte_write": 1},
    ),
    "many rows": (
        ScratchpadShape(rows=4, banks=2, words=8, word_bytes=8),
        {"half": 4, "word": 8},
        {"half_write": 4, "word_write": 8},
    ),
}


def read_only(pad, widths):
    return {name: (getattr(pad, name), width) for name, width in widths.items()}


class Traffic:
    """Random requests from every client; the model says who is served and what is answered."""

    def __init__(self, pad, shape, readers, writers, rng, busy, agreed=()):
        self.agreed = agreed
        self.pad, self.shape, self.rng, self.busy = pad, shape, rng, busy
        self.readers, self.writers = read_only(pad, readers), read_only(pad, writers)
        self.cells = np.zeros((shape.rows, shape.words * shape.word_bytes), np.uint8)
        self.answers = {name: deque([None] * READ_LATENCY) for name in readers}
        self.offers, self.asked = {}, {}
        self.seen = {"refused": 0, "same word": 0}

    def _bank(self, address, width):
        return address * width // (self.shape.bank_words * self.shape.word_bytes)

    def _offer(self, context, clients):
        """New offers where there are none; whom the banks accept, in the order of priority."""
        taken, served, kept = set(), {}, None
        for name, (port, width) in clients.items():
            if kept is None and name not in self.agreed and not self.writing:
                kept = self._keep(context, taken)
            units = self.shape.words * self.shape.word_bytes // width
            if name not in self.offers and self.rng.random() < self.busy:
                self.offers[name] = self._request(width, int(self.rng.integers(units)))
                context.set(port.request.payload, self._payload(self.offers[name]))
            request = self.offers.get(name)
            bank = request and self._bank(request["address"], width)
            asks = request and not (name in self.agreed and bank in taken)
            context.set(port.request.valid, bool(asks))
            if not asks:
                continue
            assert context.get(port.request.ready) == (bank not in taken), name
            if bank not in taken:
                served[name] = self.offers.pop(name)
            else:
                self.seen["refused"] += 1
            taken.add(bank)
        return served

    def _keep(self, context, taken):
        """What those who have agreed ask for, and sometimes more."""
        taken |= {bank for bank in range(self.shape.banks) if self.rng.random() < 0.2 * self.busy}
        context.set(self.pad.kept, sum(1 << bank for bank in taken))
        return taken

    def _request(self, width, address):
        rows = int(self.rng.integers(1 << self.shape.rows))
        return {"address": address, "rows": rows, "data": self.rng.bytes(width * self.shape.rows), "width": width}

    def _payload(self, request):
        if not self.writing:
            return request["address"]
        width, raw = request["width"], request["data"]
        words = [int.from_bytes(raw[r * width : (r + 1) * width], "little") for r in range(self.shape.rows)]
        return {"address": request["address"], "rows": request["rows"], "data": words}

    def _write(self, request, written):
        width = request["width"]
        start = request["address"] * width
        data = np.frombuffer(request["data"], np.uint8).reshape(self.shape.rows, width)
        for row in range(self.shape.rows):
            if request["rows"] >> row & 1:
                self.cells[row, start : start + width] = data[row]
                written[row, start : start + width] = True

    def _check(self, context, name):
        expected = self.answers[name].popleft()
        if expected is None:
            return
        data, known = expected
        port, width = self.readers[name]
        shown = context.get(port.data)
        got = np.array([list(shown[row].to_bytes(width, "little")) for row in range(self.shape.rows)], np.uint8)
        assert np.array_equal(got[known], data[known]), name

    async def cycle(self, context):
        for name in self.readers:
            self._check(context, name)
        self.writing = False
        reads = self._offer(context, self.readers)
        self.writing = True
        writes = self._offer(context, self.writers)
        written = np.zeros(self.cells.shape, bool)
        for request in writes.values():
            self._write(request, written)
        for name in self.readers:
            self._spoil(self.asked.get(name), written)
            self.answers[name].append(self._answer(reads.get(name)))
        self.asked = {name: (reads[name], self.answers[name][-1]) for name in reads}
        await context.tick()

    def _part(self, request):
        return slice(request["address"] * request["width"], (request["address"] + 1) * request["width"])

    def _answer(self, request):
        """What is there after this cycle."""
        if request is None:
            return None
        data = self.cells[:, self._part(request)].copy()
        return data, np.ones(data.shape, bool)

    def _spoil(self, asked, written):
        """Bytes that are written in the cycle after the read was accepted may be either."""
        if asked is None:
            return
        request, (_, known) = asked
        now = written[:, self._part(request)]
        self.seen["same word"] += bool(now.any())
        known &= ~now

    async def read_everything(self, context, name):
        """Every cell through one reader: also those that nobody should have written."""
        self.busy, self.writing = 0.0, False
        while self.offers:
            await self.cycle(context)
        self.writing = False
        port, width = self.readers[name]
        for address in range(self.cells.shape[1] // width):
            self.offers[name] = self._request(width, address)
            context.set(port.request.payload, address)
            await self.cycle(context)
        for _ in range(READ_LATENCY):
            await self.cycle(context)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("busy", [0.3, 1.0])
@pytest.mark.parametrize("agreed", [0, 2])
def test_traffic(testbench, case, busy, agreed):
    shape, readers, writers = CASES[case]
    agree = list(readers)[:agreed]
    pad = Scratchpad(shape, readers=readers, writers=writers, agreed=agree)
    traffic = Traffic(pad, shape, readers, writers, np.random.default_rng(1), busy, agree)

    async def body(context):
        for _ in range(1500):
            await traffic.cycle(context)
        traffic.writers, writers_now = {}, traffic.writers
        for port, _ in writers_now.values():
            context.set(port.request.valid, 0)
        traffic.offers = {name: offer for name, offer in traffic.offers.items() if name in readers}
        for name in readers:
            await traffic.read_everything(context, name)

    testbench(pad, body)
    assert traffic.seen["same word"]
    assert traffic.seen["refused"] or len(readers) <= agreed


def test_write_then_read(testbench):
    """A write accepted in cycle t is seen by a read accepted in cycle t + 1, and its neighbours are untouched."""
    shape = ScratchpadShape(rows=2, banks=2, words=8, word_bytes=2)
    pad = Scratchpad(shape, readers={"read": 2}, writers={"write": 1})

    async def answer(context, address):
        context.set(pad.read.request.valid, 1)
        context.set(pad.read.request.payload, address)
        await context.tick()
        context.set(pad.read.request.valid, 0)
        for _ in range(READ_LATENCY - 1):
            await context.tick()
        shown = context.get(pad.read.data)
        return [shown[row] for row in range(shape.rows)]

    async def put(context, address, rows, data):
        context.set(pad.write.request.valid, 1)
        context.set(pad.write.request.payload, {"address": address, "rows": rows, "data": data})
        await context.tick()
        context.set(pad.write.request.valid, 0)

    async def body(context):
        await put(context, 6, 0b11, [0x11, 0x22])
        assert await answer(context, 3) == [0x11, 0x22]
        await put(context, 7, 0b10, [0x33, 0x44])
        assert await answer(context, 3) == [0x11, 0x4422]
        await put(context, 6, 0b01, [0x55, 0x66])
        assert await answer(context, 3) == [0x55, 0x4422]
        await put(context, 6, 0b00, [0x77, 0x88])
        assert await answer(context, 3) == [0x55, 0x4422]
        assert [await answer(context, address) for address in (2, 4)] == [[0, 0], [0, 0]]

    testbench(pad, body)
