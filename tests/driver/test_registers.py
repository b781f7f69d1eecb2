"""The register driver against a page that behaves as the manual says, and that checks how it is used."""

import pytest
from tilewright.config import Config, load_config
from tilewright.driver.registers import RegisterDriver
from tilewright.errors import DeviceError
from tilewright.isa.launch import Launch, Outcome
from tilewright.isa.registers import COUNTERS, IDENTITY, REGISTERS, Control, Status, counter_address, register
from tilewright.isa.table import ISA_VERSION, ErrorCode

TINY = load_config("tiny")


class Page:
    """A register page whose core ends as told, some looks at STATUS after it was started.

    Members
    -------
    endings
        How each start ends: (error code, index), or None for a core that never comes back.
    launches
        The writable registers at every accepted start.
    """

    def __init__(self, config: Config = TINY, **overrides: int) -> None:
        self.values = {
            **{entry.address: 0 for entry in REGISTERS},
            register("IDENTITY"): IDENTITY,
            register("ISA_VERSION"): ISA_VERSION,
            register("CONFIG_HASH_LO"): int(config.hash[8:], 16),
            register("CONFIG_HASH_HI"): int(config.hash[:8], 16),
        }
        self.values |= {register(name): value for name, value in overrides.items()}
        for n, name in enumerate(COUNTERS):
            self.values[counter_address(name)] = 1000 + n
            self.values[counter_address(name) + 4] = n
        self.endings: list[tuple[ErrorCode, int] | None] = []
        self.launches: list[dict[int, int]] = []
        self.looks = 0
        self.irq_enable = False
        self.next_status = Status(0)

    @property
    def status(self) -> Status:
        return Status(self.values[register("STATUS")])

    @status.setter
    def status(self, status: Status) -> None:
        self.values[register("STATUS")] = status

    def read32(self, address: int) -> int:
        value = self.values[address]
        if address == register("STATUS") and value & Status.BUSY and self.looks < 1000:
            self.looks -= 1
            if self.looks == 0:
                self.status = self.next_status
        return value

    def write32(self, address: int, value: int) -> None:
        assert 0 <= value < 1 << 32
        assert {entry.address: entry.access for entry in REGISTERS}[address] == "rw"
        if address != register("CONTROL"):
            assert not self.status & Status.BUSY
            self.values[address] = value
            return
        self.irq_enable = bool(value & Control.IRQ_ENABLE)
        if value & Control.SOFT_RESET:
            self.values |= {register("ERROR_CODE"): 0, register("ERROR_INDEX"): 0}
            self.status, self.next_status, self.looks = Status.BUSY, Status(0), 2
        elif value & Control.START and not self.status & (Status.BUSY | Status.ERROR):
            self._start()

    def _start(self) -> None:
        self.launches.append(dict(self.values))
        ending = self.endings.pop(0)
        self.status, self.looks = Status.BUSY, 3
        if ending is None:
            self.looks = 1 << 30
        elif ending[0] is ErrorCode.NONE:
            self.next_status = Status.DONE
        else:
            self.next_status = Status.ERROR
            self.values |= {register("ERROR_CODE"): ending[0], register("ERROR_INDEX"): ending[1]}


def test_a_run_writes_every_register_and_reads_counters() -> None:
    page = Page()
    page.endings = [(ErrorCode.NONE, 0)]
    idles: list[int] = []
    driver = RegisterDriver(page, TINY, idle=lambda: idles.append(1))
    launch = Launch(0x1000_0040, 17, ((0x8000_0000, 4096), (0x4000, 0xFFFF_FFFF)), watchdog=99)
    outcome = driver.run(launch)
    assert (outcome.error, outcome.index) == (ErrorCode.NONE, 0)
    assert outcome.counters == {name: (n << 32) + 1000 + n for n, name in enumerate(COUNTERS)}
    assert len(idles) == 3
    written = page.launches[0]
    expected = {"PROGRAM_BASE_LO": 0x1000_0040, "PROGRAM_BASE_HI": 0, "PROGRAM_COUNT": 17, "WATCHDOG": 99}
    expected |= {"SEGMENT0_BASE_LO": 0x8000_0000, "SEGMENT0_LIMIT": 4096}
    expected |= {"SEGMENT1_BASE_LO": 0x4000, "SEGMENT1_LIMIT": 0xFFFF_FFFF}
    expected |= {f"SEGMENT{s}_LIMIT": 0 for s in range(2, 8)}
    assert {name: written[register(name)] for name in expected} == expected


