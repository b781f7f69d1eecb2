"""The Linux driver: against the core's Verilog behind caches that need care, and on files in place of devices."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tilewright.compiler.compile import compile_model
from tilewright.config import Config, load_config
from tilewright.driver.device import Device, open_device
from tilewright.driver.linux import LinuxDevice, MappedDevice
from tilewright.driver.physical import Attributes, DmaBuffer, MemRegisters, ReservedMemory, UioRegisters
from tilewright.driver.session import Session
from tilewright.errors import DeviceError
from tilewright.isa.instruction import finish, load, store
from tilewright.isa.launch import Launch
from tilewright.isa.program import encode_instructions
from tilewright.isa.registers import IDENTITY, register
from tilewright.isa.table import ISA_VERSION, Engine, ErrorCode, Memory
from tilewright.models import DIGITS, DIGITS_TEST
from tilewright.simulator.cycle.core import core_verilog
from tilewright.simulator.cycle.harness import Harness, Settings
from tilewright.simulator.cycle.model import build_model

TINY = load_config("tiny")
BASE, SIZE, LINE = 0x1E00_0000, 1 << 18, 64
REGISTERS = 0x43C0_0000


class SimulatedPage:
    """The register page of the core under Verilator; time passes in pauses only."""

    def __init__(self, memory: np.ndarray, config: Config = TINY) -> None:
        library = build_model(core_verilog(config), bus_bytes=config.bus_bytes, name=f"cycle-{config.hash}")
        settings = Settings(
            bytes=memory.ctypes.data, base=BASE, size=memory.size, latency=20, burst_beats=config.burst_beats
        )
        self._memory, self._harness = memory, Harness(library, settings)
        self.read32, self.write32 = self._harness.csr_read, self._harness.csr_write
        self.close = self._harness.close
        self.pauses = 0

    def pause(self) -> None:
        self.pauses += 1
        self._harness.run(5_000)


class Caches(Attributes):
    """u-dma-buf's attributes with a CPU whose cache holds every line: nothing is seen before it is handed over.

    Members
    -------
    cached, memory
        What the CPU sees, which is the mapped file, and what the core sees.
    handed
        Bytes handed over.
    """

    def __init__(self, file: Path, **numbers: int) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(SIZE))
        self.cached = np.memmap(file, np.uint8, "r+")
        self.memory = np.full(SIZE, 0xA5, np.uint8)
        self.numbers = {"phys_addr": BASE, "size": SIZE, **numbers}
        self.handed = 0

    def number(self, name: str, default: int | None = None) -> int:
        return self.numbers.get(name, default or 0)

    def write(self, name: str, value: int) -> None:
        self.numbers[name] = value
        if name in ("sync_for_cpu", "sync_for_device"):
            offset, size = self.numbers["sync_offset"], self.numbers["sync_size"]
            assert value == 1 and self.numbers["sync_direction"] == 0
            assert offset % LINE == 0 and size % LINE == 0 and 0 <= offset < offset + size <= SIZE
            lines = slice(offset, offset + size)
            to, source = (self.cached, self.memory) if name == "sync_for_cpu" else (self.memory, self.cached)
            to[lines] = source[lines]
            self.handed += size


@pytest.fixture
def caches(tmp_path: Path) -> Caches:
    return Caches(tmp_path / "dev/udmabuf0")


@pytest.fixture
def device(caches: Caches, tmp_path: Path) -> Iterator[MappedDevice]:
    buffer = DmaBuffer("udmabuf0", root=tmp_path, attributes=caches)
    with MappedDevice(TINY, SimulatedPage(caches.memory), buffer) as made:
        yield made


def copied(device: Device, source: int, target: int) -> Launch:
    """A program that copies 64 bytes from one address to another, through ACT."""
    cells = {"memory": Memory.ACT, "offset": 0, "bounds": [16], "mem": (0, [1])}
    code = [
        load(**cells, segment=0, signal=[Engine.STORE]),
        store(**cells, segment=1, wait=[Engine.LOAD]),
        finish(),
    ]
    rows = encode_instructions(code)
    place = device.allocate(rows.nbytes)
    device.write(place, rows)
    return Launch(place, len(code), ((source, 64), (target, 64)))


def test_a_network_runs_as_on_the_native_simulator(device: MappedDevice) -> None:
    program = compile_model(DIGITS, TINY)
    with np.load(DIGITS_TEST) as test:
        name = program.inputs[0].name
        image = test["images"][:1]
    on_native = Session(program, open_device("native", TINY)).run({name: image})
    session = Session(program, device)
    for _ in range(2):
        outputs = session.run({name: image})
        assert all(np.array_equal(outputs[key], on_native[key]) for key in on_native)
    assert device.counters["cycles"] > 1000


def test_neighbours_of_what_is_written_keep_what_the_core_wrote(device: MappedDevice, caches: Caches) -> None:
    place = device.allocate(256)
    device.write(place, bytes(range(128)))
    caches.memory[64:128] = 7  # the core's, behind the CPU's back
    device.write(place + 70, b"\x01\x02")
    expected = np.r_[np.full(6, 7), 1, 2, np.full(56, 7)]
    assert np.array_equal(device.read(place + 64, 64), expected)
    assert np.array_equal(caches.memory[64:128], expected) and np.array_equal(caches.memory[:64], np.arange(64))
    assert np.array_equal(device.read(place + 70, 2), [1, 2])


def test_only_lines_in_use_are_handed_over(device: MappedDevice, caches: Caches) -> None:
    place = device.allocate(1024)
    caches.handed = 0
    device.write(place + 10, bytes(20))
    device.read(place + 100, 50)
    assert caches.handed == 2 * 64 + 2 * 64
    device.write(place, b"")
    assert caches.handed == 4 * 64 and device.read(place, 0).size == 0


def test_coherent_memory_needs_no_care(tmp_path: Path) -> None:
    caches = Caches(tmp_path / "dev/udmabuf0", dma_coherent=1)
    buffer = DmaBuffer("udmabuf0", root=tmp_path, attributes=caches)
    buffer.write(3, np.arange(5, dtype=np.uint8))
    assert np.array_equal(buffer.read(3, 5), np.arange(5)) and caches.handed == 0
    buffer.close()
    buffer.close()


def test_what_does_not_fit_is_refused_before_it_runs(device: MappedDevice) -> None:
    device.allocate(SIZE // 2)
    with pytest.raises(DeviceError, match=rf"must hold {SIZE + 64} bytes for this program, but has {SIZE}: set aside"):
        device.allocate(SIZE // 2 + 64)
    for address in (BASE - 64, BASE + SIZE - 8):
        with pytest.raises(DeviceError, match="is outside"):
            device.read(address, 16)
        with pytest.raises(DeviceError, match="is outside"):
            device.write(address, bytes(16))


def test_starts_and_waits_alternate(device: MappedDevice) -> None:
    source, target = device.allocate(64), device.allocate(64)
    device.write(source, np.arange(64, dtype=np.uint8))
    launch = copied(device, source, target)
    with pytest.raises(DeviceError, match="must be started before it is waited for"):
        device.wait()
    device.start(launch)
    with pytest.raises(DeviceError, match="must end its run before the next one"):
        device.start(launch)
    device.wait()
    assert np.array_equal(device.read(target, 64), np.arange(64))
    outside = Launch(launch.program, launch.count, ((source, 64), (target, 0)))
    assert device.run(outside).error is ErrorCode.SEGMENT_LIMIT
    assert device.run(launch).error is ErrorCode.NONE


@pytest.mark.parametrize(
    ("numbers", "config", "said"),
    [
        ({"phys_addr": BASE + 32}, TINY, "must begin at a multiple of 64, not at 0x1e000020"),
        ({"size": 63}, TINY, "must hold at least 64 bytes, not 63"),
        ({"phys_addr": 1 << 32}, TINY, r"must lie below 0x100000000 \(address_bits 32\)"),
        ({}, TINY.replace(queue_depth=8), "configuration"),
    ],
)
def test_what_can_not_serve_is_refused(tmp_path: Path, numbers: dict[str, int], config: Config, said: str) -> None:
    caches = Caches(tmp_path / "dev/udmabuf0", **numbers)
    page = SimulatedPage(caches.memory)
    with pytest.raises(DeviceError, match=said):
        MappedDevice(config, page, DmaBuffer("udmabuf0", root=tmp_path, attributes=caches))
    page.close()


def put_words(file: Path, offset: int, **words: int) -> None:
    """A register page at rest, in a file."""
    identity = {"IDENTITY": IDENTITY, "ISA_VERSION": ISA_VERSION}
    halves = {"CONFIG_HASH_LO": int(TINY.hash[8:], 16), "CONFIG_HASH_HI": int(TINY.hash[:8], 16)}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    os.truncate(file, max(file.stat().st_size, offset + 4096))
    page = np.memmap(file, np.uint32, "r+", offset, 1024)
    for name, value in {**identity, **halves, **words}.items():
        page[register(name) // 4] = value


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A system with a UIO device, a u-dma-buf device and /dev/mem, all of plain files."""
    put_words(tmp_path / "dev/uio3", 0)
    put_words(tmp_path / "dev/mem", REGISTERS)
    (tmp_path / "dev/udmabuf0").write_bytes(bytes(8192))
    files = {
        "sys/class/uio/uio1/name": "gpio\n",
        "sys/class/uio/uio3/name": "tilewright\n",
        "sys/class/uio/uio3/maps/map0/size": "0x00001000\n",
        "sys/class/u-dma-buf/udmabuf0/phys_addr": "0x000000001e000000\n",
        "sys/class/u-dma-buf/udmabuf0/size": "8192\n",
        "proc/iomem": "00000000-1dffffff : System RAM\n  00008000-007fffff : Kernel code\n43c00000-43c00fff : axi\n",
    }
    for name in ("sync_offset", "sync_size", "sync_direction", "sync_for_cpu", "sync_for_device"):
        files[f"sys/class/u-dma-buf/udmabuf0/{name}"] = "0\n"
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "place", ["", ":uio3,udmabuf0", ":/dev/uio3,/dev/udmabuf0", ":0x43c00000,0x1e000000+0x2000", ":tilewright,udmabuf0"]
)
def test_places(root: Path, place: str) -> None:
    device = open_device(f"linux{place}", TINY, root=str(root))
    address = device.allocate(100)
    assert address == 0x1E00_0000
    device.write(address + 3, b"hello")
    assert device.read(address + 3, 5).tobytes() == b"hello"
    device.close()
    device.close()
    file, offset = (root / "dev/mem", 0x1E00_0000) if "0x" in place else (root / "dev/udmabuf0", 0)
    assert np.memmap(file, np.uint8, "r", offset, 8).tobytes() == b"\0\0\0hello"


