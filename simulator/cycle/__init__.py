"""The cycle simulator: the RTL itself, under Verilator, with a memory behind its bus."""

from .device import CycleSimulator, FastCycleSimulator
from .harness import EVENT_DTYPE, ProtocolError

__all__ = ["EVENT_DTYPE", "CycleSimulator", "FastCycleSimulator", "ProtocolError"]
