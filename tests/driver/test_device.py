"""Opening devices by name, and refusing the wrong configuration."""

import subprocess
import sys
from importlib import import_module

import pytest
from tilewright.config import load_config
from tilewright.driver.device import DEVICES, Device, Simulator, open_device
from tilewright.driver.matching import require_hash, require_same
from tilewright.errors import DeviceError
from tilewright.isa.instruction import finish
from tilewright.isa.launch import Launch
from tilewright.isa.table import ErrorCode
from tilewright.simulator.dram import Dram
from tilewright.simulator.native import NativeSimulator

TINY = load_config("tiny")


def test_the_oracle_by_name() -> None:
    dram = Dram(size=4096)
    device = open_device("oracle", TINY, dram=dram)
    assert isinstance(device, Device) and isinstance(device, Simulator)
    assert (device.name, device.config) == ("oracle", TINY)
    address = device.allocate(3)
    device.write(address, b"abc")
    assert device.read(address, 3).tobytes() == b"abc" == dram.bytes[:3].tobytes()
    device.close()


@pytest.mark.parametrize("name", DEVICES)
def test_every_name_leads_to_a_device_of_that_name(name: str) -> None:
    module, class_name = DEVICES[name]
    made = getattr(import_module(f"tilewright.{module}"), class_name)
    if name == "native":
        made = NativeSimulator  # where there is a compiler
    assert made.name == name
    assert all(hasattr(made, part) for part in ("allocate", "write", "read", "run", "close"))
    seen_into = name in ("oracle", "native", "cycle", "cycle-fast", "netlist")
    assert all(hasattr(made, part) == seen_into for part in ("peek", "poke"))


def test_unknown_devices_and_options() -> None:
    names = "oracle, native, cycle, cycle-fast, timing, netlist, soc, uart, linux"
    with pytest.raises(DeviceError, match=rf"^device must be one of {names}, not 'vta'$"):
        open_device("vta", TINY)
    with pytest.raises(
        DeviceError, match=r"^device native must stand alone, without :/dev/ttyUSB0; places are for uart"
    ):
        open_device("native:/dev/ttyUSB0", TINY)
    with pytest.raises(DeviceError, match=r"^device oracle has no option trace; it has dram, progress, together$"):
        open_device("oracle", TINY, trace=True)
    assert ", ".join(DEVICES) == names


def test_heavy_libraries_stay_out_until_needed() -> None:
    code = (
        "import sys, tilewright.driver.session, tilewright.driver.registers as _\n"
        "assert not {'amaranth', 'onnx', 'llvmlite', 'tilewright.simulator'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_mismatch_names_the_fields() -> None:
    require_same(TINY, TINY.replace(name="other"))
    with pytest.raises(DeviceError) as caught:
        require_same(TINY, TINY.replace(name="mine", rows=2, bus_bits=128))
    assert str(caught.value) == (
        "device must have the configuration of the program (tiny), but it is mine with rows: 2, not 1; "
        "bus_bits: 128, not 64: compile for mine, or open a device of tiny"
    )


def test_a_hash_is_explained_where_it_can_be() -> None:
    require_hash(TINY, TINY.hash)
    mine = TINY.replace(name="mine", tables=2)
    with pytest.raises(DeviceError, match="it is vta-16 with block_in: 16, not 4; "):
        require_hash(TINY, load_config("vta-16").hash)
    with pytest.raises(DeviceError, match="it is mine with tables: 2, not 1: compile for mine"):
        require_hash(TINY, mine.hash, known=(mine,))
    with pytest.raises(DeviceError, match=f"hash {TINY.hash} .tiny., not {mine.hash}, which is no configuration known"):
        require_hash(TINY, mine.hash)


@pytest.mark.parametrize("name", ["oracle", "native"])
def test_a_run_has_two_halves(name: str) -> None:
    device = open_device(name, TINY)
    code = finish().encode()
    address = device.allocate(len(code))
    device.write(address, code)
    launch = Launch(address, 1)
    with pytest.raises(DeviceError, match="must be started before it is waited for"):
        device.wait()
    device.start(launch)
    with pytest.raises(DeviceError, match="must end its run before the next one: wait for it"):
        device.start(launch)
    assert device.wait().error is ErrorCode.NONE
    assert device.counters == device.run(launch).counters
    device.close()
