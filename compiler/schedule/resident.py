"""Activations that stay in ACT between the layer that makes them and those that read them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ...config import Config
from ..window import Window
from .layout import Blocked, Resident
from .memory_plan import Lifetime, plan_memory

__all__ = ["Reading", "margins", "plan_residents"]

_SPARE = 4


@dataclass(frozen=True)
class Reading:
    """How a layer reads an activation: through `window`, which sees `fill` outside the image.

    Members
    -------
    window
        None: element by element, or, where `flat`, as one long row.
    """

    window: Window | None = None
    fill: int = 0
    flat: bool = False


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


@dataclass(frozen=True)
class _Candidate:
    name: str
    frame: Resident
    size: int
    first: int
    last: int


def plan_residents(
    config: Config, candidates: Mapping[str, tuple[Blocked, Resident, int, int]], streaming: Sequence[Sequence[str]]
) -> tuple[dict[str, Resident], list[int]]:
    """Which of `candidates` stay in ACT, and how much of ACT is left at each layer.

    Parameters
    ----------
    candidates
        By name: the activation, its frame, and the first and last layer that need it.
    streaming
        For each layer the activations that it reads or writes.

    Returns
    -------
    residents
        Their frames, from the end of ACT downwards.
    limits
        For each layer the granules below all that is resident then.
    """
    kept = {
        name: _Candidate(name, frame, _granules(config, tensor, frame), first, last)
        for name, (tensor, frame, first, last) in candidates.items()
    }
    while True:
        places, limits = _place(config, kept.values(), len(streaming))
        tight = [
            layer
            for layer, names in enumerate(streaming)
            if limits[layer] < (config.act_depth // 2 if any(name not in kept for name in names) else _spare(config))
        ]
        if not tight:
            residents = {name: kept[name].frame.moved(base) for name, base in places.items()}
            return residents, limits
        alive = [entry for entry in kept.values() if any(entry.first <= layer <= entry.last for layer in tight)]
        del kept[max(alive, key=lambda entry: (entry.size, entry.name)).name]


def _spare(config: Config) -> int:
    return config.act_depth // _SPARE


def _granules(config: Config, tensor: Blocked, frame: Resident) -> int:
    return tensor.shape[0] * tensor.blocks * frame.height * frame.width * (config.channels // config.granule)


def _place(config: Config, found: Collection[_Candidate], layers: int) -> tuple[dict[str, int], list[int]]:
    offsets, _ = plan_memory([Lifetime(e.name, e.size, e.first, e.last) for e in found])
    places = {e.name: config.act_depth - offsets[e.name] - e.size for e in found}
    limits = [
        min((places[e.name] for e in found if e.first <= layer <= e.last), default=config.act_depth)
        for layer in range(layers)
    ]
    return places, limits
