"""The static checker: proves before anything runs that a program is legal, stays inside, and ends.

Works on all instructions of a kind at once; an address is checked by the lowest and highest value that
its nest reaches, which are exact because every term of the sum takes its extreme at some point.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..config import Config
from ..errors import ProgramError
from .columns import columns, opcodes, raw_instructions, reserved_bits
from .instruction import Instruction
from .memories import STORABLE, memory_shape, transfer_unit
from .program import Program, Run
from .table import INSTRUCTIONS, SEGMENTS, Engine, Function, InstructionSpec, Memory, Opcode
from .tokens import engines_of, run_tokens

__all__ = ["Finding", "check", "check_program", "require_legal", "require_program"]

Fields = dict[str, np.ndarray]


@dataclass(frozen=True, order=True)
class Finding:
    """One broken rule; `str()` is one line.

    Members
    -------
    index
        The instruction.
    name
        Its mnemonic, with the operand that is wrong.
    problem
        The rule and the value.
    """

    index: int
    name: str
    problem: str

    def __str__(self) -> str:
        return f"instruction {self.index} ({self.name}): {self.problem}"


def check(
    instructions: Sequence[Instruction] | np.ndarray, config: Config, segments: Sequence[int], *, first: int = 0
) -> list[Finding]:
    """All findings about one run, in the order of the instructions.

    Parameters
    ----------
    instructions
        Those of one run, FINISH included; as values or as uint8 of shape (n, 64).
    segments
        Bytes in each segment.
    first
        Added to indices in findings.
    """
    raw = raw_instructions(instructions)
    checker = _Checker(config, segments, first)
    kinds = opcodes(raw)
    checker.report(~np.isin(kinds, [spec.opcode for spec in INSTRUCTIONS]), "unknown", "opcode {} is not known", kinds)
    for spec in INSTRUCTIONS:
        where = np.flatnonzero(kinds == spec.opcode)
        if len(where):
            checker.check_kind(spec, raw[where], where)
    illegal = bool(checker.findings)
    checker.check_end(kinds)
    if not illegal:
        checker.check_tokens(raw, kinds)
    return sorted(checker.findings)


def check_program(program: Program) -> list[Finding]:
    """All findings about all runs of a program."""
    sizes = [segment.size for segment in program.segments]
    found = []
    for step in program.steps:
        if isinstance(step, Run):
            part = program.instructions[step.first : step.first + step.count]
            found += check(part, program.config, sizes, first=step.first)
    return found


def _raise(findings: list[Finding]) -> None:
    if findings:
        more = f" (and {len(findings) - 1} more findings)" if len(findings) > 1 else ""
        raise ProgramError(f"{findings[0]}{more}")


def require_legal(instructions: Sequence[Instruction] | np.ndarray, config: Config, segments: Sequence[int]) -> None:
    """As :func:`check`, but raise for the first finding.

    Raises
    ------
    ProgramError
        There is one.
    """
    _raise(check(instructions, config, segments))


def require_program(program: Program) -> None:
    """As :func:`check_program`, but raise for the first finding.

    Raises
    ------
    ProgramError
        There is one.
    """
    _raise(check_program(program))


class _Checker:
    def __init__(self, config: Config, segments: Sequence[int], first: int) -> None:
        self.config = config
        self.sizes = np.zeros(SEGMENTS, dtype=np.int64)
        self.sizes[: len(segments)] = list(segments)[:SEGMENTS]
        self.first = first
        self.findings: list[Finding] = []
        self.where: np.ndarray | None = None

    def report(self, wrong: np.ndarray, name: str, problem: str, *values: np.ndarray) -> None:
        """A finding wherever `wrong`; `problem` is a format for the `values` there."""
        for place in np.flatnonzero(wrong):
            index = int(place if self.where is None else self.where[place])
            shown = problem.format(*(int(value[place]) for value in values))
            self.findings.append(Finding(self.first + index, name, shown))

    def check_kind(self, spec: InstructionSpec, raw: np.ndarray, where: np.ndarray) -> None:
        self.where = where
        fields = columns(raw, spec)
        self.report(reserved_bits(raw, spec), spec.name, "reserved bits must be 0")
        self._check_header(spec, fields)
        for d in range(spec.dims):
            self.report(fields[f"bound{d}"] == 0, spec.name, f"bound{d} must be at least 1, not 0")
        methods: dict[Opcode, Callable[[InstructionSpec, Fields], None]] = {
            Opcode.LOAD: self._check_transfer,
            Opcode.STORE: self._check_transfer,
            Opcode.GEMM: self._check_gemm,
            Opcode.VECTOR: self._check_vector,
        }
        if spec.opcode in methods:
            methods[spec.opcode](spec, fields)
        self.where = None

    def _check_header(self, spec: InstructionSpec, fields: Fields) -> None:
        if spec.opcode is Opcode.FINISH:
            return
        engine = fields["engine"] if spec.engine is None else np.full_like(fields["wait"], spec.engine)
        for mask in ("wait", "signal"):
            own = fields[mask] >> engine & 1 == 1
            self.report(own, spec.name, f"{mask} must not name the instruction's own engine (bit {{}})", engine)

    def _span(
        self, fields: Fields, spec: InstructionSpec, base: str, stride: str, last: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest address; the `last` innermost loops stand at their last iteration."""
        low, high = fields[base].copy(), fields[base].copy()
        for d in range(spec.dims):
            if f"{stride}{d}" not in fields:
                continue
            step = fields[f"{stride}{d}"] * (fields[f"bound{d}"] - 1)
            fixed = d >= spec.dims - last
            low += np.where(fixed, step, np.minimum(step, 0))
            high += np.where(fixed, step, np.maximum(step, 0))
        return low, high

    def _check_cells(
        self,
        spec: InstructionSpec,
        fields: Fields,
        operand: str,
        memory: Memory,
        used: np.ndarray | bool = True,
        *,
        last: np.ndarray | int = 0,
        stride: str = "",
        width: int = 1,
    ) -> None:
        """Addresses of `operand`, where `used`, are below the depth of `memory` and aligned to `width`."""
        base = operand if operand in fields else f"{operand}_base"
        stride = stride or f"{operand}_stride"
        depth, name = memory_shape(self.config, memory).depth, f"{spec.name} {operand}"
        low, high = self._span(fields, spec, base, stride, np.asarray(last))
        wrong = ((low < 0) | (high >= depth)) & used
        self.report(wrong, name, f"{memory.name} addresses must be from 0 to {depth - 1}, not {{}} to {{}}", low, high)
        if width > 1:
            self._check_multiples(spec, fields, name, base, stride, np.full_like(low, width), used)

    def _check_multiples(
        self,
        spec: InstructionSpec,
        fields: Fields,
        name: str,
        base: str,
        stride: str,
        unit: np.ndarray,
        used: np.ndarray | bool = True,
    ) -> None:
        rule = "{} must be a multiple of {{}}, not {{}}"
        self.report((fields[base] % unit != 0) & used, name, rule.format(base), unit, fields[base])
        for d in range(spec.dims):
            step = fields.get(f"{stride}{d}")
            if step is not None:
                wrong = (step % unit != 0) & (fields[f"bound{d}"] > 1) & used
                self.report(wrong, name, rule.format(f"{stride}{d}"), unit, step)

    def _check_transfer(self, spec: InstructionSpec, fields: Fields) -> None:
        allowed = tuple(Memory) if spec.opcode is Opcode.LOAD else STORABLE
        names = ", ".join(memory.name for memory in allowed)
        kind = fields["memory"]
        self.report(~np.isin(kind, allowed), spec.name, f"memory must be one of {names}, not number {{}}", kind)
        if spec.opcode is Opcode.STORE:
            rows = self.config.rows
            self.report(fields["row"] >= rows, spec.name, f"row must be below {rows}, not {{}}", fields["row"])
        cell, unit = np.ones_like(kind), np.ones_like(kind)
        for memory in allowed:
            here = kind == memory
            cell[here] = memory_shape(self.config, memory).cell_bytes
            unit[here] = transfer_unit(self.config, memory)
            self._check_cells(spec, fields, "mem", memory, here)
        low, high = self._span(fields, spec, "offset", "dram_stride", np.asarray(0))
        end, size = high + cell * fields[f"bound{spec.dims - 1}"], self.sizes[fields["segment"]]
        rule = "segment {} has {} bytes, not bytes {} to {}"
        self.report((low < 0) | (end > size), f"{spec.name} offset", rule, fields["segment"], size, low, end - 1)
        self._check_multiples(spec, fields, spec.name, "offset", "dram_stride", unit)

    def _check_gemm(self, spec: InstructionSpec, fields: Fields) -> None:
        self._check_cells(spec, fields, "act", Memory.ACT, width=self.config.block_in // self.config.granule)
        self._check_cells(spec, fields, "wgt", Memory.WGT)
        self._check_cells(spec, fields, "acc", Memory.ACC)

    def _check_vector(self, spec: InstructionSpec, fields: Fields) -> None:
        function, reduce = fields["function"], fields["reduce"]
        self.report(
            function > max(Function), spec.name, f"function must be at most {max(Function)}, not {{}}", function
        )
        self.report(reduce > spec.dims, spec.name, f"reduce must be at most {spec.dims}, not {{}}", reduce)
        mac, on, look = function == Function.MAC, fields["scale_enable"] == 1, fields["table_enable"] == 1
        for name, wrong in (("a", mac), ("b", mac), ("dst", look)):
            why = "a table" if name == "dst" else "MAC"
            on_acc = wrong & (fields[f"{name}_memory"] == 1)
            self.report(on_acc, f"{spec.name} {name}", f"{name}_memory must be ACT (0) with {why}, not ACC (1)")
        tables = self.config.tables
        self.report(
            look & (fields["table"] >= tables), spec.name, f"table must be below {tables}, not {{}}", fields["table"]
        )
        residual = fields["residual"] == 1
        operands = (
            ("a", function != Function.ZERO, np.asarray(0)),
            ("b", mac | residual, np.where(mac, 0, reduce)),
            ("dst", np.True_, reduce),
        )
        wide = self.config.block_out // self.config.granule
        for name, used, last in operands:
            in_acc = fields[f"{name}_memory"] == 1
            self._check_cells(spec, fields, name, Memory.ACC, used & in_acc, last=last)
            self._check_cells(spec, fields, name, Memory.ACT, used & ~in_acc, last=last, width=wide)
        bias, shared = fields["bias_enable"] == 1, fields["scale_shared"] == 1
        walk = "channel_stride"
        self._check_cells(spec, fields, "bias_base", Memory.BIAS, bias, last=reduce, stride=walk)
        self._check_cells(spec, fields, "scale_base", Memory.SCALE, on & ~shared, last=reduce, stride=walk)
        self._check_cells(spec, fields, "scale_base", Memory.SCALE, on & shared, stride="no stride ")

    def check_end(self, kinds: np.ndarray) -> None:
        """Exactly one FINISH, as the last instruction."""
        early = kinds == Opcode.FINISH
        if not len(kinds) or not early[-1]:
            last = self.first + max(len(kinds) - 1, 0)
            self.findings.append(Finding(last, "end", "the last instruction of a run must be FINISH"))
        early[-1:] = False
        self.report(early, Opcode.FINISH.name, "FINISH must be the last instruction of a run")

    def check_tokens(self, raw: np.ndarray, kinds: np.ndarray) -> None:
        """The program ends, and then no token is left."""
        result = run_tokens(raw, self.config)
        if result.deadlock:
            index = result.deadlock.index
            name = Opcode(int(kinds[index])).name
            self.findings.append(Finding(self.first + index, name, str(result.deadlock)))
            return
        for (giver, taker), count in result.leftover.items():
            index = _last_signal(raw, kinds, giver, taker)
            name = Opcode(int(kinds[index])).name
            problem = f"{count} tokens that {giver.name} gives to {taker.name} are never taken"
            self.findings.append(Finding(self.first + index, name, problem))


def _last_signal(raw: np.ndarray, kinds: np.ndarray, giver: Engine, taker: Engine) -> int:
    gives = (engines_of(raw) == giver) & (raw[:, 1] >> taker & 1 == 1)
    return int(np.flatnonzero(gives)[-1])
