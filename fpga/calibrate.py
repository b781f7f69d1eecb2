"""Fits the area model to full syntheses, and measures its errors on configurations that it has not seen.

    python -m tilewright.fpga.calibrate measure [NAME ...]    synthesise what has changed: a minute or two each
    python -m tilewright.fpga.calibrate fit                    the model from the samples that there are

Samples are in ``area_samples.json``, the model in ``area_model.json``, both beside this module.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from .area_measure import chosen_configs, measured
from .area_model import AreaModel, quantity
from .area_samples import SAMPLES, Sample, read_samples, write_samples
from .families import FAMILIES
from .formula import features, formula_inventory
from .inventory import LOGIC, Inventory
from .memory_cells import memory_cells

__all__ = ["error_table", "fit", "unseen_errors"]

_MODEL = Path(__file__).with_name("area_model.json")
_FITTED = {
    "lut": ("one", "adders", "multiplexers", "shifters"),
    "ff": ("one", "flip_flops", "lut_memory_width"),
    "nand2": ("adders", "multiplexers", "comparisons", "gates", "shifters", "product_bits"),
}
# Before anything was measured: a full adder has 28 transistors, a choice of two 12, an AND 6.
_TEXTBOOK = {
    "adders": 7.0, "multiplexers": 3.0, "comparisons": 4.5, "gates": 1.5, "shifters": 3.0, "product_bits": 8.5,
}  # fmt: skip


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


@click.group()
def main() -> None:
    """Fit the area model to full syntheses."""


@main.command("measure")
@click.argument("names", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), default=SAMPLES, show_default=True)
@click.option("--jobs", "-j", type=click.IntRange(1), default=os.cpu_count() or 1, help="Syntheses at a time.")
def measure_command(names: tuple[str, ...], out: Path, jobs: int) -> None:
    """Synthesise the configurations that FILE has not, or of hardware that has changed since; of NAMES only those."""
    samples = {sample.name: sample for sample in (read_samples(out) if out.exists() else [])}
    configs = chosen_configs()
    wanted = {name: config for name, config in configs.items() if not names or name in names}
    for sample in measured(wanted, list(samples.values()), jobs=jobs, progress=click.echo):
        samples[sample.name] = sample
        write_samples((samples[name] for name in configs if name in samples), out)


@main.command("fit")
def fit_command() -> None:
    """Fit the model, and print its errors."""
    samples = read_samples()
    model = fit(samples, errors=unseen_errors(samples))
    _MODEL.write_text(json.dumps(asdict(model), indent=1) + "\n", encoding="utf-8")
    click.echo("\n".join(error_table(model.errors)))


if __name__ == "__main__":
    main()
