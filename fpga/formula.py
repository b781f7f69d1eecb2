"""A configuration's inventory in closed form, in well under a millisecond: for those who compare thousands of them.

Multipliers and memories follow from the configuration exactly; the other quantities are sums of a few features, with
coefficients fitted to what Yosys finds after elaboration.
"""

from ..config import Config
from ..isa.memories import memory_shape, transfer_unit
from ..isa.table import INSTRUCTION_BYTES, Memory
from .area_model import AreaModel, area_model
from .families import Resources
from .inventory import LOGIC, Inventory, MemoryUse, Multipliers

__all__ = ["estimate", "features", "formula_inventory"]

_ACCUMULATOR_BITS = 32
_ENGINES = 4
_INSTRUCTION_BITS = 8 * INSTRUCTION_BYTES + 32  # with its index
_HELD_INSTRUCTIONS = 8
_RETIRING = (7, 37)
_NESTS, _NEST_BITS = 8, 187
_VECTOR_RESULTS, _VECTOR_RESIDUALS = 21, 11


def estimate(config: Config, family: str) -> Resources:
    """What the core takes of a family's devices.

    Its error against synthesis is in ``area_model().errors["formula"]``.
    """
    return area_model().takes(formula_inventory(config), family)


def features(config: Config) -> dict[str, float]:
    """Numbers that the core's quantities are sums of."""
    c, unit = config, transfer_unit
    lanes = c.rows * c.vector_lanes
    act_width, acc_width = 8 * c.channels, 32 * c.block_out
    return {
        "one": 1.0,
        "products": c.macs_per_cycle,
        "outputs": c.rows * c.block_out,
        "lanes": lanes,
        "lane_scales": lanes * c.multiplier_bits,
        "bus": c.bus_bits,
        "address": c.address_bits,
        "tile": 8 * c.block_in * c.block_out,
        "channels": c.block_out,
        "act_words": c.rows * c.act_banks * act_width,
        "acc_words": c.rows * c.acc_banks * acc_width,
        "banks": c.act_banks + c.acc_banks,
        "parts": sum(memory_shape(c, m).cell_bytes / unit(c, m) for m in Memory),
    }


def formula_inventory(config: Config, model: AreaModel | None = None) -> Inventory:
    """The core's inventory; `model` has the coefficients, those that the package has by default."""
    found = features(config)
    coefficients = (model or area_model()).quantities
    sums = {
        quantity: sum(factor * found[name] for name, factor in coefficients[quantity].items()) for quantity in LOGIC
    }
    return Inventory(**sums, multipliers=_multipliers(config), memories=(*_on_chip(config), *_queues(config)))


def _multipliers(config: Config) -> tuple[Multipliers, ...]:
    lanes = config.rows * config.vector_lanes
    return (
        Multipliers(left=8, right=8, count=config.macs_per_cycle),
        Multipliers(left=9, right=9, count=lanes),
        Multipliers(left=_ACCUMULATOR_BITS, right=config.multiplier_bits, count=lanes),
    )


def _on_chip(config: Config) -> list[MemoryUse]:
    found = []
    for kind in Memory:
        shape = memory_shape(config, kind)
        banks = {Memory.ACT: config.act_banks, Memory.ACC: config.acc_banks}.get(kind, 1)
        word = config.channels if kind is Memory.ACT else shape.cell_bytes
        written = transfer_unit(config, kind)
        if kind in (Memory.ACT, Memory.ACC):
            written = min(written, config.vector_lanes * (1 if kind is Memory.ACT else 4))
        found.append(
            MemoryUse(
                words=shape.depth * shape.cell_bytes // word // banks,
                bits=8 * word,
                granule=8 * written,
                read_ports=config.rows * config.vector_lanes if kind is Memory.TABLE else 1,
                count=shape.rows * banks,
            )
        )
    return found


def _queues(config: Config) -> list[MemoryUse]:
    """Those that are wide or many; a few bits here and there are in the fitted sums."""
    beats = max(8 * INSTRUCTION_BYTES // config.bus_bits, 1)
    prefetched = max(_HELD_INSTRUCTIONS * beats, 2 * min(config.burst_beats, 2 * beats))
    lanes = config.rows * config.vector_lanes
    sizes = (
        (prefetched, config.bus_bits + 1, 1),
        (config.queue_depth - 1, _INSTRUCTION_BITS, _ENGINES),
        (*_RETIRING, _ENGINES),
        (_NESTS, _NEST_BITS, 2),
        (4, 45 + config.address_bits, 2),
        (2, 71 + config.address_bits, 2),
        (2, 67, 2),
        (2, config.bus_bits + 3, 1),
        (max(2 * config.burst_beats, 8) - 1, config.bus_bits + config.bus_bytes, 1),
        (16, 33, 1),
        (_VECTOR_RESULTS, _ACCUMULATOR_BITS * lanes, 1),
        (_VECTOR_RESIDUALS, _ACCUMULATOR_BITS * lanes, 1),
    )
    return [MemoryUse(words=words, bits=bits, granule=bits, read_ports=1, count=count) for words, bits, count in sizes]
