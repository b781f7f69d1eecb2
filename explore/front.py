"""What no other design beats in everything."""

from collections.abc import Sequence

import numpy as np

__all__ = ["dominated_by_any", "non_dominated"]


def non_dominated(costs: Sequence[Sequence[float]]) -> list[int]:
    """Places of those costs that no others equal or undercut in all and undercut in one, in the order of their costs.

    Of equal costs the first place is taken.
    """
    order = sorted(range(len(costs)), key=lambda place: (tuple(costs[place]), place))
    kept: list[int] = []
    for place in order:
        # What dominates it comes before it in this order, and equal costs do too.
        if not kept or not _covered([costs[other] for other in kept], costs[place]):
            kept.append(place)
    return kept


def dominated_by_any(costs: Sequence[Sequence[float]], cost: Sequence[float]) -> bool:
    """Whether one of `costs` is nowhere above `cost`, and somewhere below."""
    if not costs:
        return False
    others = np.asarray(costs)
    return bool(((others <= cost).all(axis=1) & (others < cost).any(axis=1)).any())


def _covered(costs: Sequence[Sequence[float]], cost: Sequence[float]) -> bool:
    return bool((np.asarray(costs) <= np.asarray(cost)).all(axis=1).any())
