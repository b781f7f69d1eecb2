"""Numbers with their units, as people read them."""

__all__ = ["handy_unit", "shown_value"]

_SHOWN = {"s": (1e-3, "ms"), "J": (1e-6, "µJ"), "Hz": (1e6, "MHz"), "MAC/s": (1e9, "GMAC/s"), "B": (1024.0, "KiB")}


def handy_unit(unit: str) -> tuple[float, str]:
    """What to divide a metric's values by, and the unit that they then have: "ms" for "s", "%" for a share."""
    return {"": (1.0, ""), "share": (0.01, "%")}.get(unit) or _SHOWN[unit]


def shown_value(value: float, unit: str) -> str:
    """A metric's value: counts whole, shares as percentages, others with four digits and a handy prefix."""
    if unit == "":
        return f"{value:,.0f}"
    if unit == "share":
        return f"{value:.1%}"
    factor, name = _SHOWN[unit]
    return f"{value / factor:,.4g} {name}"
