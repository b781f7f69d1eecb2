"""Tilewright: a co-design kit for tensor accelerators.

    import tilewright as tw

    config = tw.load_config("vta-16")
    program = tw.compile_model("digits.onnx", config)
    program.save("digits.tw")
    outputs = tw.run(program, {"image": image}, device="cycle")

Names are imported when they are first used, so that ``import tilewright`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compiler.compile import compile_graph, compile_model
    from .compiler.quantise.model import quantise_model
    from .config import PRESETS, Config, load_config
    from .driver.device import open_device
    from .driver.session import Session
    from .driver.simple import run
    from .errors import TilewrightError
    from .hw.verilog import core_verilog
    from .isa.checker import check_program
    from .isa.program import Program

__all__ = [
    "PRESETS", "Config", "Program", "Session", "TilewrightError", "check_program", "compile_graph", "compile_model",
    "core_verilog", "load_config", "open_device", "quantise_model", "run",
]  # fmt: skip

_HOMES = {
    "PRESETS": "config",
    "Config": "config",
    "load_config": "config",
    "TilewrightError": "errors",
    "Program": "isa.program",
    "check_program": "isa.checker",
    "compile_graph": "compiler.compile",
    "compile_model": "compiler.compile",
    "quantise_model": "compiler.quantise.model",
    "core_verilog": "hw.verilog",
    "open_device": "driver.device",
    "Session": "driver.session",
    "run": "driver.simple",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
