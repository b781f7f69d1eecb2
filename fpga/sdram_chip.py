"""SDRAM chips as data."""

from dataclasses import dataclass

__all__ = ["SdramChip"]


@dataclass(frozen=True, kw_only=True)
class SdramChip:
    """A chip's size and times, as its data sheet has them.

    Members
    -------
    row_bits, column_bits, bank_bits
        Of addresses.
    data_bits
        Of the data lines.
    masks
        Whether the board has the lines that keep bytes of a word from being written.
    cas_latency
        Clock cycles from READ to its data.
    precharge_ns, activate_ns, active_ns, refresh_ns, recovery_ns
        tRP, tRCD, tRAS, tRC (of refreshes), tWR.
    mode_cycles
        tMRD.
    interval_ns
        Between refreshes.
    """

    row_bits: int = 13
    column_bits: int = 9
    bank_bits: int = 2
    data_bits: int = 16
    masks: bool = True
    cas_latency: int = 2
    precharge_ns: float = 20.0
    activate_ns: float = 20.0
    active_ns: float = 45.0
    refresh_ns: float = 70.0
    recovery_ns: float = 15.0
    mode_cycles: int = 2
    interval_ns: float = 7_800.0

    @property
    def size(self) -> int:
        """Bytes."""
        return self.data_bits // 8 << (self.row_bits + self.column_bits + self.bank_bits)
