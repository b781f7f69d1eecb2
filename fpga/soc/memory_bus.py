"""The bus between the system's memory and those who use it: one word a command, answers in order."""

from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out, Signature

__all__ = ["MemoryBus", "MemoryCommand"]


class MemoryCommand(data.StructLayout):
    """One word to read, or bytes of one to write.

    Members
    -------
    address
        In words.
    write
        Write the bytes of `data` that `strobe` names; otherwise read.
    """

    def __init__(self, *, address_bits: int, word_bytes: int) -> None:
        super().__init__({"address": address_bits, "write": 1, "data": 8 * word_bytes, "strobe": word_bytes})


class MemoryBus(Signature):
    """A user's side.

    Members
    -------
    command
        Carried out in order, and each seen by all that are accepted later, whoever sent them.
    answered, answer
        The word of the oldest read without an answer. It can't be held back: read only with room for it.
    """

    def __init__(self, *, address_bits: int, word_bytes: int) -> None:
        self.address_bits, self.word_bytes = address_bits, word_bytes
        super().__init__(
            {
                "command": Out(stream.Signature(MemoryCommand(address_bits=address_bits, word_bytes=word_bytes))),
                "answered": In(1),
                "answer": In(8 * word_bytes),
            }
        )
