"""The exported files: what other tools build the accelerator from."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ...config import Config
from ...errors import DeviceError
from ...files import write_file
from .fusesoc import core_file
from .ipxact import component_xml
from .top import export_verilog
from .vivado import PYNQ_Z2, build_tcl, constraints_xdc, core_xdc, device_tree, settings_tcl

__all__ = ["exported_files", "make_folder", "write_files"]

_VERILOG, _CORE_XDC = "hdl/tilewright.v", "constraints/clock.xdc"
_IP = "ip"


def exported_files(
    config: Config, *, vivado: bool, fusesoc: bool, clock_mhz: int, jobs: int, buffer_bytes: int
) -> dict[str, bytes]:
    """Contents by path below the folder.

    Parameters
    ----------
    vivado
        An IP-XACT component in ``ip``, and beside it what builds a design for the PYNQ-Z2 with it.
    fusesoc
        A core file that refers to the same sources.
    clock_mhz
        The core's clock.
    jobs
        Processes of an implementation run.
    buffer_bytes
        Memory that Linux sets aside for programs and data.
    """
    files = {f"{_IP}/{_VERILOG}": export_verilog(config), f"{_IP}/{_CORE_XDC}": core_xdc(clock_mhz)}
    binary = {}
    if vivado:
        binary[f"{_IP}/component.xml"] = component_xml(config, verilog=_VERILOG, constraints=_CORE_XDC)
        files |= {
            "build.tcl": build_tcl(),
            "settings.tcl": settings_tcl(config, PYNQ_Z2, clock_mhz=clock_mhz, jobs=jobs),
            "constraints.xdc": constraints_xdc(),
            "tilewright.dts": device_tree(PYNQ_Z2, buffer_bytes=buffer_bytes),
            "tilewright.toml": config.to_toml(),
        }
    if fusesoc:
        places = {"verilog": f"{_IP}/{_VERILOG}", "constraints": f"{_IP}/{_CORE_XDC}"}
        files["tilewright.core"] = core_file(config, part=PYNQ_Z2.part, **places)
    return {path: text.encode() for path, text in files.items()} | binary


def write_files(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write each file whole; folders are made.

    Raises
    ------
    DeviceError
        A folder or file can't be written.
    """
    for path, content in files.items():
        place = directory / PurePosixPath(path)
        make_folder(place.parent)
        write_file(place, content, "exported file", error=DeviceError)


def make_folder(path: Path) -> None:
    """Make a folder, unless it is there.

    Raises
    ------
    DeviceError
        It can't be.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DeviceError(f"folder {path} must be there to write to: {error.strerror or error}") from None
