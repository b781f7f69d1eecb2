"""The timing model: when every instruction starts and ends, without moving any data."""

from .clock import ProgramClock
from .device import TimingSimulator
from .model import Timing, TimingModel
from .program import RunTiming, time_program

__all__ = ["ProgramClock", "RunTiming", "Timing", "TimingModel", "TimingSimulator", "time_program"]
