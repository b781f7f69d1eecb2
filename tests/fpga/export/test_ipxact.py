"""The component says of the Verilog what the Verilog says of itself."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tilewright.config import Config, load_config
from tilewright.fpga.export.ipxact import SPIRIT, component_xml
from tilewright.isa.registers import COUNTERS, REGISTERS, counter_address

S = {"s": SPIRIT}
AXI4_LITE = set(
    re.findall(
        r"\w+",
        "AWADDR AWPROT AWVALID AWREADY WDATA WSTRB WVALID WREADY BRESP BVALID BREADY "
        "ARADDR ARPROT ARVALID ARREADY RDATA RRESP RVALID RREADY",
    )
)
AXI4 = AXI4_LITE | set(
    re.findall(r"\w+", "AWID AWLEN AWSIZE AWBURST AWCACHE WLAST BID ARID ARLEN ARSIZE ARBURST ARCACHE RID RLAST")
)
ORDER = re.findall(
    r"\w+",
    "vendor library name version busInterfaces addressSpaces memoryMaps model fileSets description "
    "parameters vendorExtensions",
)


def ports_of_verilog(path: Path) -> dict[str, tuple[str, int]]:
    """(direction, width) of the top module's ports, by name."""
    text = path.read_text()
    body = re.search(r"^module tilewright_axi\((.*?)\);(.*?)^endmodule", text, re.MULTILINE | re.DOTALL)
    assert body
    found = {
        name: ("in" if direction == "input" else "out", int(left or 0) + 1)
        for direction, left, name in re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", body[2], re.MULTILINE)
    }
    assert set(found) == set(re.findall(r"\w+", body[1]))
    return found


def ports_of_component(root: ElementTree.Element) -> dict[str, tuple[str, int]]:
    return {
        port.findtext("s:name", "", S): (
            port.findtext("s:wire/s:direction", "", S),
            int(port.findtext("s:wire/s:vector/s:left", "0", S)) + 1,
        )
        for port in root.iterfind("s:model/s:ports/s:port", S)
    }


def maps(root: ElementTree.Element) -> dict[str, dict[str, str]]:
    """Physical port by logical port, by interface."""
    return {
        interface.findtext("s:name", "", S): {
            entry.findtext("s:logicalPort/s:name", "", S): entry.findtext("s:physicalPort/s:name", "", S)
            for entry in interface.iterfind("s:portMaps/s:portMap", S)
        }
        for interface in root.iterfind("s:busInterfaces/s:busInterface", S)
    }


@pytest.fixture
def component(exported: Path) -> ElementTree.Element:
    return ElementTree.parse(exported / "ip/component.xml").getroot()


def test_every_port_is_there_as_in_the_verilog(exported: Path, component: ElementTree.Element) -> None:
    assert ports_of_component(component) == ports_of_verilog(exported / "ip/hdl/tilewright.v")


def test_every_port_belongs_to_one_interface(component: ElementTree.Element) -> None:
    mapped = [physical for interface in maps(component).values() for physical in interface.values()]
    assert sorted(mapped) == sorted(ports_of_component(component))


def test_the_buses_are_complete(component: ElementTree.Element) -> None:
    interfaces = maps(component)
    assert set(interfaces["m_axi"]) == AXI4 and set(interfaces["s_axi"]) == AXI4_LITE
    assert all(physical == f"m_axi_{logical.lower()}" for logical, physical in interfaces["m_axi"].items())
    assert interfaces["aclk"] == {"CLK": "aclk"} and interfaces["aresetn"] == {"RST": "aresetn"}
    assert interfaces["irq"] == {"INTERRUPT": "irq"}


def test_modes_and_what_they_refer_to(component: ElementTree.Element) -> None:
    found = {i.findtext("s:name", "", S): i for i in component.iterfind("s:busInterfaces/s:busInterface", S)}
    space, page = found["m_axi"].find("s:master/s:addressSpaceRef", S), found["s_axi"].find("s:slave/s:memoryMapRef", S)
    assert space is not None and page is not None
    assert (
        list(space.attrib.values()) == ["m_axi"] == [component.findtext("s:addressSpaces/s:addressSpace/s:name", "", S)]
    )
    assert list(page.attrib.values()) == ["s_axi"] == [component.findtext("s:memoryMaps/s:memoryMap/s:name", "", S)]
    assert component.findtext("s:addressSpaces/s:addressSpace/s:range", "", S) == str(1 << 32)


