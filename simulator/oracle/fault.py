"""How a part of the oracle stops the core."""

from ...isa.table import ErrorCode

__all__ = ["Fault"]


class Fault(Exception):  # noqa: N818
    """The core stops with `code`; who catches it knows the instruction."""

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code.name)
        self.code = code
