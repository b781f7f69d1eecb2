"""Pages of the documentation that end in generated tables."""

from pathlib import Path

from ..errors import ProgramError

__all__ = ["MARKER", "updated"]

MARKER = "<!-- generated tables follow -->"


def updated(page: Path, generated: str) -> str:
    """The text of `page` with everything below the marker made anew.

    Raises
    ------
    ProgramError
        The marker is missing.
    """
    head, marker, _ = page.read_text(encoding="utf-8").partition(MARKER)
    if not marker:
        raise ProgramError(f"docs/{page.name} must hold the line {MARKER}")
    return f"{head}{MARKER}\n\n{generated}"
