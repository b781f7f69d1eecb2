"""Puts the items of all layers in order: while one tile is worked on, the next one's data arrives."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ...errors import TilewrightError
from .builder import ProgramBuilder
from .scope import Item, Need

__all__ = ["LayerWork", "emit_layers"]


_LOOKAHEAD = 16


@dataclass(frozen=True)
class LayerWork:
    name: str
    items: tuple[Item, ...]


def emit_layers(builder: ProgramBuilder, layers: Sequence[LayerWork]) -> list[int]:
    """Emit everything; the number of instructions after each layer's last one.

    The needs of the item after the present one are met first (constants only where it begins a layer,
    since what it reads is not there yet), then constants of those that follow, as far as there is room beside what
    comes before, and time while the present one is worked on.
    """
    ends = [0] * len(layers)
    clock = _Clock(builder)
    sequence = list(_sequence(layers))
    prepared: deque[_Preparation] = deque()
    for place, (number, item) in enumerate(sequence):
        current = prepared.popleft() if prepared else _Preparation(item)
        if not current.meet(pins=_keys(prepared)):
            prepared.clear()
            if not current.meet():
                raise _too_large(layers[number].name, current.missing())
        clock.begin(item)
        pins = {need.key for need in item.needs}
        for ahead, (later, following) in enumerate(sequence[place + 1 : place + 1 + _LOOKAHEAD]):
            if ahead == len(prepared):
                prepared.append(_Preparation(following))
            whole = prepared[ahead].meet(pins=pins, constants_only=ahead > 0 or later != number)
            pins |= {need.key for need in following.needs}
            if (ahead and not whole) or clock.load_is_busy:
                break
        item.work([current.places[need.key] for need in item.needs])
        ends[number] = len(builder)
    for number in range(1, len(ends)):
        ends[number] = max(ends[number], ends[number - 1])
    return ends


class _Clock:
    """A rough account of time: when the present item is done, and when all loads so far are."""

    def __init__(self, builder: ProgramBuilder) -> None:
        self._builder = builder
        self._bus = builder.config.bus_bytes
        self._item_end = 0
        self._load_end = 0
        self._loaded = 0

    def begin(self, item: Item) -> None:
        """`item` is worked on once all that was loaded up to now is there; further loads begin then."""
        self._account()
        self._load_end = max(self._item_end, self._load_end)
        self._item_end = self._load_end + item.cycles

    @property
    def load_is_busy(self) -> bool:
        """Until the present item is done."""
        self._account()
        return self._load_end >= self._item_end

    def _account(self) -> None:
        self._load_end += (self._builder.loaded - self._loaded) // self._bus
        self._loaded = self._builder.loaded


def _keys(prepared: Iterable[_Preparation]) -> set[Hashable]:
    return {key for preparation in prepared for key in preparation.places}


def _sequence(layers: Sequence[LayerWork]) -> Iterator[tuple[int, Item]]:
    for number, layer in enumerate(layers):
        for item in layer.items:
            yield number, item


class _Preparation:
    """The places of one item's needs, met in several steps."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.places: dict[Hashable, int] = {}

    def meet(self, *, pins: Collection[Hashable] = (), constants_only: bool = False) -> bool:
        """Meet what can be met without moving `pins`; whether that is all, or all constants."""
        pinned = {need.key for need in self.item.needs}.union(pins)
        whole = True
        for need in self.item.needs:
            if need.key in self.places or (constants_only and not need.early):
                continue
            place = need.region.place(need.key, need.size, pinned)
            if place is None:
                whole = False
                continue
            self.places[need.key] = place[0]
            if need.fill is not None and not place[1]:
                need.fill(place[0])
        return whole

    def missing(self) -> Need:
        """A need that was not met."""
        return next(need for need in self.item.needs if need.key not in self.places)


def _too_large(layer: str, need: Need) -> TilewrightError:
    return TilewrightError(
        f"layer {layer!r} must fit the accelerator's memories, but a tile's {need.size} cells don't fit "
        f"{need.region.size}; use a configuration with larger memories"
    )
