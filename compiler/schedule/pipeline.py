"""Puts the items of all layers in order: while one tile is worked on, the next one's data arrives."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from math import inf

from ...errors import TilewrightError
from .builder import ProgramBuilder
from .residency import Fixed, Region
from .scope import Item, Need

__all__ = ["LayerWork", "emit_layers"]

_LOOKAHEAD = 96


@dataclass(frozen=True)
class LayerWork:
    name: str
    items: tuple[Item, ...]


def emit_layers(builder: ProgramBuilder, layers: Sequence[LayerWork]) -> list[int]:
    """Emit everything; the number of instructions after each layer's last one.

    The needs of the item after the present one are met first (constants only where it begins a layer,
    since what it reads is not there yet), then constants of those that follow, as far as there is room beside
    what comes before, and time: while the present one is worked on, and before others want the bus. Nor may they fill
    the load engine's queue, behind which the present one's own instructions would wait to be fetched.
    """
    return _Emitter(builder, layers).run()


class _Emitter:
    def __init__(self, builder: ProgramBuilder, layers: Sequence[LayerWork]) -> None:
        self._builder = builder
        self._layers = layers
        self._sequence = [(number, item) for number, layer in enumerate(layers) for item in layer.items]
        self._prepared: deque[_Preparation] = deque()
        self._clock = _Clock(builder)

    def run(self) -> list[int]:
        ends = [0] * len(self._layers)
        for place, (number, item) in enumerate(self._sequence):
            current = self._meet(number, item)
            self._clock.begin(item, current.ready)
            self._prefetch(place)
            item.work([current.places[need.key] for need in item.needs])
            ends[number] = len(self._builder)
        for number in range(1, len(ends)):
            ends[number] = max(ends[number], ends[number - 1])
        return ends

    def _meet(self, number: int, item: Item) -> _Preparation:
        current = self._prepared.popleft() if self._prepared else _Preparation(item, self._clock)
        if not current.meet(pins=self._placed()):
            self._prepared.clear()
            if not current.meet():
                raise _too_large(self._layers[number].name, current.missing())
        return current

    def _placed(self) -> set[Hashable]:
        """What was brought, or got room, ahead of its time."""
        return {key for preparation in self._prepared for key in preparation.places}

    def _prefetch(self, place: int) -> None:
        number, item = self._sequence[place]
        pins = item.keys | self._placed()
        before = start = self._clock.item_end
        deadline = inf
        full: list[Region | Fixed] = []
        emitted, most = len(self._builder), self._builder.config.queue_depth // 2
        following = self._sequence[place + 1 : place + 1 + _LOOKAHEAD]
        for ahead, (layer, later) in enumerate(following):
            if ahead == len(self._prepared):
                self._prepared.append(_Preparation(later, self._clock))
            preparation = self._prepared[ahead]
            if preparation.done:
                before, start = start, start + later.cycles
                continue
            if ahead:
                if self._clock.load_end >= self._clock.item_end or len(self._builder) - emitted >= most:
                    return
                if preparation.streams:
                    deadline = min(deadline, before)
                if full:
                    deadline = min(deadline, self._clock.item_end)
                budget = (deadline - self._clock.load_end) * self._builder.config.bus_bytes
                preparation.meet(pins=pins, constants_only=True, budget=budget, full=full)
            else:
                preparation.meet(pins=pins, constants_only=layer != number)
            pins |= later.keys
            before, start = start, start + later.cycles


class _Clock:
    """A rough account of time: when the present item is done, and when all loads so far are."""

    def __init__(self, builder: ProgramBuilder) -> None:
        self._builder = builder
        self.item_end = 0
        self._load_end = 0
        self._loaded = 0

    def begin(self, item: Item, ready: int) -> None:
        """`item` is worked on once what it needs is there, at `ready`; further loads begin then at the earliest."""
        start = max(self.item_end, ready)
        self._load_end = max(start, self.load_end)
        self.item_end = start + item.cycles

    @property
    def load_end(self) -> int:
        self._load_end += (self._builder.loaded - self._loaded) // self._builder.config.bus_bytes
        self._loaded = self._builder.loaded
        return self._load_end


class _Preparation:
    """The places of one item's needs, met in several steps, and when the last of them is there."""

    def __init__(self, item: Item, clock: _Clock) -> None:
        self.item = item
        self.places: dict[Hashable, int] = {}
        self.ready = 0
        self._unmet = list(item.needs)
        self._clock = clock

    @property
    def done(self) -> bool:
        """Whether all is met; then its places are pinned already."""
        return not self._unmet

    @property
    def streams(self) -> bool:
        """Whether it still wants anything but constants from DRAM."""
        return any(need.fill is not None and not need.early for need in self._unmet)

    def meet(
        self,
        *,
        pins: Collection[Hashable] = (),
        constants_only: bool = False,
        budget: float = inf,
        full: list[Region | Fixed] | None = None,
    ) -> bool:
        """Meet what can be met without moving `pins`; whether that is all, or all constants.

        Parameters
        ----------
        budget
            Bytes that may be brought.
        full
            Regions to leave alone; those that have no room are added.
        """
        unmet, self._unmet = self._unmet, []
        whole = True
        pinned: Collection[Hashable] | None = None
        for need in unmet:
            if constants_only and not need.early:
                self._unmet.append(need)
                continue
            place = None
            if need.region not in (full or ()) and (need.nbytes <= budget or need.region.holds(need.key)):
                pinned = self.item.keys.union(pins) if pinned is None else pinned
                place = need.region.place(need.key, need.size, pinned)
                if place is None and full is not None:
                    full.append(need.region)
            if place is None:
                self._unmet.append(need)
                whole = False
                continue
            self.places[need.key] = place[0]
            if need.fill is not None and not place[1]:
                budget -= need.nbytes
                need.fill(place[0])
                self.ready = self._clock.load_end
        return whole

    def missing(self) -> Need:
        """A need that was not met."""
        return self._unmet[0]


def _too_large(layer: str, need: Need) -> TilewrightError:
    return TilewrightError(
        f"layer {layer!r} must fit the accelerator's memories, but a tile's {need.size} cells don't fit "
        f"{need.region.size}; use a configuration with larger memories"
    )
