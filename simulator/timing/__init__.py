"""The timing model: when every instruction starts and ends, without moving any data."""

from .simulator import TimingSimulator

__all__ = ["TimingSimulator"]
