"""The core as an IP-XACT component (IEEE 1685-2009), in the form that Vivado's IP catalogue reads.

The names of buses and views are the vendor's: ``xilinx.com:interface:aximm:1.0`` and its like.
"""

from collections.abc import Iterable
from dataclasses import fields
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from ...config import Config
from ...isa.registers import COUNTERS, PAGE_BYTES, REGISTERS, counter_address
from .ports import CLOCK, INTERRUPT, RESET, TOP, BusPort, bus_ports

__all__ = ["LIBRARY", "NAME", "SPIRIT", "VENDOR", "VERSION", "component_xml"]

SPIRIT = "http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009"
_XILINX = "http://www.xilinx.com"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
VENDOR, LIBRARY, NAME, VERSION = "tilewright", "accelerator", "tilewright", "1.0"
_BLOCK = "registers"
_SYNTHESIS, _SIMULATION = "xilinx_anylanguagesynthesis", "xilinx_anylanguagebehavioralsimulation"
_FAMILIES = ("zynq", "artix7", "kintex7", "virtex7", "spartan7", "zynquplus", "kintexu", "kintexuplus", "virtexuplus")
_ACCESS = {"ro": "read-only", "rw": "read-write"}


def component_xml(config: Config, *, verilog: str, constraints: str) -> bytes:
    """The text of ``component.xml``.

    Parameters
    ----------
    verilog, constraints
        Paths of the files, from the folder of ``component.xml``.
    """
    ElementTree.register_namespace("spirit", SPIRIT)
    ElementTree.register_namespace("xilinx", _XILINX)
    ElementTree.register_namespace("xsi", _XSI)
    root = Element(_tag("component"))
    for name, text in (("vendor", VENDOR), ("library", LIBRARY), ("name", NAME), ("version", VERSION)):
        _text(root, name, text)
    ports = bus_ports(config)
    _bus_interfaces(root, config, ports)
    space = SubElement(SubElement(root, _tag("addressSpaces")), _tag("addressSpace"))
    _text(space, "name", "m_axi")
    _text(space, "range", str(1 << config.address_bits), format="long")
    _text(space, "width", str(config.bus_bits), format="long")
    _memory_map(root)
    _model(root, ports)
    _file_sets(root, verilog, constraints)
    _text(root, "description", f"Tilewright tensor accelerator, configuration {config.name} ({config.hash})")
    _parameters(root, config)
    _vendor_extensions(root)
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)) + b"\n"


def _tag(name: str) -> str:
    return f"{{{SPIRIT}}}{name}"


def _text(parent: Element, name: str, text: str, **attributes: str) -> Element:
    element = SubElement(parent, _tag(name), {_tag(key): value for key, value in attributes.items()})
    element.text = text
    return element


def _reference(parent: Element, name: str, library: str, bus: str) -> None:
    identity = {"vendor": "xilinx.com", "library": library, "name": bus, "version": "1.0"}
    SubElement(parent, _tag(name), {_tag(key): value for key, value in identity.items()})


def _interface(
    parent: Element,
    name: str,
    kind: tuple[str, str],
    mode: str,
    maps: Iterable[tuple[str, str]],
    parameters: dict[str, str],
) -> Element:
    """A bus interface; returns its mode, to which a reference may be added."""
    interface = SubElement(parent, _tag("busInterface"))
    _text(interface, "name", name)
    library, bus = kind
    _reference(interface, "busType", library, bus)
    _reference(interface, "abstractionType", library, f"{bus}_rtl")
    made = SubElement(interface, _tag(mode))
    port_maps = SubElement(interface, _tag("portMaps"))
    for logical, physical in maps:
        port_map = SubElement(port_maps, _tag("portMap"))
        _text(SubElement(port_map, _tag("logicalPort")), "name", logical)
        _text(SubElement(port_map, _tag("physicalPort")), "name", physical)
    listed = SubElement(interface, _tag("parameters"))
    for key, value in parameters.items():
        parameter = SubElement(listed, _tag("parameter"))
        _text(parameter, "name", key)
        _text(parameter, "value", value, id=f"BUSIFPARAM_VALUE.{name.upper()}.{key}")
    return made


def _bus_interfaces(root: Element, config: Config, ports: tuple[BusPort, ...]) -> None:
    interfaces = SubElement(root, _tag("busInterfaces"))
    aximm = ("interface", "aximm")
    maps = {bus: [(p.signal.upper(), p.name) for p in ports if p.bus == bus] for bus in ("m_axi", "s_axi")}
    manager = {
        "PROTOCOL": "AXI4", "DATA_WIDTH": str(config.bus_bits), "ADDR_WIDTH": str(config.address_bits),
        "MAX_BURST_LENGTH": str(config.burst_beats), "NUM_READ_OUTSTANDING": str(config.reads_outstanding),
        "SUPPORTS_NARROW_BURST": "0",
    }  # fmt: skip
    mode = _interface(interfaces, "m_axi", aximm, "master", maps["m_axi"], manager)
    SubElement(mode, _tag("addressSpaceRef"), {_tag("addressSpaceRef"): "m_axi"})
    lite = {"PROTOCOL": "AXI4LITE", "DATA_WIDTH": "32", "ADDR_WIDTH": str(PAGE_BYTES.bit_length() - 1)}
    mode = _interface(interfaces, "s_axi", aximm, "slave", maps["s_axi"], lite)
    SubElement(mode, _tag("memoryMapRef"), {_tag("memoryMapRef"): "s_axi"})
    clock = {"ASSOCIATED_BUSIF": "m_axi:s_axi", "ASSOCIATED_RESET": RESET}
    _interface(interfaces, CLOCK, ("signal", "clock"), "slave", [("CLK", CLOCK)], clock)
    _interface(interfaces, RESET, ("signal", "reset"), "slave", [("RST", RESET)], {"POLARITY": "ACTIVE_LOW"})
    level = {"SENSITIVITY": "LEVEL_HIGH"}
    _interface(interfaces, INTERRUPT, ("signal", "interrupt"), "master", [("INTERRUPT", INTERRUPT)], level)


