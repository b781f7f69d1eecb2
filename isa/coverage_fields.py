"""Bins of single fields, of a VECTOR's switches, and of instructions that follow one another in an engine's queue."""

from collections import Counter
from collections.abc import Iterator
from itertools import product

import numpy as np

from .coverage_walks import Fields, used_operands
from .memories import STORABLE
from .table import ENGINES, INSTRUCTIONS, Engine, Field, Function, InstructionSpec, Memory, Opcode

__all__ = ["field_bins", "neighbour_bins", "reached_fields", "reached_neighbours", "reached_switches", "switch_bins"]

_TOKENS = ("wait", "signal")
_CHOICE_BITS = 6
_SWITCHES = ("dst_memory", "bias_enable", "scale_enable", "residual", "table_enable")


def _plain_fields(spec: InstructionSpec) -> Iterator[Field]:
    for field in spec.fields:
        if field.name not in ("opcode", "reserved", *_TOKENS):
            yield field


def _legal(spec: InstructionSpec, field: Field) -> range | tuple[Memory, ...]:
    """The values of a field that is no number but a choice."""
    if field.name == "function":
        return range(len(Function))
    if field.name == "reduce":
        return range(spec.dims + 1)
    if field.name == "memory":
        return tuple(Memory) if spec.opcode is Opcode.LOAD else STORABLE
    return range(1 << field.width)


def _corner_values(field: Field) -> dict[str, int]:
    """The values of a number on which hardware goes wrong. No bound is 0; offsets lie in segments, and are aligned."""
    corners = {"0": 0, "1": 1, "the highest": field.high}
    if field.signed:
        corners |= {"-1": -1, "the lowest": field.low}
    if field.name.startswith("bound"):
        del corners["0"]
        corners["2"] = 2
    if field.name == "offset":
        return {"0": 0}
    return corners


def _engines(spec: InstructionSpec) -> tuple[Engine, ...]:
    if "wait" not in spec.by_name:
        return ()
    return ENGINES if spec.engine is None else (spec.engine,)


def field_bins(spec: InstructionSpec) -> Iterator[str]:
    yield spec.name
    for engine, name, mask in product(_engines(spec), _TOKENS, range(1 << len(ENGINES))):
        if not mask >> engine & 1:
            yield _token_label(spec, engine, name, mask)
    for field in _plain_fields(spec):
        name = f"{spec.name}.{field.name}"
        if field.name == "row_mask":
            yield from (f"{name} is {value:#x}" for value in (0, field.high))
            yield from (f"{name} {state} row {bit}" for bit in range(field.width) for state in ("has", "lacks"))
        elif field.width <= _CHOICE_BITS:
            yield from (f"{name} is {int(value)}" for value in _legal(spec, field))
        else:
            yield from (f"{name} is {corner}" for corner in (*_corner_values(field), "between"))


def _token_label(spec: InstructionSpec, engine: Engine, name: str, mask: int) -> str:
    others = " ".join(other.name for other in ENGINES if mask >> other & 1) or "nobody"
    return f"{spec.name} of {engine.name}, {name} {others}"


def reached_fields(spec: InstructionSpec, fields: Fields) -> Counter[str]:
    """How often instructions of the kind `spec` reach each bin; a field counts where it means something."""
    reached: Counter[str] = Counter({spec.name: len(fields["opcode"])})
    for engine, name in product(_engines(spec), _TOKENS):
        here = fields["engine"] == engine if spec.engine is None else slice(None)
        for mask, count in _counted(fields[name][here]):
            reached[_token_label(spec, engine, name, mask)] += count
    used = _used(spec, fields)
    for field in _plain_fields(spec):
        name, values = f"{spec.name}.{field.name}", fields[field.name][used.get(field.name, slice(None))]
        if field.name == "row_mask":
            _count_rows(reached, name, field, values)
        elif field.width <= _CHOICE_BITS:
            for value, count in _counted(values):
                reached[f"{name} is {value}"] += count
        else:
            names = {value: corner for corner, value in _corner_values(field).items()}
            for value, count in _counted(values):
                reached[f"{name} is {names.get(value, 'between')}"] += count
    return reached


def _counted(values: np.ndarray) -> Iterator[tuple[int, int]]:
    found, counts = np.unique(values, return_counts=True)
    return zip(found.tolist(), counts.tolist(), strict=True)


def _count_rows(reached: Counter[str], name: str, field: Field, values: np.ndarray) -> None:
    for value in (0, field.high):
        reached[f"{name} is {value:#x}"] += int((values == value).sum())
    for bit in range(field.width):
        has = int((values >> bit & 1).sum())
        reached[f"{name} has row {bit}"] += has
        reached[f"{name} lacks row {bit}"] += len(values) - has


