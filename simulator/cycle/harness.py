"""The C interface of a built model: one core, its clock, its DRAM and its register port."""

import ctypes
from pathlib import Path

import numpy as np

from ...errors import DeviceError
from .model import Array
from .shell import SHELL

__all__ = ["EVENT_DTYPE", "Harness", "ProtocolError", "Settings"]

EVENT_DTYPE = np.dtype(
    [("cycle", "<u8"), ("index", "<u4"), ("engine", "u1"), ("retired", "u1"), ("", "u1", (2,))], align=False
)


class ProtocolError(DeviceError):
    """The core broke a rule of its buses."""


class Settings(ctypes.Structure):
    """MemorySettings of axi_memory.hpp."""

    _fields_ = (
        ("bytes", ctypes.c_void_p),
        ("base", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        ("latency", ctypes.c_uint64),
        ("bandwidth", ctypes.c_double),
        ("burst_beats", ctypes.c_uint64),
        ("stalls", ctypes.c_uint64),
        ("all_clocks", ctypes.c_uint64),
    )


class Harness:
    """A core that has been reset.

    Parameters
    ----------
    library
        A built model.
    settings
        Its DRAM; the caller keeps the bytes alive.
    trace
        Record starting and retiring instructions.
    waveform
        File to write, in the model's format.
    hidden
        Let the waveform begin with :meth:`show`.
    """

    def __init__(
        self,
        library: Path,
        settings: Settings,
        *,
        trace: bool = False,
        waveform: Path | None = None,
        hidden: bool = False,
    ) -> None:
        self._library = _load(library)
        path = bytes(waveform) if waveform else b""
        self._live: int | None = self._library.tilewright_create(ctypes.byref(settings), int(trace), path, int(hidden))

    def close(self) -> None:
        """Finish the waveform and free the model; views of its arrays become invalid."""
        if self._live is not None:
            self._library.tilewright_destroy(self._live)
            self._live = None

    @property
    def _handle(self) -> int:
        if self._live is None:
            raise DeviceError("the cycle simulator must be open, and it is closed: make a new one")
        return self._live

    def reset(self) -> None:
        """Reset the core and forget the transfers on its way; on-chip memories keep their contents."""
        self._library.tilewright_reset(self._handle)

    def csr_read(self, address: int) -> int:
        """The 32-bit register at byte `address`.

        Raises
        ------
        ProtocolError
            The port does not answer, or the core broke a rule of its buses.
        DeviceError
            The answer is an error.
        """
        value = ctypes.c_uint32()
        status = self._library.tilewright_csr_read(self._handle, address, ctypes.byref(value))
        self._check_access("read", address, status)
        return value.value

    def csr_write(self, address: int, value: int) -> None:
        """As :meth:`csr_read`."""
        self._check_access("write", address, self._library.tilewright_csr_write(self._handle, address, value))

    def run(self, cycles: int) -> bool:
        """Whether the interrupt line rose within `cycles`.

        Raises
        ------
        ProtocolError
            The core broke a rule of its buses.
        """
        raised = bool(self._library.tilewright_run(self._handle, cycles))
        self.check()
        return raised

    @property
    def intact(self) -> bool:
        """Whether the model is there and has broken no rule of its buses since its last reset."""
        return self._live is not None and not self._library.tilewright_violation(self._live)

    def check(self) -> None:
        """Raise ProtocolError where the core has broken a rule of its buses."""
        if text := self._library.tilewright_violation(self._handle).decode():
            raise ProtocolError(f"the core must keep the rules of its buses: {text}")

    def _check_access(self, what: str, address: int, status: int) -> None:
        self.check()
        if status:
            raise DeviceError(f"the register {what} at {address:#x} must be answered OKAY, not with an error")

    @property
    def idle(self) -> bool:
        """No transfer is on its way between the core and its DRAM."""
        return bool(self._library.tilewright_idle(self._handle))

    @property
    def cycle(self) -> int:
        """Cycles since the model was made."""
        return int(self._library.tilewright_cycle(self._handle))

    def events(self) -> np.ndarray:
        """A copy of the events since the last clear, dtype EVENT_DTYPE."""
        pointer = ctypes.c_void_p()
        count = self._library.tilewright_events(self._handle, ctypes.byref(pointer))
        if not count:
            return np.empty(0, EVENT_DTYPE)
        raw = ctypes.string_at(pointer.value or 0, count * EVENT_DTYPE.itemsize)
        return np.frombuffer(raw, EVENT_DTYPE).copy()

    def clear_events(self) -> None:
        self._library.tilewright_clear_events(self._handle)

    def show(self, first: int, end: int) -> None:
        """Let the waveform have the cycles from `first` on and before `end`, and no others."""
        self._library.tilewright_show(self._handle, first, end)

    def view(self, array: Array) -> np.ndarray:
        """The array's contents in place: uint8, shape (words, word_bytes).

        Raises
        ------
        DeviceError
            The model has no such array.
        """
        words, stride = ctypes.c_uint64(), ctypes.c_uint64()
        scope = ".".join(("TOP", SHELL, "core", *array.path[:-1])).encode()
        found = ctypes.byref(words), ctypes.byref(stride)
        address = self._library.tilewright_array(self._handle, scope, array.name.encode(), *found)
        if not address or words.value != array.words or stride.value < array.word_bytes:
            where = ".".join(array.path)
            raise DeviceError(f"the model must have {array.words} × {array.word_bytes} bytes in {where}")
        raw = (ctypes.c_uint8 * (words.value * stride.value)).from_address(address)
        return np.ctypeslib.as_array(raw).reshape(words.value, stride.value)[:, : array.word_bytes]


def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    handle, u64, u32 = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32
    signatures: dict[str, tuple[object, list[object]]] = {
        "create": (handle, [ctypes.POINTER(Settings), ctypes.c_int, ctypes.c_char_p, ctypes.c_int]),
        "destroy": (None, [handle]),
        "reset": (None, [handle]),
        "csr_read": (ctypes.c_int, [handle, u32, ctypes.POINTER(u32)]),
        "csr_write": (ctypes.c_int, [handle, u32, u32]),
        "run": (ctypes.c_int, [handle, u64]),
        "violation": (ctypes.c_char_p, [handle]),
        "idle": (ctypes.c_int, [handle]),
        "cycle": (u64, [handle]),
        "events": (u64, [handle, ctypes.POINTER(ctypes.c_void_p)]),
        "clear_events": (None, [handle]),
        "show": (None, [handle, u64, u64]),
        "array": (
            ctypes.c_void_p,
            [handle, ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(u64), ctypes.POINTER(u64)],
        ),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, f"tilewright_{name}")
        function.restype, function.argtypes = result, arguments
    return library
