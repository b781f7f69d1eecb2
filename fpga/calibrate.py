"""Fits the area model to full syntheses, and measures its errors on configurations that it has not seen.

    python -m tilewright.fpga.calibrate measure [--out FILE] [NAME ...]    synthesise what FILE has not: minutes each
    python -m tilewright.fpga.calibrate fit                                 the model from the samples that there are

Samples are in ``area_samples.json``, the model in ``area_model.json``, both beside this module.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np

from ..config import Config
from .area_model import AreaModel, quantity
from .elaboration import elaborate, read_inventory
from .families import FAMILIES
from .formula import features, formula_inventory
from .inventory import LOGIC, Inventory, MemoryUse, Multipliers
from .memory_cells import memory_cells
from .synthesis import read_synthesis, run_yosys, synthesise

__all__ = ["Sample", "error_table", "fit", "measure", "read_samples", "unseen_errors"]

_SAMPLES = Path(__file__).with_name("area_samples.json")
_MODEL = Path(__file__).with_name("area_model.json")
_TOP = "tilewright"
_FITTED = {
    "lut": ("one", "adders", "multiplexers", "shifters"),
    "ff": ("one", "flip_flops", "lut_memory_width"),
    "nand2": ("adders", "multiplexers", "comparisons", "gates", "shifters", "product_bits"),
}
# Before anything was measured: a full adder has 28 transistors, a choice of two 12, an AND 6.
_TEXTBOOK = {
    "adders": 7.0, "multiplexers": 3.0, "comparisons": 4.5, "gates": 1.5, "shifters": 3.0, "product_bits": 8.5,
}  # fmt: skip
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
tee -q -o gates.json stat -tech cmos -json
"""
_TRANSISTORS = {
    "$_NOT_": 2, "$_NAND_": 4, "$_NOR_": 4, "$_AND_": 6, "$_OR_": 6, "$_ANDNOT_": 6, "$_ORNOT_": 6, "$_MUX_": 12,
    "$_XOR_": 12, "$_XNOR_": 12,
}  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """A configuration, what it consists of and what full synthesis made of it.

    Members
    -------
    config
        What differs from the default.
    found
        By a family's name its resources; for "gates" the number of two-input NANDs.
    remark
        Where it is not of the present hardware.
    """

    name: str
    config: Mapping[str, int]
    inventory: Inventory
    found: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    remark: str = ""

    @property
    def full_config(self) -> Config:
        return Config(name=self.name, **self.config)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Sample":
        inventory = dict(values["inventory"])
        inventory["multipliers"] = tuple(Multipliers(**m) for m in inventory["multipliers"])
        inventory["memories"] = tuple(MemoryUse(**m) for m in inventory["memories"])
        return cls(**{**values, "inventory": Inventory(**inventory)})


def read_samples(path: Path = _SAMPLES) -> list[Sample]:
    return [Sample.from_json(values) for values in json.loads(path.read_text(encoding="utf-8"))]


def fit(samples: Sequence[Sample], *, errors: Mapping[str, Any] | None = None) -> AreaModel:
    """The model of least squared relative error over `samples`, no coefficient but a constant below 0."""
    coefficients: dict[str, dict[str, dict[str, float]]] = {}
    for family in FAMILIES:
        of_family = [sample for sample in samples if family in sample.found]
        rest = [sample.found[family]["lut"] - _memory_luts(sample.inventory, family) for sample in of_family]
        flip_flops = [sample.found[family]["ff"] for sample in of_family]
        scale = [sample.found[family]["lut"] for sample in of_family]
        inventories = [sample.inventory for sample in of_family]
        if not of_family:
            continue
        coefficients[family] = {
            "lut": _fitted("lut", family, inventories, rest, scale),
            "ff": _fitted("ff", family, inventories, flip_flops, flip_flops),
        }
    in_gates = [sample for sample in samples if "gates" in sample.found]
    nands = [sample.found["gates"]["nand2"] for sample in in_gates]
    coefficients["gates"] = {"nand2": dict(_TEXTBOOK)}
    if in_gates:
        coefficients["gates"] = {"nand2": _fitted("nand2", "", [sample.inventory for sample in in_gates], nands, nands)}
    return AreaModel(coefficients, _fit_formula(samples), errors or {})


def _memory_luts(inventory: Inventory, family: str) -> int:
    return sum(memory_cells(memory, family).lut for memory in inventory.memories)


def _fitted(
    what: str, family: str, inventories: Sequence[Inventory], wanted: Sequence[float], scale: Sequence[float]
) -> dict[str, float]:
    names = _FITTED[what]
    table = np.array([[quantity(inventory, name, family) for name in names] for inventory in inventories])
    return _least_squares(names, table, np.array(wanted, float), np.array(scale, float))


