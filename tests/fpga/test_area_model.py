"""Estimates of area: rules that Yosys follows, fits that find what was planted, and the model that is shipped."""

import json
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from time import process_time

import pytest
from tilewright.config import PRESETS, Config, load_config
from tilewright.fpga import area_measure
from tilewright.fpga.area_measure import measured, nand2
from tilewright.fpga.area_model import area_model, dsp_blocks
from tilewright.fpga.area_samples import Sample, read_samples, write_samples
from tilewright.fpga.calibrate import error_table, fit, unseen_errors
from tilewright.fpga.formula import estimate, formula_inventory
from tilewright.fpga.inventory import LOGIC, Inventory, MemoryUse, Multipliers
from tilewright.fpga.memory_cells import memory_cells

DOCS = Path(__file__).parents[2] / "docs" / "export.md"


def of(words: int, bits: int, granule: int = 0, read_ports: int = 1, count: int = 1) -> MemoryUse:
    return MemoryUse(words=words, bits=bits, granule=granule or bits, read_ports=read_ports, count=count)


@pytest.mark.parametrize(
    ("memory", "luts", "blocks"),
    [
        (of(64, 65), 0, 2),
        (of(128, 128, 64, count=2), 0, 8),
        (of(256, 8, read_ports=4), 0, 4),
        (of(1024, 2048, 64), 0, 128),
        (of(2048, 128, 64), 0, 16),
        (of(256, 512, 64), 0, 16),
        (of(512, 36), 0, 1),
        (of(64, 512, 256), 0, 15),
        (of(64, 512, 128), 0, 15),
        (of(16384, 1), 0, 1),
        (of(32, 128, 64), 384, 0),
        (of(21, 32), 96, 0),
    ],
)
def test_memories_on_ecp5(memory: MemoryUse, luts: int, blocks: int) -> None:
    takes = memory_cells(memory, "ecp5")
    assert (takes.lut, takes.block_ram) == (luts, blocks)


@pytest.mark.parametrize(
    ("memory", "luts", "blocks"),
    [
        (of(64, 65), 88, 0),
        (of(256, 8, read_ports=4), 192, 0),
        (of(32, 128, 64), 88, 0),
        (of(512, 32), 0, 1),
        (of(128, 128, 64, count=2), 0, 8),
    ],
)
def test_memories_on_xilinx7(memory: MemoryUse, luts: int, blocks: int) -> None:
    takes = memory_cells(memory, "xilinx7")
    assert (takes.lut, takes.block_ram) == (luts, blocks)


def inventory(seed: int) -> Inventory:
    sums = {name: 100.0 + 37 * seed * (n + 2) % 911 for n, name in enumerate(LOGIC)}
    return Inventory(**sums, multipliers=(Multipliers(left=8, right=8, count=seed),), memories=(of(16, 4),))


def test_a_fit_finds_what_was_planted() -> None:
    def sample(seed: int) -> Sample:
        parts = inventory(seed)
        lut = 6 + round(2 * parts.adders + 0.5 * parts.multiplexers)
        found = {"ecp5": {"lut": lut, "ff": round(1.1 * parts.flip_flops), "dsp": seed, "block_ram": 0}}
        return Sample(f"sample-{seed}", {"wgt_depth": 2 << seed}, parts, found)

    samples = [sample(seed) for seed in range(1, 13)]
    model = fit(samples)
    assert model.coefficients["ecp5"]["lut"]["adders"] == pytest.approx(2, rel=0.05)
    assert model.takes(inventory(20), "ecp5").lut == pytest.approx(sample(20).found["ecp5"]["lut"], rel=0.02)
    assert model.takes(inventory(20), "ecp5").ff == pytest.approx(1.1 * inventory(20).flip_flops, rel=0.02)
    errors = unseen_errors(samples)["elaboration"]["ecp5"]
    assert errors["lut"]["samples"] == 12 and errors["lut"]["worst"] < 0.05 and errors["dsp"]["worst"] == 0
    assert Sample.from_json(json.loads(json.dumps(samples[0].to_json()))) == samples[0]


