"""Choosing a device on the command line."""

from typing import Any

import click

from ..driver.device import DEVICES

__all__ = ["DeviceName", "MemorySize"]


class DeviceName(click.Choice[str]):
    """A device's name, behind which its place may follow, as in ``uart:/dev/ttyUSB0``."""

    def __init__(self) -> None:
        super().__init__(list(DEVICES))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        name, colon, place = str(value).partition(":")
        return f"{super().convert(name, param, ctx)}{colon}{place}"


class MemorySize(click.ParamType):
    """A system's memory: bytes of block RAM, given in KiB; None for the board's SDRAM."""

    name = "kib|sdram"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value == "sdram":
            return None
        try:
            return int(value) << 10
        except ValueError:
            self.fail(f"must be a number of KiB, or sdram, not {value!r}", param, ctx)
