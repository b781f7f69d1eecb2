"""The timing model as a device."""

import ctypes

import numpy as np

from ...config import Config
from ...errors import DeviceError
from ...isa.launch import Launch, Outcome
from ...isa.table import ENGINES, INSTRUCTION_BYTES, SEGMENTS, ErrorCode
from ..attached import AttachedSimulator
from ..clibrary import load_c_library
from ..dram import Dram

__all__ = ["TimingSimulator"]

_UNITS = ("core.c", "decode.c", "sequencer.c", "fetch.c", "reads.c", "walk.c", "store.c", "gemm.c", "vector.c", "vector_log.c")
_SIZES = (
    *("rows", "block_in", "block_out", "granule", "act_depth", "act_banks", "acc_depth", "acc_banks", "bus_bytes"),
    *("burst_beats", "reads_outstanding", "queue_depth", "token_bits", "vector_lanes"),
)


class _Settings(ctypes.Structure):
    _fields_ = (
        ("program", ctypes.c_void_p),
        ("program_address", ctypes.c_uint64),
        ("count", ctypes.c_uint64),
        ("segment_base", ctypes.c_uint64 * SEGMENTS),
        ("segment_limit", ctypes.c_uint64 * SEGMENTS),
        ("latency", ctypes.c_uint64),
        ("started", ctypes.c_void_p),
        ("retired", ctypes.c_void_p),
    )


class _Result(ctypes.Structure):
    _fields_ = (
        ("error", ctypes.c_uint32),
        ("index", ctypes.c_uint32),
        *((name, ctypes.c_uint64) for name in ("cycles", "instructions", "bytes_read", "bytes_written")),
        *((name, ctypes.c_uint64 * len(ENGINES)) for name in ("busy", "token", "memory", "bank")),
    )


class TimingSimulator(AttachedSimulator):
    name = "timing"

    def __init__(self, config: Config, *, dram: Dram | None = None, latency: int = 40, trace: bool = False) -> None:
        super().__init__(config, dram)
        self._latency = latency
        self._trace = trace
        self._library = load_c_library("tilewright.simulator.timing", _UNITS, config, _SIZES)
        self._library.timing_create.restype = ctypes.c_void_p
        self._core = self._library.timing_create()
        self.started = self.retired = np.zeros(0, np.uint64)

    def _execute(self, launch: Launch) -> Outcome:
        program = self.dram.view(launch.program, launch.count * INSTRUCTION_BYTES)
        bases, limits = zip(*launch.segments, strict=True)
        if self._trace:
            self.started = np.zeros(launch.count, np.uint64)
            self.retired = np.zeros(launch.count, np.uint64)
        settings = _Settings(
            program.ctypes.data, launch.program, launch.count,
            (ctypes.c_uint64 * SEGMENTS)(*bases), (ctypes.c_uint64 * SEGMENTS)(*limits), self._latency,
            self.started.ctypes.data if self._trace else None, self.retired.ctypes.data if self._trace else None,
        )
        result = _Result()
        self._library.timing_run(ctypes.c_void_p(self._core), ctypes.byref(settings), ctypes.byref(result))
        counters = {"cycles": result.cycles, "instructions": result.instructions, "bytes_read": result.bytes_read, "bytes_written": result.bytes_written}
        for engine in ENGINES:
            for what in ("busy", "token", "memory", "bank"):
                counters[f"{engine.name.lower()}_{what}"] = getattr(result, what)[engine]
        return Outcome(error=ErrorCode(result.error), index=result.index, counters=counters)
