"""A design that nextpnr has placed, in the JSON that it writes and reads."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import DeviceError

__all__ = ["Cell", "PlacedDesign"]

_BEL = re.compile(r"X(\d+)/Y(\d+)/(.+)")
_STRONGEST_MOVABLE = 3  # nextpnr's PlaceStrength: 1 to 3 are a placer's own doing, above that are a user's wishes

_CONSTANT = "$PACKER_"  # what nextpnr calls cells that drive constants


class Cell:
    """One cell of the design.

    Members
    -------
    name, type
        As in nextpnr.
    parameters
        By name.
    inputs, outputs
        Nets by port, as numbers; unconnected ports and constants are left out.
    x, y, bel
        Where it is: tile, and which of the tile's places.
    constant
        Whether it drives a constant.
    movable
        Whether it may be elsewhere.
    """

    __slots__ = ("bel", "constant", "inputs", "movable", "name", "outputs", "parameters", "type", "x", "y")

    def __init__(self, name: str, content: Mapping[str, Any], place: re.Match[str]) -> None:
        self.name = name
        self.type: str = content["type"]
        self.parameters: Mapping[str, str] = content["parameters"]
        directions = content["port_directions"]
        self.inputs: dict[str, int] = {}
        self.outputs: dict[str, int] = {}
        for port, bits in content["connections"].items():
            if bits and isinstance(bits[0], int):
                (self.outputs if directions[port] == "output" else self.inputs)[port] = bits[0]
        self.x, self.y, self.bel = int(place[1]), int(place[2]), place[3]
        strength = content["attributes"].get("BEL_STRENGTH", "1")
        self.constant = name.startswith(_CONSTANT)
        self.movable = int(strength, 2) <= _STRONGEST_MOVABLE and not self.constant


class PlacedDesign:
    """What nextpnr's ``--write`` left at `path`.

    Members
    -------
    cells
        All that have a place, in the file's order; constant drivers have none, and nets of theirs have no driver here.

    Raises
    ------
    DeviceError
        It is not a placed design.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._content = json.loads(path.read_text(encoding="utf-8"))
            modules = self._content["modules"]
            self._top = max(modules.values(), key=lambda module: len(module["cells"]))
            placed = [(name, item, _BEL.fullmatch(_bel(item))) for name, item in self._top["cells"].items()]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DeviceError(f"a placed design must be what nextpnr writes ({path.name}): {error!r}") from None
        self.cells = [Cell(name, item, place) for name, item, place in placed if place]
        if not self.cells:
            raise DeviceError(f"a placed design must have cells with a place, and {path.name} has none")

    def write(self, path: Path) -> None:
        """Write the design for nextpnr to route, with each cell where its members say.

        Ports and settings are left out: nextpnr makes them anew from cells and options, and fails if they are there.
        """
        items = self._top["cells"]
        for cell in self.cells:
            items[cell.name]["attributes"]["NEXTPNR_BEL"] = f"X{cell.x}/Y{cell.y}/{cell.bel}"
        self._top["ports"], self._top["settings"] = {}, {}
        path.write_text(json.dumps(self._content, separators=(",", ":")), encoding="utf-8")


def _bel(item: Mapping[str, Any]) -> str:
    return str(item["attributes"].get("NEXTPNR_BEL", ""))