def _used(spec: InstructionSpec, fields: Fields) -> dict[str, np.ndarray]:
    """Where fields mean something, for those that do not always."""
    if spec.opcode is not Opcode.VECTOR:
        return {}
    to_act = fields["dst_memory"] == 0
    walks = {name: np.broadcast_to(where, to_act.shape) for name, where in used_operands(spec, fields).items()}
    used = {
        "a_zero": walks["a"],
        "b_zero": fields["function"] == Function.MAC,
        **dict.fromkeys(("zero_point", "minimum", "maximum"), to_act),
        "table": fields["table_enable"] == 1,
        "scale_shared": fields["scale_enable"] == 1,
        "scale_base": fields["scale_enable"] == 1,
        "bias_base": walks["bias"],
    }
    for name in ("a", "b", "dst"):
        used |= dict.fromkeys((f"{name}_memory", f"{name}_base"), walks[name])
        used |= {f"{name}_stride{d}": walks[name] for d in range(spec.dims)}
    return used | {f"channel_stride{d}": walks["bias"] | walks["scale"] for d in range(spec.dims)}


def switch_bins(spec: InstructionSpec) -> Iterator[str]:
    """What happens to a VECTOR's result, function by function, and how its clamps lie."""
    if spec.opcode is not Opcode.VECTOR:
        return
    for function, *switches in product(range(len(Function)), *[(0, 1)] * len(_SWITCHES)):
        if not (switches[0] and switches[-1]):
            yield _switch_label(function, switches)
    yield from (f"VECTOR minimum {relation} maximum" for relation in ("below", "equal to", "above"))


def _switch_label(function: int, switches: list[int]) -> str:
    on = " ".join(
        name.removesuffix("_enable") for name, value in zip(_SWITCHES[1:], switches[1:], strict=True) if value
    )
    return f"VECTOR {Function(function).name} to {'ACC' if switches[0] else 'ACT'} with {on or 'nothing'}"


def reached_switches(spec: InstructionSpec, fields: Fields) -> Counter[str]:
    reached: Counter[str] = Counter()
    if spec.opcode is not Opcode.VECTOR:
        return reached
    keys = np.stack([fields["function"], *(fields[name] for name in _SWITCHES)])
    found, counts = np.unique(keys, axis=1, return_counts=True)
    for (function, *switches), count in zip(found.T.tolist(), counts.tolist(), strict=True):
        reached[_switch_label(function, switches)] += count
    distance = (fields["minimum"] - fields["maximum"])[fields["dst_memory"] == 0]
    for relation, count in (("below", distance < 0), ("equal to", distance == 0), ("above", distance > 0)):
        reached[f"VECTOR minimum {relation} maximum"] += int(count.sum())
    return reached


def _kinds(engine: Engine) -> Iterator[str]:
    for spec in INSTRUCTIONS:
        if spec.engine is engine:
            chooser = next((spec.by_name[name] for name in ("function", "memory") if name in spec.by_name), None)
            yield from [spec.name] if chooser is None else (_kind(spec, value) for value in _legal(spec, chooser))
    yield Opcode.SYNC.name


def _kind(spec: InstructionSpec, value: int) -> str:
    return f"{spec.name} {(Function if 'function' in spec.by_name else Memory)(value).name}"


def neighbour_bins() -> Iterator[str]:
    """Which instruction follows which in the queue of an engine."""
    for engine in ENGINES:
        yield from (f"{first}, then {second} in {engine.name}" for first, second in product(_kinds(engine), repeat=2))


def reached_neighbours(
    kinds: dict[Opcode, Fields], places: dict[Opcode, np.ndarray], programs: np.ndarray
) -> Counter[str]:
    """Counts of :func:`neighbour_bins`.

    Parameters
    ----------
    kinds, places
        The fields of each opcode's instructions, and the rows that they are in.
    programs
        For every row which program it belongs to.
    """
    engine, variant = np.full(len(programs), -1), np.zeros(len(programs), np.int64)
    for spec in INSTRUCTIONS:
        if spec.opcode not in kinds or not _engines(spec):
            continue
        fields, rows = kinds[spec.opcode], places[spec.opcode]
        engine[rows] = fields["engine"] if spec.engine is None else spec.engine
        chooser = fields.get("function", fields.get("memory", np.zeros_like(fields["opcode"])))
        variant[rows] = spec.opcode * 8 + chooser
    order = np.lexsort((engine, programs))
    order = order[engine[order] >= 0]
    pairs = np.stack([engine[order][:-1], variant[order][:-1], variant[order][1:]])
    same = (programs[order][1:] == programs[order][:-1]) & (engine[order][1:] == engine[order][:-1])
    found, counts = np.unique(pairs[:, same], axis=1, return_counts=True)
    reached: Counter[str] = Counter()
    for (number, first, second), count in zip(found.T.tolist(), counts.tolist(), strict=True):
        names = (_variant_name(first), _variant_name(second))
        reached[f"{names[0]}, then {names[1]} in {Engine(number).name}"] += count
    return reached


def _variant_name(variant: int) -> str:
    spec = next(spec for spec in INSTRUCTIONS if spec.opcode == variant // 8)
    return _kind(spec, variant % 8) if {"function", "memory"} & spec.by_name.keys() else spec.name
