"""Activations that stay in ACT between the layer that makes them and those that read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...config import Config
from ..window import Window
from .layout import Blocked, Resident

__all__ = ["Candidate", "Reading", "bank_edge", "margins", "plan_residents"]


@dataclass(frozen=True)
class Reading:
    """How a layer reads an activation: through `window`, which sees `fill` outside the image.

    Members
    -------
    window
        None: element by element, or, where `flat`, as one long row.
    split
        Channel blocks, or rows of windows, that the matrix engine reads while the vector engine reads the others.
    """

    window: Window | None = None
    fill: int = 0
    flat: bool = False
    split: tuple[int, int] = (0, 0)


def margins(shape: Sequence[int], readings: Sequence[Reading]) -> Resident | None:
    """The frame, at granule 0, that serves all `readings` of an image of `shape`; None where they do not agree."""
    top = left = bottom = right = 0
    fills = set()
    for reading in readings:
        window = reading.window
        if window is None:
            continue
        reach = [
            (count - 1) * stride + span - before - size
            for count, stride, span, before, size in zip(
                window.output, window.strides, window.reach, window.pads[:2], shape[2:], strict=True
            )
        ]
        needs = (window.pads[0], window.pads[1], max(reach[0], 0), max(reach[1], 0))
        if any(needs):
            fills.add(reading.fill)
        top, left = max(top, needs[0]), max(left, needs[1])
        bottom, right = max(bottom, needs[2]), max(right, needs[3])
    padded = bool(top or left or bottom or right)
    if len(fills) > 1 or (padded and any(reading.flat for reading in readings)):
        return None
    height, width = top + shape[2] + bottom, left + shape[3] + right
    return Resident(0, top, left, height, width, fills.pop() if fills else 0)


def bank_edge(image: Blocked, frame: Resident, readings: Sequence[Reading]) -> int | None:
    """Granules from the beginning of `frame` to where a bank should begin: so two engines don't meet in one."""
    for reading in readings:
        (blocks, rows), window = reading.split, reading.window
        if window is not None and (blocks or rows):
            line = blocks * frame.height
            if rows:
                line += frame.top + rows * window.strides[0] - window.pads[0]
            return line * frame.width * image.pixel
    return None


@dataclass(frozen=True)
class Candidate:
    """An activation that may stay: its frame, the first and last layer that need it, and see :func:`bank_edge`."""

    image: Blocked
    frame: Resident
    first: int
    last: int
    edge: int | None

    @property
    def size(self) -> int:
        return self.image.shape[0] * self.image.blocks * self.frame.height * self.frame.width * self.image.pixel

    def meets(self, other: Candidate) -> bool:
        """Whether some layer needs both."""
        return self.first <= other.last and other.first <= self.last


def plan_residents(
    config: Config, candidates: Mapping[str, Candidate], streaming: Sequence[Sequence[str]], reserved: int
) -> tuple[dict[str, Resident], list[int]]:
    """Which of `candidates` stay in ACT, and how much of ACT is left at each layer.

    Parameters
    ----------
    streaming
        For each layer the activations that it reads or writes.
    reserved
        Granules at the beginning of ACT that hold other things. Of what is left, a layer has half, where anything must
        pass through.

    Returns
    -------
    residents
        Their frames, from the end of ACT downwards.
    limits
        For each layer the granules below all that is resident then.
    """
    kept = dict(candidates)
    half = reserved + (config.act_depth - reserved) // 2
    while True:
        places = _place(config, kept)
        limits = [
            min((places[n] for n, c in kept.items() if c.first <= layer <= c.last), default=config.act_depth)
            for layer in range(len(streaming))
        ]
        tight = [
            layer
            for layer, names in enumerate(streaming)
            if limits[layer] < (half if any(name not in kept for name in names) else reserved)
        ]
        if not tight:
            return {name: kept[name].frame.moved(base) for name, base in places.items()}, limits
        alive = [n for n, c in kept.items() if any(c.first <= layer <= c.last for layer in tight)]
        del kept[max(alive, key=lambda name: (kept[name].size, name))]


def _place(config: Config, candidates: Mapping[str, Candidate]) -> dict[str, int]:
    """Their first granules: largest first, each as high as those that live with it leave room; maybe below 0."""
    bank = config.act_depth // config.act_banks
    places: dict[str, int] = {}
    for name, entry in sorted(candidates.items(), key=lambda item: (-item[1].size, item[1].first, item[0])):
        others = sorted((places[n], places[n] + candidates[n].size) for n in places if entry.meets(candidates[n]))
        base = config.act_depth - entry.size
        while True:
            if entry.edge is not None:
                base -= (base + entry.edge) % bank
            meeting = [start for start, end in others if start < base + entry.size and base < end]
            if not meeting:
                break
            base = min(meeting) - entry.size
        places[name] = base
    return places
