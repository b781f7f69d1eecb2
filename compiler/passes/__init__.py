"""Graph → Graph transformations, and the order they run in."""

from .manager import Pass, run_passes

__all__ = ["Pass", "run_passes"]