def _memory_map(root: Element) -> None:
    memory_map = SubElement(SubElement(root, _tag("memoryMaps")), _tag("memoryMap"))
    _text(memory_map, "name", "s_axi")
    block = SubElement(memory_map, _tag("addressBlock"))
    _text(block, "name", _BLOCK)
    _text(block, "baseAddress", "0", format="long")
    _text(block, "range", str(PAGE_BYTES), format="long")
    _text(block, "width", "32", format="long")
    _text(block, "usage", "register")
    for entry in REGISTERS:
        _register(block, entry.name, entry.meaning, entry.address, 32, entry.access)
    for name in COUNTERS:
        _register(block, f"COUNTER_{name.upper()}", f"counter {name}", counter_address(name), 64, "ro")


def _register(block: Element, name: str, meaning: str, address: int, bits: int, access: str) -> None:
    register = SubElement(block, _tag("register"))
    _text(register, "name", name)
    _text(register, "description", meaning)
    _text(register, "addressOffset", f"{address:#x}")
    _text(register, "size", str(bits), format="long")
    _text(register, "access", _ACCESS[access])


def _model(root: Element, ports: tuple[BusPort, ...]) -> None:
    model = SubElement(root, _tag("model"))
    views = SubElement(model, _tag("views"))
    for name, use in ((_SYNTHESIS, "synthesis"), (_SIMULATION, "simulation")):
        view = SubElement(views, _tag("view"))
        _text(view, "name", name)
        _text(view, "envIdentifier", f":vivado.xilinx.com:{use}")
        _text(view, "language", "Verilog")
        _text(view, "modelName", TOP)
        _text(SubElement(view, _tag("fileSetRef")), "localName", f"{name}_files")
    listed = SubElement(model, _tag("ports"))
    for name, output in ((CLOCK, False), (RESET, False), (INTERRUPT, True)):
        _port(listed, name, 1, output)
    for port in ports:
        _port(listed, port.name, port.width, port.output)


def _port(parent: Element, name: str, width: int, output: bool) -> None:
    port = SubElement(parent, _tag("port"))
    _text(port, "name", name)
    wire = SubElement(port, _tag("wire"))
    _text(wire, "direction", "out" if output else "in")
    if width > 1:
        vector = SubElement(wire, _tag("vector"))
        _text(vector, "left", str(width - 1), format="long")
        _text(vector, "right", "0", format="long")
    kind = SubElement(SubElement(wire, _tag("wireTypeDefs")), _tag("wireTypeDef"))
    _text(kind, "typeName", "wire")
    for view in (_SYNTHESIS, _SIMULATION):
        _text(kind, "viewNameRef", view)


def _file_sets(root: Element, verilog: str, constraints: str) -> None:
    sets = SubElement(root, _tag("fileSets"))
    for view in (_SYNTHESIS, _SIMULATION):
        file_set = SubElement(sets, _tag("fileSet"))
        _text(file_set, "name", f"{view}_files")
        if view == _SYNTHESIS:
            file = SubElement(file_set, _tag("file"))
            _text(file, "name", constraints)
            for kind in ("xdc", "USED_IN_implementation", "USED_IN_out_of_context", "USED_IN_synthesis"):
                _text(file, "userFileType", kind)
        file = SubElement(file_set, _tag("file"))
        _text(file, "name", verilog)
        _text(file, "fileType", "verilogSource")


def _parameters(root: Element, config: Config) -> None:
    listed = SubElement(root, _tag("parameters"))
    values = [("Component_Name", f"{NAME}_0", "user"), ("CONFIG_HASH", config.hash, "generated")]
    values += [(f.name.upper(), str(getattr(config, f.name)), "generated") for f in fields(config) if f.name != "name"]
    for order, (name, value, resolve) in enumerate(values, 1):
        parameter = SubElement(listed, _tag("parameter"))
        _text(parameter, "name", name)
        _text(parameter, "value", value, resolve=resolve, id=f"PARAM_VALUE.{name}", order=str(order))


def _vendor_extensions(root: Element) -> None:
    core = SubElement(SubElement(root, _tag("vendorExtensions")), f"{{{_XILINX}}}coreExtensions")
    supported = SubElement(core, f"{{{_XILINX}}}supportedFamilies")
    for name in _FAMILIES:
        family = SubElement(supported, f"{{{_XILINX}}}family", {f"{{{_XILINX}}}lifeCycle": "Production"})
        family.text = name
    taxonomy = SubElement(SubElement(core, f"{{{_XILINX}}}taxonomies"), f"{{{_XILINX}}}taxonomy")
    taxonomy.text = "/Tilewright"
    for name, text in (("displayName", "Tilewright tensor accelerator"), ("coreRevision", "1")):
        SubElement(core, f"{{{_XILINX}}}{name}").text = text
