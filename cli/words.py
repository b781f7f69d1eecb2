"""Numbers in sentences."""

__all__ = ["counted"]


def counted(number: int, noun: str) -> str:
    """``1 layer``, ``2,000 layers``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
