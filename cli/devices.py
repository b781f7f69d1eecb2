"""Choosing a device on the command line."""

from typing import Any

import click

from ..driver.device import DEVICES

__all__ = ["DeviceName"]


class DeviceName(click.Choice[str]):
    """A device's name, behind which its place may follow, as in ``uart:/dev/ttyUSB0``."""

    def __init__(self) -> None:
        super().__init__(list(DEVICES))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        name, colon, place = str(value).partition(":")
        return f"{super().convert(name, param, ctx)}{colon}{place}"