def test_lines_are_named_to_the_kernel(root: Path) -> None:
    with LinuxDevice(TINY, root=str(root)) as device:
        device.write(0x1E00_0000 + 130, bytes(100))
    folder = root / "sys/class/u-dma-buf/udmabuf0"
    written = {name: (folder / name).read_text() for name in ("sync_offset", "sync_size", "sync_for_device")}
    assert written == {"sync_offset": "128", "sync_size": "128", "sync_for_device": "1"}


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("uio7,udmabuf0", r"dev/uio7 must be there, and is not: load the device tree overlay"),
        ("npu,udmabuf0", "a UIO device named npu must be there"),
        ("uio3,udmabuf9", "dev/udmabuf9 must be there, and is not: load the kernel module"),
        ("uio3", "must be at REGISTERS,BUFFER"),
        ("uio3,../mem", "must be at names of devices"),
        ("0x43c00010,udmabuf0", "register address must be a multiple of 4096"),
        ("0x43c00000,0x1e000040+0x1000", "reserved memory must begin at a multiple of"),
        ("0x43c00000,0x1dfff000+0x2000", "must be out of Linux' own use"),
        ("0x43c01000,udmabuf0", "register IDENTITY must read|must be mapped"),
    ],
)
def test_places_that_are_none(root: Path, place: str, said: str) -> None:
    os.truncate(root / "dev/mem", REGISTERS + 8192)
    with pytest.raises(DeviceError, match=said):
        LinuxDevice(TINY, place=place, root=str(root))
    LinuxDevice(TINY, root=str(root)).close()  # nothing is left locked


