"""A Vivado project for a Zynq board: settings, constraints and the device tree that Linux needs.

The steps are in ``build.tcl``, the same for every configuration; what differs is in ``settings.tcl``.
"""

from dataclasses import dataclass
from importlib import resources

from ...config import Config
from ...isa.registers import PAGE_BYTES
from .ports import CLOCK

__all__ = ["PYNQ_Z2", "ZynqBoard", "build_tcl", "constraints_xdc", "core_xdc", "device_tree", "settings_tcl"]


@dataclass(frozen=True, kw_only=True)
class ZynqBoard:
    """A board with a Zynq-7000.

    Members
    -------
    part, board_part
        The vendor's names of the device, and of the board where its files are installed.
    processing_system
        Properties of the processing system that belong to the board.
    register_base
        Where the processor sees the core's registers, in the range of M_AXI_GP0.
    memory_bytes
        DDR memory, from address 0.
    interrupt
        Number of IRQ_F2P[0] among the interrupt controller's shared ones.
    """

    name: str
    part: str
    board_part: str
    processing_system: tuple[tuple[str, str], ...]
    register_base: int
    memory_bytes: int
    interrupt: int


PYNQ_Z2 = ZynqBoard(
    name="pynq-z2",
    part="xc7z020clg400-1",
    board_part="tul.com.tw:pynq-z2:part0:1.0",
    processing_system=(
        ("CONFIG.PCW_CRYSTAL_PERIPHERAL_FREQMHZ", "50"),
        ("CONFIG.PCW_UIPARAM_DDR_PARTNO", "MT41K256M16 RE-125"),
        ("CONFIG.PCW_UIPARAM_DDR_BUS_WIDTH", "16 Bit"),
    ),
    register_base=0x43C0_0000,
    memory_bytes=512 << 20,
    interrupt=29,
)


def build_tcl() -> str:
    """The steps; it reads ``settings.tcl`` beside it."""
    return resources.files(__package__).joinpath("build.tcl").read_text(encoding="utf-8")


def settings_tcl(config: Config, board: ZynqBoard, *, clock_mhz: int, jobs: int) -> str:
    """Variables of ``build.tcl``."""
    properties = " ".join(f"{name} {{{value}}}" for name, value in board.processing_system)
    settings = {
        "part": board.part,
        "board_part": board.board_part,
        "processing_system": f"[list {properties}]",
        "clock_mhz": str(clock_mhz),
        "register_base": f"{board.register_base:#x}",
        "register_bytes": f"{PAGE_BYTES:#x}",
        "memory_base": "0x0",
        "memory_bytes": f"{board.memory_bytes:#x}",
        "jobs": str(jobs),
    }
    head = f"# Configuration {config.name}, hash {config.hash}, on {board.name}\n"
    return head + "".join(f"set {name} {value}\n" for name, value in settings.items())


def core_xdc(clock_mhz: int) -> str:
    """The core's own constraint, for when it is synthesised alone."""
    return f"create_clock -name {CLOCK} -period {1000 / clock_mhz:.3f} [get_ports {CLOCK}]\n"


def constraints_xdc() -> str:
    """Constraints of the whole design. Its pins are the processing system's own, and so is its clock."""
    return "set_property BITSTREAM.GENERAL.COMPRESS TRUE [current_design]\n"


def device_tree(board: ZynqBoard, *, buffer_bytes: int) -> str:
    """A device tree overlay's source: the registers as UIO device, and a contiguous buffer for programs and data.

    It needs the kernel's uio_pdrv_genirq with ``of_id=generic-uio``, and the module u-dma-buf.
    """
    return f"""\
/dts-v1/;
/plugin/;
&amba {{
	tilewright: tilewright@{board.register_base:x} {{
		compatible = "generic-uio";
		reg = <{board.register_base:#x} {PAGE_BYTES:#x}>;
		interrupt-parent = <&intc>;
		interrupts = <0 {board.interrupt} 4>;
	}};
	udmabuf0 {{
		compatible = "ikwzm,u-dma-buf";
		device-name = "udmabuf0";
		size = <{buffer_bytes:#x}>;
	}};
}};
"""
