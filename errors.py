"""The one exception family that users see.

Every error that comes from what a user gave us (a file, an option, a model, a program) is a
:class:`TilewrightError`; the command line prints it as one line and exits with status 2.
"""

__all__ = ["ConfigError", "CycleLimit", "DeviceError", "ProgramError", "TilewrightError", "UnsupportedOperator"]


_LONGEST = 1000


class TilewrightError(Exception):
    """Something the user can mend: names the object, the rule, the value and the way out.

    The message is one printable line, whatever names a file puts into it; of a very long one the middle is left out.
    """

    def __init__(self, message: str) -> None:
        if not message.isprintable():
            joined = " ".join(message.split())
            message = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in joined)
        if len(message) > _LONGEST:
            message = f"{message[: _LONGEST // 2]} … {message[-_LONGEST // 2 :]}"
        super().__init__(message)


class ConfigError(TilewrightError):
    """A hardware configuration breaks a rule."""


class ProgramError(TilewrightError):
    """A program file, an instruction or an assembly text is not legal."""


class DeviceError(TilewrightError):
    """A device refused or stopped a program."""


class CycleLimit(DeviceError):  # noqa: N818
    """A run has not ended within the cycles that it was given."""


class UnsupportedOperator(TilewrightError):  # noqa: N818
    """A model uses an operator, or an attribute of one, that the kit does not implement."""
