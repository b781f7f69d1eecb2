"""The system that a board gets, and whether a program has room in its memory."""

from ..errors import DeviceError
from ..isa.program import Program
from .boards import Board
from .system_config import SystemConfig

__all__ = ["board_system", "require_room", "usual_system"]

_CLOCK_HZ, _BAUD = 25_000_000, 3_000_000


def board_system(
    board: Board, *, memory_bytes: int | None, clock_hz: int = _CLOCK_HZ, baud: int = _BAUD
) -> SystemConfig:
    """With so much block RAM as memory, or with None the board's SDRAM.

    Raises
    ------
    DeviceError
        The board has no SDRAM.
    ConfigError
        A number breaks a rule.
    """
    if memory_bytes is not None:
        return SystemConfig(memory_bytes=memory_bytes, clock_hz=clock_hz, baud=baud)
    if board.sdram is None:
        raise DeviceError(f"board {board.name} must have SDRAM for --memory sdram, and has none: give a number of KiB")
    return SystemConfig(memory_bytes=board.sdram.size, clock_hz=clock_hz, baud=baud, sdram=board.sdram)


def usual_system(board: Board) -> SystemConfig:
    """What designs are judged with: the board's SDRAM where it has one, else the least block RAM."""
    return SystemConfig() if board.sdram is None else SystemConfig(memory_bytes=board.sdram.size, sdram=board.sdram)


def require_room(program: Program, board: Board, system: SystemConfig) -> None:
    """Refuse a program that needs more memory than the system on `board` has.

    Raises
    ------
    DeviceError
        It does.
    """
    needed = program.memory_bytes
    if needed <= system.memory_bytes:
        return
    way_out = "take a smaller network"
    if system.sdram is None and board.sdram is not None and needed <= board.sdram.size:
        way_out = "take --memory sdram"
    raise DeviceError(
        f"the memory of board {board.name} must hold {needed:,} bytes for this program, "
        f"but has {system.memory_bytes:,}: {way_out}"
    )
