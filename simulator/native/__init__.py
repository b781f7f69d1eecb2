"""The native simulator: whole programs in C, compiled for one configuration and this CPU."""

from .simulator import NativeSimulator

__all__ = ["NativeSimulator"]
