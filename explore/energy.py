"""An estimate of energy, from a published table of what operations and accesses cost.

Source: M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, pp. 10-14, figure 1.1.9:
a 45 nm process at 0.9 V. An FPGA takes several times as much; the estimate ranks designs, it does not predict a meter.
"""

from math import exp, log

from ..config import Config
from ..isa.memories import memory_shape
from ..isa.table import Memory

__all__ = ["ADD_PJ", "DRAM_PJ_PER_BYTE", "MULTIPLY_PJ", "SRAM_PJ", "access_energy", "run_energy"]

MULTIPLY_PJ = {8: 0.2, 32: 3.1}  # by bits, integers
ADD_PJ = {8: 0.03, 32: 0.1}
SRAM_PJ = {8 << 10: 10.0, 32 << 10: 20.0, 1 << 20: 100.0}  # 64 bits of a memory of so many bytes
DRAM_PJ_PER_BYTE = 1950.0 / 8  # the middle of 1.3 to 2.6 nJ for 64 bits


def access_energy(access_bytes: float, capacity: int) -> float:
    """Picojoules to read or write `access_bytes` of a memory of `capacity` bytes.

    Between and beyond the table's sizes along straight lines over the logarithms of both.
    """
    sizes = sorted(SRAM_PJ)
    low, high = (sizes[0], sizes[1]) if capacity <= sizes[1] else (sizes[1], sizes[2])
    slope = log(SRAM_PJ[high] / SRAM_PJ[low]) / log(high / low)
    return access_bytes / 8 * SRAM_PJ[low] * exp(slope * log(capacity / low))


def run_energy(config: Config, *, gemm_points: int, vector_steps: int, dram_bytes: int) -> float:
    """Joules of a program's run.

    A point of a GEMM multiplies and adds on every multiplier, reads an activation vector of each row and one weight
    tile, and reads and writes an accumulator cell of each row. A step of the vector engine, in each row, reads an
    accumulator, a bias and a scale for each lane, makes one product of 32 bits and two additions, and writes a byte.
    A byte of DRAM also passes through an on-chip memory once. Clocks, leakage, instructions and the host are left out.
    """
    capacity = {memory: memory_shape(config, memory) for memory in Memory}

    def access(memory: Memory, size: float, banks: int = 1) -> float:
        return access_energy(size, capacity[memory].depth * capacity[memory].cell_bytes // banks)

    rows, lanes = config.rows, config.vector_lanes
    point = config.macs_per_cycle * (MULTIPLY_PJ[8] + ADD_PJ[32])
    point += rows * access(Memory.ACT, config.block_in, config.act_banks)
    point += access(Memory.WGT, config.block_in * config.block_out)
    point += 2 * rows * access(Memory.ACC, 4 * config.block_out, config.acc_banks)
    step = rows * lanes * (MULTIPLY_PJ[32] + 2 * ADD_PJ[32])
    step += rows * (access(Memory.ACC, 4 * lanes, config.acc_banks) + access(Memory.ACT, lanes, config.act_banks))
    step += access(Memory.BIAS, 4 * lanes) + access(Memory.SCALE, 8 * lanes)
    byte = DRAM_PJ_PER_BYTE + access(Memory.ACT, 1, config.act_banks)
    return 1e-12 * (gemm_points * point + vector_steps * step + dram_bytes * byte)