def test_the_shipped_model_is_fitted_to_the_shipped_samples() -> None:
    samples = read_samples()
    assert asdict(fit(samples))["coefficients"] == area_model().coefficients
    assert sum("ecp5" in sample.found for sample in samples) >= 5
    assert sum("xilinx7" in sample.found for sample in samples) >= 3


def test_the_documentation_states_the_errors() -> None:
    assert "\n".join(error_table(area_model().errors)) in DOCS.read_text(encoding="utf-8")


def test_multipliers_and_blocks_are_exact_on_every_sample() -> None:
    for sample in read_samples():
        for family, found in sample.found.items():
            if family == "gates":
                continue
            for parts in (sample.inventory, formula_inventory(sample.full_config)):
                takes = area_model().takes(parts, family)
                assert (takes.dsp, takes.block_ram) == (found["dsp"], found["block_ram"]), (sample.name, family)


def test_the_formula_knows_the_memories() -> None:
    for sample in read_samples():
        mine, theirs = formula_inventory(sample.full_config), sample.inventory
        assert mine.memory_bits[1] == pytest.approx(theirs.memory_bits[1], rel=0.03), sample.name
        assert dsp_blocks(mine) == dsp_blocks(theirs)


@pytest.mark.parametrize("family", ["ecp5", "xilinx7"])
def test_the_formula_is_quick_and_grows_with_the_array(family: str) -> None:
    config = load_config("tiny")
    times = []
    for _ in range(200):
        started = process_time()
        estimate(config, family)
        times.append(process_time() - started)
    assert min(times) < 0.001
    sizes = [config.replace(block_in=n, block_out=n) for n in (4, 8, 16, 32)]
    takes = [estimate(size, family) for size in sizes]
    assert all(small.lut < large.lut and small.ff < large.ff for small, large in pairwise(takes))


def test_only_what_has_changed_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hardware = {"text": "first"}
    monkeypatch.setattr(area_measure, "core_design", lambda config: f"{hardware['text']} {config.block_in}")
    monkeypatch.setattr(area_measure, "elaborated_core", lambda config: inventory(config.block_in))
    monkeypatch.setattr(area_measure, "_found", lambda config, target: {"lut": config.block_in})
    configs, said = {"narrow": {"block_in": 4}, "tiny": {"block_in": 8}}, list[str]()
    first = list(measured(configs, [], jobs=2, progress=said.append))
    assert [sample.name for sample in first] == ["narrow", "tiny"] and said[0] == "narrow is measured"
    assert first[0].found == {key: {"lut": 4} for key in ("ecp5", "xilinx7", "gates")} and first[1].found == {}
    write_samples(first, tmp_path / "samples.json")
    kept = read_samples(tmp_path / "samples.json")
    assert kept == first and list(measured(configs, kept, jobs=1)) == []
    assert [sample.name for sample in measured(configs | {"new": {"block_in": 16}}, kept, jobs=1)] == ["new"]
    hardware["text"] = "second"
    assert len(list(measured(configs, kept, jobs=1))) == 2


def test_every_preset_has_an_estimate() -> None:
    for name in PRESETS:
        config: Config = load_config(name)
        gates = area_model().gates(formula_inventory(config))
        assert gates.nand2 > 500 * config.macs_per_cycle and gates.flip_flops > 16 * config.macs_per_cycle
        assert sum(gates.memory_bits.values()) >= 8 * config.on_chip_bytes


def test_no_gate_is_forgotten(tmp_path: Path) -> None:
    cells = {"$_NAND_": 3, "$_MUX_": 2, "$_DFF_P_": 7, "$mem_v2": 1}
    file = tmp_path / "gates.json"
    file.write_text("Warning\n" + json.dumps({"design": {"num_cells_by_type": cells}}))
    assert nand2(file) == (3 * 4 + 2 * 12) // 4


def test_memory_bits_by_ports() -> None:
    parts = replace(inventory(1), memories=(of(16, 8), of(4, 2, read_ports=3, count=2)))
    assert parts.memory_bits == {1: 128, 3: 16}
