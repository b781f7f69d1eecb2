"""Puts the items of all layers in order: while one tile is worked on, the next one's data arrives."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from ...errors import TilewrightError
from .builder import ProgramBuilder
from .scope import Item, Need

__all__ = ["LayerWork", "emit_layers"]


@dataclass(frozen=True)
class LayerWork:
    name: str
    items: tuple[Item, ...]


def emit_layers(builder: ProgramBuilder, layers: Sequence[LayerWork]) -> list[int]:
    """Emit everything; the number of instructions after each layer's last one.

    The needs of the item after the present one are met first (constants only where it begins a layer,
    since what it reads is not there yet), as far as there is room beside the present one's.
    """
    ends = [0] * len(layers)
    upcoming = _Preparation()
    current = _Preparation()
    sequence = list(_sequence(layers))
    for place, (number, item) in enumerate(sequence):
        current, upcoming = upcoming, _Preparation()
        current.meet(item, layers[number].name, pinned=(), partly=False)
        following = sequence[place + 1] if place + 1 < len(sequence) else None
        if following is not None:
            next_number, next_item = following
            pins = {need.key for need in item.needs}
            upcoming.meet(next_item, layers[next_number].name, pins, partly=True, constants_only=next_number != number)
        item.work([current.places[need.key] for need in item.needs])
        ends[number] = len(builder)
    for number in range(1, len(ends)):
        ends[number] = max(ends[number], ends[number - 1])
    return ends


def _sequence(layers: Sequence[LayerWork]) -> Iterator[tuple[int, Item]]:
    for number, layer in enumerate(layers):
        for item in layer.items:
            yield number, item


class _Preparation:
    """The places of one item's needs, met in one or two steps."""

    def __init__(self) -> None:
        self.places: dict[Hashable, int] = {}

    def meet(
        self, item: Item, layer: str, pinned: set[Hashable] | tuple[()], *, partly: bool, constants_only: bool = False
    ) -> None:
        own = {need.key for need in item.needs}
        for need in item.needs:
            if need.key in self.places or (constants_only and not need.early and need.fill is not None):
                continue
            place = need.region.place(need.key, need.size, own | set(pinned))
            if place is None:
                if partly:
                    continue
                raise _too_large(layer, need)
            self.places[need.key] = place[0]
            if need.fill is not None and not place[1]:
                need.fill(place[0])


def _too_large(layer: str, need: Need) -> TilewrightError:
    return TilewrightError(
        f"layer {layer!r} must fit the accelerator's memories, but a tile's {need.size} cells don't fit "
        f"{need.region.size}; use a configuration with larger memories"
    )
