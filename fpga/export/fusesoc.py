"""A FuseSoC core file (CAPI2), so that other designs can depend on the accelerator."""

from ...config import Config
from .ipxact import LIBRARY, NAME, VENDOR, VERSION
from .ports import TOP

__all__ = ["core_file"]


def core_file(config: Config, *, verilog: str, constraints: str, part: str) -> str:
    """The text of ``tilewright.core``.

    Parameters
    ----------
    verilog, constraints
        Paths of the files, from the folder of the core file.
    part
        The device of its Vivado target, which synthesises the core alone.
    """
    return f"""\
CAPI=2:
name: {VENDOR}:{LIBRARY}:{NAME}:{VERSION}
description: "Tilewright tensor accelerator, configuration {config.name} ({config.hash})"

filesets:
  rtl:
    files: [{verilog}: {{file_type: verilogSource}}]
  constraints:
    files: [{constraints}: {{file_type: xdc}}]

targets:
  default: &default
    filesets: [rtl]
    toplevel: {TOP}
  lint:
    <<: *default
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wno-fatal, -Wno-WIDTH, -Wno-CASEINCOMPLETE, -Wno-CASEOVERLAP, -Wno-UNUSED]
  synth:
    <<: *default
    filesets: [rtl, constraints]
    flow: vivado
    flow_options:
      part: {part}
      pnr: none
"""