def _fit_formula(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    rows = [features(sample.full_config) for sample in samples]
    names = tuple(rows[0])
    table = np.array([[row[name] for name in names] for row in rows])
    found = {}
    for name in LOGIC:
        wanted = np.array([float(getattr(sample.inventory, name)) for sample in samples])
        found[name] = _least_squares(names, table, wanted, wanted)
    return found


def _least_squares(names: Sequence[str], table: np.ndarray, wanted: np.ndarray, scale: np.ndarray) -> dict[str, float]:
    """Factors of the columns: relative errors squared are least, with the negative ones left out one by one.

    Parameters
    ----------
    table
        float64, shape (samples, names).
    wanted, scale
        float64, shape (samples,): what the sum is to be, and what its error is relative to.
    """
    weighted, aim = table / scale[:, None], wanted / scale
    size = np.abs(weighted).max(axis=0)
    kept = [n for n in range(len(names)) if size[n] > 0]
    while True:
        small = 1e-3 * np.eye(len(kept))  # of two features that say the same, both get a share
        columns = np.vstack([weighted[:, kept] / size[kept], small])
        factors = np.linalg.lstsq(columns, np.r_[aim, np.zeros(len(kept))], rcond=None)[0]
        worst = min((n for n in range(len(kept)) if names[kept[n]] != "one"), key=lambda n: factors[n], default=None)
        if worst is None or factors[worst] >= 0:
            return {names[n]: float(f"{factor / size[n]:.6g}") for n, factor in zip(kept, factors, strict=True)}
        del kept[worst]


Estimator = Callable[[AreaModel, Sample], Inventory]
_WAYS: dict[str, Estimator] = {
    "elaboration": lambda _, sample: sample.inventory,
    "formula": lambda model, sample: formula_inventory(sample.full_config, model),
}


def unseen_errors(samples: Sequence[Sample]) -> dict[str, Any]:
    """Relative errors for samples that were left out, each in turn, of the fit: by way, target and resource.

    Each has the number of `samples`, the `mean` of the errors' sizes and the `worst`.
    """
    errors: dict[str, dict[str, dict[str, list[float]]]] = {}
    for left_out in samples:
        model = fit([sample for sample in samples if sample is not left_out])
        for way, inventory_of in _WAYS.items():
            inventory = inventory_of(model, left_out)
            for target, found in left_out.found.items():
                estimated = _estimated(model, inventory, target)
                for resource, count in found.items() if target in model.coefficients else ():
                    error = (estimated[resource] - count) / max(count, 1)
                    errors.setdefault(way, {}).setdefault(target, {}).setdefault(resource, []).append(error)
    return {
        way: {
            target: {
                resource: {
                    "samples": len(values),
                    "mean": round(float(np.mean(np.abs(values))), 4),
                    "worst": round(float(np.max(np.abs(values))), 4),
                }
                for resource, values in resources.items()
            }
            for target, resources in targets.items()
        }
        for way, targets in errors.items()
    }


def error_table(errors: Mapping[str, Any]) -> list[str]:
    """Lines of a table in Markdown."""
    lines = ["| by | of | resource | samples | mean error | worst |", "|---|---|---|---:|---:|---:|"]
    for way, targets in errors.items():
        for target, resources in targets.items():
            for resource, error in resources.items():
                numbers = f"{error['samples']} | {error['mean']:.1%} | {error['worst']:.1%}"
                lines.append(f"| {way} | {target} | {resource} | {numbers} |")
    return lines


def _estimated(model: AreaModel, inventory: Inventory, target: str) -> dict[str, int]:
    if target == "gates":
        return {"nand2": model.gates(inventory).nand2}
    return dict(model.takes(inventory, target).items())


def chosen_configs() -> dict[str, dict[str, int]]:
    """Configurations small enough to be synthesised in a minute or two, unlike each other in every parameter."""
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
    return {f"small-{n}": {**_SMALL, **change} for n, change in enumerate(changes)}


def measure(name: str, config: Mapping[str, int]) -> Sample:
    """Elaborate and synthesise for every target: minutes."""
    from amaranth.back import rtlil

    from ..hw.core import Core
    from ..hw.verilog import core_verilog

    full = Config(name=name, **config)
    design = rtlil.convert(Core(full), name=_TOP, emit_src=False)
    found: dict[str, Mapping[str, int]] = {}
    with TemporaryDirectory() as folder:
        elaborate(design, Path(folder), top=_TOP)
        inventory = read_inventory(Path(folder), top=_TOP)
    verilog = core_verilog(full)
    for family in FAMILIES.values():
        with TemporaryDirectory() as folder:
            synthesise(verilog, family, Path(folder), top=_TOP)
            found[family.name] = dict(read_synthesis(Path(folder), family, top=_TOP).takes.items())
    with TemporaryDirectory() as folder:
        (Path(folder) / "design.il").write_text(design, encoding="utf-8")
        run_yosys(_GATES.format(top=_TOP), Path(folder), what=f"{_TOP} in gates")
        found["gates"] = {"nand2": nand2(Path(folder) / "gates.json")}
    return Sample(name, config, inventory, found)


def nand2(statistics: Path) -> int:
    """Two-input NANDs in Yosys' statistics of a netlist of gates."""
    text = statistics.read_text(encoding="utf-8")
    cells = json.loads(text[text.index("{") :])["design"]["num_cells_by_type"]
    return int(sum(_TRANSISTORS.get(kind, 0) * count for kind, count in cells.items())) // 4


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


@click.group()
def main() -> None:
    """Fit the area model to full syntheses."""


@main.command("measure")
@click.argument("names", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), default=_SAMPLES, show_default=True)
def measure_command(names: tuple[str, ...], out: Path) -> None:
    """Synthesise configurations that FILE has not."""
    samples = read_samples(out) if out.exists() else []
    known = {sample.name for sample in samples if sample.found}
    for name, config in chosen_configs().items():
        if name in known or (names and name not in names):
            continue
        click.echo(f"{name}: some minutes")
        samples = [sample for sample in samples if sample.name != name] + [measure(name, config)]
        _write(out, [sample.to_json() for sample in samples])


@main.command("fit")
def fit_command() -> None:
    """Fit the model, and print its errors."""
    samples = read_samples()
    model = fit(samples, errors=unseen_errors(samples))
    _write(_MODEL, asdict(model))
    click.echo("\n".join(error_table(model.errors)))


if __name__ == "__main__":
    main()