def test_the_order_of_elements_is_the_schemas(component: ElementTree.Element) -> None:
    assert [child.tag.rpartition("}")[2] for child in component] == ORDER
    for interface in component.iterfind("s:busInterfaces/s:busInterface", S):
        names = [child.tag.rpartition("}")[2] for child in interface]
        assert names == ["name", "busType", "abstractionType", names[3], "portMaps", "parameters"]
        assert names[3] in ("master", "slave")


def test_the_memory_map_is_the_register_page(component: ElementTree.Element) -> None:
    found = {
        entry.findtext("s:name", "", S): (int(entry.findtext("s:addressOffset", "", S), 16), entry)
        for entry in component.iterfind(".//s:register", S)
    }
    assert {e.name: e.address for e in REGISTERS}.items() <= {n: address for n, (address, _) in found.items()}.items()
    assert len(found) == len(REGISTERS) + len(COUNTERS)
    assert found["COUNTER_CYCLES"][0] == counter_address("cycles")
    ends = [address + int(entry.findtext("s:size", "", S)) // 8 for address, entry in found.values()]
    starts = sorted(address for address, _ in found.values())
    assert all(end <= start for end, start in zip(sorted(ends), starts[1:], strict=False)) and max(ends) <= 4096


def test_files_exist(exported: Path, component: ElementTree.Element) -> None:
    files = [file.text for file in component.iterfind(".//s:file/s:name", S)]
    assert len(files) == 3 and all((exported / "ip" / str(file)).is_file() for file in files)
    sets = {entry.findtext("s:name", "", S) for entry in component.iterfind("s:fileSets/s:fileSet", S)}
    assert {entry.text for entry in component.iterfind(".//s:fileSetRef/s:localName", S)} == sets


@pytest.mark.parametrize("change", [{"bus_bits": 512, "burst_beats": 16}, {"address_bits": 40, "bus_bits": 128}])
def test_other_widths(change: dict[str, int]) -> None:
    config: Config = load_config("tiny").replace(**change)
    root = ElementTree.fromstring(component_xml(config, verilog="v", constraints="x"))
    ports = ports_of_component(root)
    assert ports["m_axi_wdata"] == ("out", config.bus_bits) and ports["m_axi_rdata"] == ("in", config.bus_bits)
    assert ports["m_axi_wstrb"] == ("out", config.bus_bytes) and ports["m_axi_araddr"] == ("out", config.address_bits)
    assert f">{config.hash}<" in ElementTree.tostring(root, encoding="unicode")


def test_the_verilog_lints(exported: Path) -> None:
    waived = ["-Wno-WIDTH", "-Wno-CASEINCOMPLETE", "-Wno-CASEOVERLAP"]  # what Yosys' Verilog is known to have
    done = subprocess.run(
        ["verilator", "--lint-only", *waived, "--top-module", "tilewright_axi", exported / "ip/hdl/tilewright.v"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_ipyxact_reads_the_component(exported: Path) -> None:
    """Another project's reader, which has the elements of 1685-2009 by their schema's names."""
    reader = pytest.importorskip("ipyxact.ipyxact").Component()
    reader.load(str(exported / "ip/component.xml"))
    assert (reader.vendor, reader.library, reader.name) == ("tilewright", "accelerator", "tilewright")
    ports = {interface.name: len(interface.portMaps.portMap) for interface in reader.busInterfaces.busInterface}
    assert ports == {"m_axi": len(AXI4), "s_axi": len(AXI4_LITE), "aclk": 1, "aresetn": 1, "irq": 1}
    assert len(reader.model.ports.port) == sum(ports.values())
    (block,) = reader.memoryMaps.memoryMap[0].addressBlock
    assert len(block.register) == len(REGISTERS) + len(COUNTERS)


@pytest.mark.parametrize(("target", "steps"), [("lint", []), ("synth", ["--setup"])])
def test_fusesoc_runs_the_core_file(exported: Path, tmp_path: Path, target: str, steps: list[str]) -> None:
    """All of lint, of synthesis what comes before the vendor's tool."""
    pytest.importorskip("fusesoc")
    command = [sys.executable, "-W", "ignore", "-m", "fusesoc.main", "--cores-root", exported, "run", *steps]
    done = subprocess.run(
        [*command, "--target", target, "tilewright:accelerator:tilewright"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and "%Warning" not in done.stderr, done.stdout + done.stderr
    (described,) = tmp_path.glob(f"build/*/{target}/*.eda.yml")
    text = described.read_text()
    assert "toplevel: tilewright_axi" in text and "tilewright.v" in text
    assert ("clock.xdc" in text) == (target == "synth")