def test_what_the_system_refuses_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LinuxDevice(TINY, root=str(root)), pytest.raises(DeviceError, match="uio3 must be free, but is in use"):
        LinuxDevice(TINY, root=str(root))
    (root / "sys/class/uio/uio3/maps/map0/size").write_text("0x100\n")
    with pytest.raises(DeviceError, match="must map 4096 bytes, not 256"):
        UioRegisters("uio3", root=root)
    (root / "sys/class/u-dma-buf/udmabuf0/size").write_text("big\n")
    with pytest.raises(DeviceError, match="must hold a number"):
        DmaBuffer("udmabuf0", root=root)
    (root / "sys/class/u-dma-buf/udmabuf0/size").unlink()
    with pytest.raises(DeviceError, match="size must be readable"):
        DmaBuffer("udmabuf0", root=root)
    os.truncate(root / "dev/mem", 4096)
    with pytest.raises(DeviceError, match="must be mapped"):
        ReservedMemory(0x1E00_0000, 4096, root=root)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DeviceError, match="must be open to this user, and is not: run as root"):
        MemRegisters(REGISTERS, root=root)


def test_the_interrupt_is_unmasked_and_awaited(root: Path) -> None:
    registers = UioRegisters("tilewright", root=root)
    ours, kernel = socket.socketpair()
    file, registers._descriptor = registers._descriptor, ours.fileno()
    kernel.send(b"\1\0\0\0")
    registers.pause()
    assert kernel.recv(16) == b"\1\0\0\0"
    kernel.setblocking(False)
    registers.pause()  # no interrupt comes: not for ever
    assert kernel.recv(16) == b"\1\0\0\0"
    registers._descriptor = file
    registers.close()
    ours.close()
    kernel.close()
