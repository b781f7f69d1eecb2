"""Other names of :mod:`..cache` and :mod:`..toolchain`."""

from ..cache import cache_directory, cached_build
from ..toolchain import cpu_identity, find_tool, run_tool, source_texts, tool_identity

__all__ = [
    "cache_directory",
    "cached_build",
    "cpu_identity",
    "find_tool",
    "run_tool",
    "source_texts",
    "tool_identity",
]
