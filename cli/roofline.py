"""A roofline picture: what layers reach, below what multipliers and bus allow."""

import io
from collections.abc import Sequence
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import Config
from ..errors import TilewrightError
from ..files import write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..driver.layers import LayerReport

__all__ = ["draw_roofline", "require_matplotlib", "require_picture"]

_FORMATS = (".png", ".svg")
_COLOURS = {
    "gemm": "#1b7837",
    "vector": "#762a83",
    "load": "#2166ac",
    "store": "#e08214",
    "bank": "#8c510a",
    "token": "#b2182b",
}
_CELLS = 8  # to a factor of ten, along both axes: layers in one share a label
_SPAN = (0.5, 8.0)  # how far the axis goes beyond the ridge and the layers, as factors


def require_picture(path: Path, what: str = "roofline") -> None:
    """Refuse what can't be drawn before the work for it is done; `what` is its option's name.

    Raises
    ------
    TilewrightError
        The name's ending is no format, or matplotlib is not installed.
    """
    if path.suffix.lower() not in _FORMATS:
        raise TilewrightError(f"{what} must be a file name that ends in .png or .svg, not {str(path)!r}")
    require_matplotlib(what)


def require_matplotlib(what: str) -> None:
    """Raise TilewrightError where option `what` has nothing to draw with."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise TilewrightError(f"--{what} must have matplotlib to draw with: pip install 'tilewright[plot]'") from None


def draw_roofline(path: Path, config: Config, reports: Sequence["LayerReport"], title: str) -> None:
    """Write a picture of the layers that have MACs, traffic and cycles.

    Across, MACs for each byte between DRAM and core (the direction that has more of them, as in
    `LayerReport.ideal_cycles`); up, MACs a cycle. The roof is the least of the multipliers' and of what the bus feeds;
    a layer above its slope had its constants fetched during the layer before. An area shows a layer's share of the
    cycles, a colour what bound it.
    """
    from matplotlib.figure import Figure

    points = [r for r in reports if r.cycles and r.macs and max(r.bytes_read, r.bytes_written)]
    if not points:
        raise TilewrightError("--roofline must have a layer with multiplications and cycles, and there is none")
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log", xlabel="MACs per byte of DRAM", ylabel="MACs per cycle")
    axes.set_title(title)
    peak, ridge = config.macs_per_cycle, config.macs_per_cycle / config.bus_bytes
    intensities = [_intensity(report) for report in points]
    low, high = _SPAN[0] * min(ridge, *intensities), _SPAN[1] * max(ridge, *intensities)
    axes.plot([low, ridge, high], [low * config.bus_bytes, peak, peak], color="black", linewidth=1.5)
    axes.annotate(f"{peak} MACs a cycle", (high, peak), ha="right", va="bottom")
    axes.annotate(f"{config.bus_bytes} bytes a cycle", (low, low * config.bus_bytes), ha="left", va="top")
    _draw_layers(axes, points)
    axes.grid(True, which="major", alpha=0.3)
    picture = io.BytesIO()
    kind = path.suffix[1:].lower()
    figure.savefig(picture, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
    write_file(path, picture.getvalue(), "roofline", error=TilewrightError)


def _intensity(report: "LayerReport") -> float:
    return report.macs / max(report.bytes_read, report.bytes_written)


def _draw_layers(axes: "Axes", points: Sequence["LayerReport"]) -> None:
    total = sum(report.cycles or 0 for report in points)
    for bound, colour in _COLOURS.items():
        chosen = [report for report in points if report.bound == bound]
        if not chosen:
            continue
        axes.scatter(
            [_intensity(report) for report in chosen],
            [report.macs / (report.cycles or 1) for report in chosen],
            s=[20 + 600 * (report.cycles or 0) / total for report in chosen],
            color=colour,
            alpha=0.6,
            label=f"bound by {bound}",
        )
    for names, place in _labels(points):
        axes.annotate(names, place, fontsize=7, rotation=-40, ha="left", va="top", rotation_mode="anchor")
    axes.legend(loc="lower right")


def _labels(points: Sequence["LayerReport"]) -> list[tuple[str, tuple[float, float]]]:
    """Text and place of a label for each cluster: the layer that takes longest, and how many more there are."""
    clusters: dict[tuple[int, int], list[LayerReport]] = {}
    for report in sorted(points, key=lambda each: each.cycles or 0, reverse=True):
        place = (_intensity(report), report.macs / (report.cycles or 1))
        cell = (round(_CELLS * log10(place[0])), round(_CELLS * log10(place[1])))
        clusters.setdefault(cell, []).append(report)
    labels = []
    for members in clusters.values():
        first, more = members[0], len(members) - 1
        text = f"  {first.name}" + (f" and {more} more" if more else "")
        labels.append((text, (_intensity(first), first.macs / (first.cycles or 1))))
    return labels
