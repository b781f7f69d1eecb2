"""The Tcl runs, in Python's own interpreter; stand-ins for the vendor's commands check what they are given."""

import tkinter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tilewright.fpga.export.ipxact import LIBRARY, NAME, VENDOR, VERSION

PINS = {
    "ps": {"FCLK_CLK0", "FCLK_RESET0_N", "M_AXI_GP0_ACLK", "S_AXI_HP0_ACLK", "IRQ_F2P"},
    "core": {"aclk", "aresetn", "irq"},
    "reset": {"slowest_sync_clk", "ext_reset_in", "peripheral_aresetn"},
    "registers": {"aclk", "aresetn"},
    "memory": {"aclk", "aresetn"},
}
BUSES = {
    "ps": {"M_AXI_GP0", "S_AXI_HP0", "DDR", "FIXED_IO"},
    "core": {"m_axi", "s_axi"},
    "registers": {"S00_AXI", "M00_AXI"},
    "memory": {"S00_AXI", "M00_AXI"},
}
KINDS = {"ps": "processing_system7", "core": NAME, "reset": "proc_sys_reset"} | dict.fromkeys(
    ("registers", "memory"), "smartconnect"
)


@dataclass
class Vendor:
    """The vendor's tool as far as the script needs it.

    Members
    -------
    nets, segments
        What was connected and mapped.
    slack
        What the implementation will answer.
    """

    folder: Path
    slack: str = "0.321"
    progress: str = "100%"
    catalogue: bool = True
    cells: dict[str, str] = field(default_factory=dict)
    nets: list[set[str]] = field(default_factory=list)
    buses: list[set[str]] = field(default_factory=list)
    segments: dict[str, tuple[int, int, str, str]] = field(default_factory=dict)
    properties: dict[str, dict[str, str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def install(self, tcl: tkinter.Tk) -> None:
        self.tcl = tcl
        for name in dir(self):
            if name.startswith("do_"):
                tcl.createcommand(name[3:], self.recorded(name[3:]))

    def recorded(self, name: str):
        def call(*words: str) -> str:
            self.calls.append(name)
            return str(getattr(self, f"do_{name}")(*words) or "")

        return call

    def listed(self, text: str) -> tuple[str, ...]:
        return tuple(map(str, self.tcl.tk.splitlist(text)))

    def do_create_project(self, name: str, place: str, *options: str) -> None:
        assert options == ("-part", "xc7z020clg400-1", "-force")
        self.project = Path(place)

    def do_get_board_parts(self, *words: str) -> str:
        return ""

    def do_current_project(self) -> str:
        return "project"

    def do_current_fileset(self) -> str:
        return "sources_1"

    def do_set_property(self, *words: str) -> None:
        *given, target = words
        pairs = self.listed(given[1]) if given[0] == "-dict" else given
        assert len(pairs) % 2 == 0
        self.properties.setdefault(target, {}).update(zip(pairs[::2], pairs[1::2], strict=True))

    def do_update_ip_catalog(self) -> None:
        assert (Path(self.properties["project"]["ip_repo_paths"]) / "component.xml").is_file()

    def do_add_files(self, *words: str) -> None:
        assert Path(words[-1]).is_file()

    def do_get_ipdefs(self, option: str, vlnv: str) -> str:
        assert option == "-all"
        if vlnv.startswith(f"{VENDOR}:"):
            assert vlnv == f"{VENDOR}:{LIBRARY}:{NAME}:{VERSION}"
            return vlnv
        assert vlnv.startswith("xilinx.com:ip:") and vlnv.endswith(":*")
        return f"{vlnv[:-1]}1.0 {vlnv[:-1]}5.5" if self.catalogue else ""

    def do_create_bd_design(self, name: str) -> None:
        assert name == "system"

    def do_create_bd_cell(self, *words: str) -> str:
        assert words[:3] == ("-type", "ip", "-vlnv")
        assert words[3].split(":")[2] == KINDS[words[4]]
        self.cells[words[4]] = words[3]
        return words[4]

    def pins(self, table: dict[str, set[str]], path: str) -> str:
        cell, pin = path.split("/")
        assert cell in self.cells and pin in table[cell], path
        return path

    def do_get_bd_pins(self, path: str) -> str:
        return self.pins(PINS, path)

    def do_get_bd_intf_pins(self, path: str) -> str:
        return self.pins(BUSES, path)

    def do_make_bd_intf_pins_external(self, *words: str) -> None:
        self.buses.append({words[-1]})

    def do_connect_bd_net(self, *pins: str) -> None:
        self.nets.append(set(pins))

    def do_connect_bd_intf_net(self, one: str, other: str) -> None:
        self.buses.append({one, other})

    def do_get_bd_addr_spaces(self, name: str) -> str:
        return name

    def do_get_bd_addr_segs(self, name: str) -> str:
        return name

    def do_create_bd_addr_seg(self, *words: str) -> None:
        _, offset, _, size, space, segment, name = words
        self.segments[name] = (int(offset, 16), int(size, 16), space, segment)

    def do_validate_bd_design(self) -> None: ...

    def do_save_bd_design(self) -> None: ...

    def do_get_files(self, name: str) -> str:
        return str(self.project / "bd/system" / name)

    def do_make_wrapper(self, *words: str) -> str:
        wrapper = self.project / "bd/system/hdl/system_wrapper.v"
        handoff = self.project / "bd/system/hw_handoff/system.hwh"
        for file in (wrapper, handoff):
            file.parent.mkdir(parents=True)
            file.write_text(file.name)
        return str(wrapper)

    def do_update_compile_order(self, *words: str) -> None: ...

    def do_launch_runs(self, *words: str) -> None:
        assert words == ("impl_1", "-to_step", "write_bitstream", "-jobs", "2")
        (self.project / "impl").mkdir()
        (self.project / "impl/system_wrapper.bit").write_text("bits")

    def do_wait_on_run(self, name: str) -> None: ...

    def do_get_runs(self, name: str) -> str:
        return name

    def do_get_property(self, name: str, target: str) -> str:
        answers = {"PROGRESS": self.progress, "STATS.WNS": self.slack, "DIRECTORY": str(self.project / "impl")}
        return {**answers, "NAME": target}[name]


@pytest.fixture
def vendor(exported: Path, tmp_path: Path) -> Vendor:
    for path in exported.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(exported)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return Vendor(tmp_path)


def build(vendor: Vendor) -> None:
    tcl = tkinter.Tcl()
    vendor.install(tcl)
    tcl.eval("proc puts {text} {}")
    tcl.eval(f"source {{{vendor.folder / 'build.tcl'}}}")


def test_the_design_is_built(vendor: Vendor) -> None:
    build(vendor)
    assert (vendor.folder / "tilewright.bit").read_text() == "bits"
    assert (vendor.folder / "tilewright.hwh").read_text() == "system.hwh"
    assert vendor.cells["ps"] == "xilinx.com:ip:processing_system7:5.5"
    assert (
        vendor.calls.index("validate_bd_design")
        < vendor.calls.index("make_wrapper")
        < vendor.calls.index("launch_runs")
    )


def test_buses_clock_reset_and_interrupt(vendor: Vendor) -> None:
    build(vendor)
    assert {"ps/M_AXI_GP0", "registers/S00_AXI"} in vendor.buses and {"registers/M00_AXI", "core/s_axi"} in vendor.buses
    assert {"core/m_axi", "memory/S00_AXI"} in vendor.buses and {"memory/M00_AXI", "ps/S_AXI_HP0"} in vendor.buses
    connected = [pin for net in vendor.nets for pin in net]
    assert sorted(connected) == sorted(f"{cell}/{pin}" for cell, pins in PINS.items() for pin in pins)
    assert {"core/irq", "ps/IRQ_F2P"} in vendor.nets
    joined = sorted(pin for bus in vendor.buses for pin in bus)
    assert joined == sorted(f"{cell}/{pin}" for cell, pins in BUSES.items() for pin in pins)


def test_addresses_and_settings(vendor: Vendor) -> None:
    build(vendor)
    assert vendor.segments == {
        "registers": (0x43C0_0000, 4096, "ps/Data", "core/s_axi/registers"),
        "memory": (0, 512 << 20, "core/m_axi", "ps/S_AXI_HP0/HP0_DDR_LOWOCM"),
    }
    ps = vendor.properties["ps"]
    assert ps["CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ"] == "75" and ps["CONFIG.PCW_USE_S_AXI_HP0"] == "1"
    assert ps["CONFIG.PCW_UIPARAM_DDR_PARTNO"] == "MT41K256M16 RE-125"
    assert vendor.properties["memory"] == {"CONFIG.NUM_SI": "1", "CONFIG.NUM_MI": "1"}


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ({"slack": "-0.5"}, "must meet 75 MHz, but misses it by 0.5 ns"),
        ({"progress": "40%"}, "must end with a bitstream"),
        ({"catalogue": False}, "the IP catalogue must have xilinx.com:ip:processing_system7"),
    ],
)
def test_what_goes_wrong_is_said(vendor: Vendor, trouble: dict[str, str], said: str) -> None:
    for name, value in trouble.items():
        setattr(vendor, name, value)
    with pytest.raises(tkinter.TclError, match=said):
        build(vendor)
    assert not (vendor.folder / "tilewright.bit").exists()


def test_constraints_are_tcl_of_known_commands(exported: Path) -> None:
    tcl, seen = tkinter.Tcl(), []
    for name in ("create_clock", "get_ports", "set_property", "current_design"):
        tcl.createcommand(name, lambda *words, name=name: seen.append((name, *words)) or name)
    for file in ("constraints.xdc", "ip/constraints/clock.xdc"):
        tcl.eval((exported / file).read_text())
    assert ("create_clock", "-name", "aclk", "-period", "13.333", "get_ports") in seen


def test_the_device_tree_agrees_with_the_address_map(exported: Path) -> None:
    text = (exported / "tilewright.dts").read_text()
    assert "reg = <0x43c00000 0x1000>" in text and "size = <0x2000000>" in text
    assert text.count("{") == text.count("}")
