"""Choosing a device, or the memory of one, on the command line."""

from collections.abc import Callable
from typing import Any

import click

from ..driver.device import DEVICES

__all__ = ["device_option", "memory_option"]


def device_option(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--device``: a name, behind which the device's place may follow, as in ``uart:/dev/ttyUSB0``."""
    return click.option(
        "--device",
        "-d",
        default=default,
        show_default=True,
        metavar=f"[{'|'.join(DEVICES)}]",
        callback=_known_device,
        help="A board as uart:PORT." if default == "native" else None,
    )


def memory_option(default: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--memory``: bytes of block RAM, given in KiB, or None for the board's SDRAM."""
    return click.option(
        "--memory",
        default=str(default),
        show_default=True,
        metavar="KIB|sdram",
        callback=_memory_bytes,
        help="KiB of block RAM as the core's DRAM, or the board's sdram.",
    )


def _known_device(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value.partition(":")[0] not in DEVICES:
        raise click.BadParameter(f"{value!r} is not one of {', '.join(map(repr, DEVICES))}", context, parameter)
    return value


def _memory_bytes(context: click.Context, parameter: click.Parameter, value: str) -> int | None:
    if value == "sdram":
        return None
    if not value.isdecimal():
        raise click.BadParameter(f"{value!r} is neither a number of KiB nor sdram", context, parameter)
    return int(value) << 10
