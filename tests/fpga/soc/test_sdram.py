"""The SDRAM controller against a chip that minds its data sheet."""

import random

import pytest
from amaranth import Module
from amaranth.lib.wiring import Component, In, connect, flipped
from tilewright.fpga.sdram_chip import SdramChip
from tilewright.fpga.soc.memory_bus import MemoryBus
from tilewright.fpga.soc.sdram import SdramController
from tilewright.fpga.soc.whole_words import WholeWords

CLOCK_HZ = 50_000_000
CYCLE_NS = 1e9 / CLOCK_HZ
WORD = 8
# Few rows, and little patience for refreshes, so that everything happens often.
CHIP = SdramChip(row_bits=11, column_bits=8, interval_ns=3_900.0)
WIDE = SdramChip(row_bits=11, column_bits=8, interval_ns=3_900.0, data_bits=32, masks=False)


class Chip:
    """Four banks of cells, the commands, and a check of every time between them."""

    def __init__(self, pins, chip=CHIP):
        self.pins, self.cells = pins, {}
        self.beats, self.masks, self.lanes = 8 * WORD // chip.data_bits, chip.masks, chip.data_bits // 8
        self.opened = [None] * 4
        self.now = 0
        self.activated, self.precharged, self.written = [-99] * 4, [-99] * 4, [-99] * 4
        self.refreshed, self.refreshes, self.mode = None, 0, None
        self.reads, self.write = {}, None

    def after(self, since, nanoseconds):
        assert (self.now - since) * CYCLE_NS >= nanoseconds, (self.now, since, nanoseconds)

    async def run(self, context):
        pins = self.pins
        while True:
            await context.tick()
            self.now += 1
            command = tuple(context.get(line) for line in (pins.ras, pins.cas, pins.we))
            bank, address = context.get(pins.bank), context.get(pins.address)
            if command != (0, 0, 0):
                self.obey(command, bank, address)
            self.take(context)
            context.set(pins.input, self.reads.pop(self.now, 0xDEAD))

    def obey(self, command, bank, address):
        if self.refreshed is not None:
            self.after(self.refreshed, CHIP.refresh_ns)
        match command:
            case (1, 0, 0):
                assert self.opened[bank] is None and self.mode == 0x20 | self.beats.bit_length() - 1
                self.after(self.precharged[bank], CHIP.precharge_ns)
                self.opened[bank], self.activated[bank] = address, self.now
            case (0, 1, we):
                assert self.opened[bank] is not None and not address >> 10 & 1 and address % self.beats == 0
                self.after(self.activated[bank], CHIP.activate_ns)
                place = (bank, self.opened[bank], address)
                if we:
                    self.write = (place, 0)
                else:
                    assert self.write is None
                    for beat in range(self.beats):
                        when = self.now + CHIP.cas_latency + 1 + beat
                        assert when not in self.reads
                        self.reads[when] = self.cells.get((*place[:2], address + beat), 0)
            case (1, 0, 1):
                for each in range(4) if address >> 10 & 1 else [bank]:
                    if self.opened[each] is not None:
                        self.after(self.activated[each], CHIP.active_ns)
                        self.after(self.written[each], CHIP.recovery_ns)
                    self.opened[each], self.precharged[each] = None, self.now
            case (1, 1, 0):
                assert self.opened == [None] * 4
                self.after(max(self.precharged), CHIP.precharge_ns)
                if self.mode is not None and self.refreshed is not None:
                    assert (self.now - self.refreshed) * CYCLE_NS <= CHIP.interval_ns
                self.refreshed, self.refreshes = self.now, self.refreshes + 1
            case (1, 1, 1):
                assert self.refreshes >= 2 and self.now * CYCLE_NS > 200_000
                self.mode = address

    def take(self, context):
        """A part of a word that is written; the lines must then be ours alone."""
        assert context.get(self.pins.drive) == (self.write is not None)
        if self.write is None:
            return
        (bank, row, column), beat = self.write
        # The chip drives the lines from half a cycle before to half a cycle after the controller sees its data.
        assert not any(self.now - 1 <= when - 1 <= self.now + 1 for when in self.reads)
        mask, value = context.get(self.pins.mask) if self.masks else 0, context.get(self.pins.output)
        old = self.cells.get((bank, row, column + beat), 0)
        keep = sum(0xFF << 8 * lane for lane in range(self.lanes) if mask >> lane & 1)
        self.cells[bank, row, column + beat] = (old & keep) | (value & ~keep)
        self.written[bank] = self.now
        self.write = ((bank, row, column), beat + 1) if beat < self.beats - 1 else None


class Unmasked(Component):
    """A chip without masks behind what makes words whole."""

    def __init__(self):
        self.controller = SdramController(WIDE, clock_hz=CLOCK_HZ, word_bytes=WORD)
        size = {"address_bits": (WIDE.size // WORD - 1).bit_length(), "word_bytes": WORD}
        self.whole, self.pins = WholeWords(**size), self.controller.pins
        super().__init__({"bus": In(MemoryBus(**size))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.controller, m.submodules.whole = self.controller, self.whole
        connect(m, flipped(self.bus), self.whole.bus)
        connect(m, self.whole.memory, self.controller.bus)
        return m


@pytest.mark.parametrize(("kind", "seed"), [(CHIP, 0), (CHIP, 1), (WIDE, 2), (WIDE, 3)])
def test_random_accesses(testbench, kind, seed):
    controller = SdramController(CHIP, clock_hz=CLOCK_HZ, word_bytes=WORD) if kind.masks else Unmasked()
    chip = Chip(controller.pins, kind)
    rng = random.Random(seed)
    words = kind.size // WORD
    places = [rng.randrange(words) for _ in range(12)]
    copy, expected, found = {}, [], []

    async def main(context):
        command = controller.bus.command
        for _ in range(700):
            place = (rng.choice(places) + rng.randrange(6)) % words
            write = rng.random() < 0.5
            strobe = rng.choice([0xFF, 0xFF, rng.randrange(256)])
            value = rng.getrandbits(64)
            context.set(command.p.address, place)
            context.set(command.p.write, write)
            context.set(command.p.data, value)
            context.set(command.p.strobe, strobe)
            context.set(command.valid, 1)
            await context.tick().until(command.ready)
            context.set(command.valid, 0)
            if write:
                lanes = sum(0xFF << 8 * lane for lane in range(8) if strobe >> lane & 1)
                copy[place] = (copy.get(place, 0) & ~lanes) | (value & lanes)
            else:
                expected.append(copy.get(place, 0))
            if rng.random() < 0.1:
                await context.tick().repeat(rng.randrange(300))
        await context.tick().repeat(20)
        assert found == expected and len(found) > 100 and chip.refreshes > 20

    async def watch(context):
        async for _, _, answered, answer in context.tick().sample(controller.bus.answered, controller.bus.answer):
            if answered:
                found.append(answer)

    testbench(controller, main, chip.run, watch)


def test_words_of_a_row_follow_one_another_without_a_gap(testbench):
    controller = SdramController(CHIP, clock_hz=CLOCK_HZ, word_bytes=WORD)
    chip = Chip(controller.pins)

    async def main(context):
        command = controller.bus.command
        context.set(command.valid, 1)
        await context.tick().until(command.ready)
        began = chip.now
        for place in range(1, 41):
            context.set(command.p.address, place)
            await context.tick().until(command.ready)
        assert chip.now - began <= 40 * 4 + 12

    testbench(controller, main, chip.run)