def test_wide_addresses_use_both_halves() -> None:
    wide = TINY.replace(address_bits=40)
    page = Page(wide)
    page.endings = [(ErrorCode.NONE, 0)]
    RegisterDriver(page, wide).run(Launch(0x12_3456_7840, 1, ((0x9A_0000_0000, 64),)))
    values = page.launches[0]
    assert (values[register("PROGRAM_BASE_HI")], values[register("PROGRAM_BASE_LO")]) == (0x12, 0x3456_7840)
    assert (values[register("SEGMENT0_BASE_HI")], values[register("SEGMENT0_BASE_LO")]) == (0x9A, 0)


def test_an_error_is_read_and_cleared() -> None:
    page = Page()
    page.endings = [(ErrorCode.SEGMENT_LIMIT, 5), (ErrorCode.NONE, 0)]
    driver = RegisterDriver(page, TINY)
    outcome = driver.run(Launch(0, 9))
    assert (outcome.error, outcome.index) == (ErrorCode.SEGMENT_LIMIT, 5)
    assert outcome.counters["cycles"] == 1000
    assert page.status == Status(0)
    assert driver.run(Launch(0, 9)).error is ErrorCode.NONE


def test_an_error_left_by_others_is_cleared_before_the_start() -> None:
    page = Page()
    page.status = Status.ERROR
    page.endings = [(ErrorCode.NONE, 0)]
    assert isinstance(RegisterDriver(page, TINY).run(Launch(0, 1)), Outcome)
    assert len(page.launches) == 1


def test_the_interrupt_stays_enabled() -> None:
    for enabled in (False, True):
        page = Page()
        page.endings = [(ErrorCode.WATCHDOG, 1)]
        RegisterDriver(page, TINY, interrupt=enabled).run(Launch(0, 1))
        assert page.irq_enable is enabled


def test_a_core_that_stays_busy_is_given_up() -> None:
    page = Page()
    page.endings = [None]
    driver = RegisterDriver(page, TINY, timeout=0.01)
    with pytest.raises(DeviceError, match=r"^the core must come to an end within 0.01 s, but it is still busy$"):
        driver.run(Launch(0, 1))
    with pytest.raises(DeviceError, match=r"^the core must be idle before a start, but it is busy: reset it$"):
        driver.run(Launch(0, 1))
    driver.reset()
    page.endings = [(ErrorCode.NONE, 0)]
    assert driver.run(Launch(0, 1)).error is ErrorCode.NONE


@pytest.mark.parametrize(
    "overrides, message",
    [
        ({"IDENTITY": 0}, "register IDENTITY must read 0x54494c45, not 0x00000000: no core is there"),
        ({"ISA_VERSION": 9}, f"register ISA_VERSION must read {ISA_VERSION}, not 9: rebuild the hardware"),
    ],
)
def test_what_is_no_core_of_ours(overrides: dict[str, int], message: str) -> None:
    with pytest.raises(DeviceError) as caught:
        RegisterDriver(Page(**overrides), TINY)
    assert str(caught.value) == message


def test_another_configuration() -> None:
    mine = TINY.replace(name="mine", rows=2)
    with pytest.raises(DeviceError, match="it is mine with rows: 2, not 1"):
        RegisterDriver(Page(mine), TINY, known=(mine,))
    with pytest.raises(DeviceError, match="no configuration known here"):
        RegisterDriver(Page(mine), TINY)


def test_addresses_that_do_not_fit() -> None:
    page = Page()
    driver = RegisterDriver(page, TINY)
    for launch, message in (
        (Launch(1 << 32, 1), r"^program address must have at most 32 bits .address_bits., not 0x100000000$"),
        (Launch(0, 1, ((1 << 33, 1),)), "^base of segment 0 must have at most 32 bits"),
    ):
        with pytest.raises(DeviceError, match=message):
            driver.run(launch)
    assert not page.launches
