"""Measures what configurations take, by full synthesis for every family and to gates: minutes of CPU time for each."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from ..cache import cached_build
from ..config import PRESETS, Config
from .area_samples import Sample
from .core_synthesis import core_design, elaborated_core, synthesised_core
from .families import FAMILIES
from .synthesis import run_yosys

__all__ = ["chosen_configs", "design_hash", "measured", "nand2"]

_GATES_OF = "gates"
_TOP = "tilewright"
_STATISTICS = "gates.json"
_ELABORATED = ("tiny", "ecp5-8x8", "ecp5-8x16")  # of these the closed form learns how the inventory grows
_SMALL = {
    "block_in": 4, "block_out": 4, "act_depth": 256, "act_banks": 1, "wgt_depth": 64, "acc_depth": 64,
    "acc_banks": 1, "bias_depth": 16, "scale_depth": 16, "tables": 1, "burst_beats": 16, "reads_outstanding": 4,
    "queue_depth": 4, "token_bits": 4, "vector_lanes": 1, "multiplier_bits": 16,
}  # fmt: skip

# Combinational cells only: registers and memories are counted apart. Four transistors are a two-input NAND.
_GATES = """\
read_rtlil design.il
hierarchy -top {top}
proc
flatten
setattr -unset init w:*
opt_expr
opt_clean
opt -nodffe -nosdff
wreduce
peepopt
opt_clean
alumacc
opt
memory -nomap
opt_clean
opt -fast -full
techmap
opt -fast
dfflegalize -cell $_DFF_P_ x -mince 99999 -minsrst 99999
opt -fast
abc -g AND,OR,XOR,MUX
opt_clean
tee -q -o {statistics} stat -tech cmos -json
"""
_TRANSISTORS = {
    "$_NOT_": 2, "$_NAND_": 4, "$_NOR_": 4, "$_AND_": 6, "$_OR_": 6, "$_ANDNOT_": 6, "$_ORNOT_": 6, "$_MUX_": 12,
    "$_XOR_": 12, "$_XNOR_": 12,
}  # fmt: skip


def chosen_configs() -> dict[str, dict[str, int]]:
    """Small ones, unlike each other in every parameter, to be synthesised, and larger ones to be elaborated only."""
    changes: tuple[dict[str, int], ...] = (
        {},
        {"block_out": 8, "vector_lanes": 4, "multiplier_bits": 32},
        {"block_in": 8, "block_out": 8},
        {"rows": 2, "act_banks": 2, "acc_banks": 2},
        {"bus_bits": 128, "reads_outstanding": 16, "queue_depth": 8, "address_bits": 40},
        {"block_out": 8, "vector_lanes": 8, "multiplier_bits": 8},
        {"block_in": 8, "act_banks": 4, "acc_banks": 4},
        {
            "act_depth": 4096, "wgt_depth": 1024, "acc_depth": 512, "bias_depth": 64, "scale_depth": 64,
            "token_bits": 6, "tables": 2,
        },
        {"rows": 2, "vector_lanes": 2, "block_out": 8},
        {"block_in": 8, "block_out": 8, "vector_lanes": 2, "act_banks": 2, "acc_banks": 2, "bus_bits": 128,
         "act_depth": 1024},
        {"vector_lanes": 2, "multiplier_bits": 32, "act_depth": 512},
        {"block_in": 16, "queue_depth": 8},
        {"block_out": 16, "vector_lanes": 4, "bus_bits": 256, "act_depth": 512},
    )  # fmt: skip
    small = {f"small-{n}": {**_SMALL, **change} for n, change in enumerate(changes)}
    return small | {name: PRESETS[name] for name in _ELABORATED}


def design_hash(config: Config) -> str:
    """16 hexadecimal digits that stand for the hardware's description, whatever it is called."""
    return hashlib.sha256(core_design(config).encode()).hexdigest()[:16]


def measured(
    configs: Mapping[str, Mapping[str, int]],
    known: Sequence[Sample],
    *,
    jobs: int,
    progress: Callable[[str], object] = lambda text: None,
) -> Iterator[Sample]:
    """A sample of each configuration that `known` has not as the hardware is now, as soon as it is there.

    Parameters
    ----------
    jobs
        Syntheses at a time. What was synthesised before is in the cache.
    """
    hashes = {sample.name: sample.design for sample in known}
    with ThreadPoolExecutor(jobs) as pool:
        waiting = []
        for name, changes in configs.items():
            config = Config(name=name, **changes)
            design = design_hash(config)
            if hashes.get(name) == design:
                continue
            wanted = (*FAMILIES, _GATES_OF) if name not in _ELABORATED else ()
            targets = {target: pool.submit(_found, config, target) for target in wanted}
            waiting.append((Sample(name, changes, elaborated_core(config), {}, design), targets))
        for sample, targets in waiting:
            yield replace(sample, found={target: each.result() for target, each in targets.items()})
            progress(f"{sample.name} is measured")


def _found(config: Config, target: str) -> Mapping[str, int]:
    if target == _GATES_OF:
        return {"nand2": _gates(config)}
    return dict(synthesised_core(config, FAMILIES[target]).takes.items())


def _gates(config: Config) -> int:
    design = core_design(config)
    script = _GATES.format(top=_TOP, statistics=_STATISTICS)

    def build(directory: Path) -> None:
        (directory / "design.il").write_text(design, encoding="utf-8")
        run_yosys(script, directory, what=f"{_TOP} in gates")
        (directory / "design.il").unlink()

    entry = cached_build([design, script, metadata.version("pyosys")], build, name=_GATES_OF)
    return nand2(entry / _STATISTICS)


def nand2(statistics: Path) -> int:
    """Two-input NANDs in Yosys' statistics of a netlist of gates."""
    text = statistics.read_text(encoding="utf-8")
    cells = json.loads(text[text.index("{") :])["design"]["num_cells_by_type"]
    return int(sum(_TRANSISTORS.get(kind, 0) * count for kind, count in cells.items())) // 4
