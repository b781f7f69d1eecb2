"""The cells of a netlist do what Yosys' models do, and parts of the core made of them what their RTL does."""

import random
import re
import subprocess
from pathlib import Path

import pyosys
import pytest
from amaranth import ClockSignal, Instance, Module, Mux, ResetSignal, Signal, signed
from amaranth.lib.wiring import Component, In, Out
from tilewright.errors import DeviceError
from tilewright.fpga.cell_model import Cell
from tilewright.fpga.ecp5_models import MODELS
from tilewright.fpga.families import FAMILIES
from tilewright.fpga.netlist_verilog import NETLIST_TOP, netlist_verilog
from tilewright.fpga.synthesis import read_synthesis, synthesise
from tilewright.fpga.truth_table import table_expression
from tilewright.hw.cells import Bank
from tilewright.hw.verilog import to_verilog

ECP5 = FAMILIES["ecp5"]
YOSYS_MODELS = Path(next(iter(pyosys.__path__))) / "share" / "ecp5"
MODELS_OF_YOSYS = ("ccu2c_sim.vh", "common_sim.vh")
CYCLES = 400


def simulated(work: Path, verilog: str) -> str:
    (work / "bench.v").write_text(verilog, encoding="utf-8")
    subprocess.run(["iverilog", "-g2012", "-o", "bench", "bench.v"], cwd=work, check=True)
    return subprocess.run(["vvp", "-n", "bench"], cwd=work, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("inputs", range(5))
def test_expressions_of_tables(tmp_path: Path, inputs: int) -> None:
    dice = random.Random(inputs)
    names = [f"x[{k}]" for k in range(inputs)]
    lines = []
    for _ in range(60):
        table = dice.getrandbits(1 << inputs)
        chosen = [dice.choice([name, name, "1'b0", "1'b1"]) for name in names]
        index = "{" + ", ".join([*reversed(chosen), "1'b0"][: max(inputs, 1)]) + "}"
        wanted = f"{1 << inputs}'d{table} >> {index}"
        lines.append(f"check({table_expression(table, chosen)}, 1'(({wanted}) & 1));")
    body = "\n".join(lines)
    said = simulated(
        tmp_path,
        f"""module bench; reg [3:0] x; integer k;
task check(input found, input wanted); if (found !== wanted) $display("wrong"); endtask
initial for (k = 0; k < 16; k = k + 1) begin x = k; #1;
{body}
end endmodule""",
    )
    assert said == ""


def yosys_models() -> str:
    """Without the times of paths and the inclusions, on which Icarus Verilog stumbles."""
    text = "".join((YOSYS_MODELS / name).read_text(encoding="utf-8") for name in MODELS_OF_YOSYS)
    text = re.sub(r"\bspecify\b.*?\bendspecify\b|\(\* .*? \*\)", "", text, flags=re.DOTALL)
    wanted = {*KINDS, "LUT2"}
    found = re.findall(r"^module (\w+)\b(.*?)^endmodule", text, flags=re.DOTALL | re.MULTILINE)
    return "".join(f"module {name}{body}endmodule\n" for name, body in found if name in wanted)


KINDS = {
    "LUT4": ("ABCD", "Z"),
    "PFUMX": (("ALUT", "BLUT", "C0"), "Z"),
    "L6MUX21": (("D0", "D1", "SD"), "Z"),
    "CCU2C": (("CIN", "A0", "B0", "C0", "D0", "A1", "B1", "C1", "D1"), ("S0", "S1", "COUT")),
    "TRELLIS_FF": (("LSR", "CE", "DI"), "Q"),
    "TRELLIS_DPR16X4": (("DI", "WAD", "WRE", "RAD"), ("DO",)),
}


def parameters_of(kind: str, dice: random.Random) -> dict[str, str]:
    bits = lambda count: format(dice.getrandbits(count), f"0{count}b")  # noqa: E731
    if kind == "LUT4":
        return {"INIT": bits(16)}
    if kind == "CCU2C":
        inject = {f"INJECT1_{half}": dice.choice(["YES", "NO"]) for half in (0, 1)}
        return {"INIT0": bits(16), "INIT1": bits(16), **inject}
    if kind == "TRELLIS_FF":
        choices = {"CEMUX": ["1", "CE", "INV"], "LSRMUX": ["LSR", "INV"], "REGSET": ["SET", "RESET"]}
        return {name: dice.choice(values) for name, values in choices.items()}
    return {}


@pytest.mark.parametrize("kind", KINDS)
def test_cells_do_what_yosys_models_do(tmp_path: Path, kind: str) -> None:
    dice = random.Random(kind)
    inputs, outputs = KINDS[kind]
    width = 4 if kind == "TRELLIS_DPR16X4" else 1
    clock = {"TRELLIS_FF": {"CLK": ["clk"]}, "TRELLIS_DPR16X4": {"WCK": ["clk"]}}.get(kind, {})
    declared, cells, instances, checks, at = [], [], [], [], 0
    for number in range(8):
        parameters = parameters_of(kind, dice)
        pins = dict(clock)
        for pin in inputs:
            bits = 1 if pin == "WRE" else width
            pins[pin], at = [f"x[{(at + k) % 29}]" for k in range(bits)], at + bits
        outs = {pin: [f"o{number}_{pin}_{k}" for k in range(width)] for pin in outputs}
        declared += [name for wires in outs.values() for name in (*wires, *(f"y{wire}" for wire in wires))]
        cells.append(Cell(f"c{number}", kind, parameters, pins | outs))
        given = ", ".join(
            f".{key}({len(value)}'b{value})" if set(value) <= set("01") and len(value) > 1 else f'.{key}("{value}")'
            for key, value in parameters.items()
        )
        theirs = {pin: [f"y{wire}" for wire in wires] for pin, wires in outs.items()}
        joined = ", ".join(f".{pin}({{{', '.join(reversed(w))}}})" for pin, w in (pins | theirs).items())
        instances.append(f"{kind} #({given}) i{number}({joined});" if given else f"{kind} i{number}({joined});")
        checks += [f'if (({w} ^ y{w}) === 1) $display("{w}");' for wires in outs.values() for w in wires]
    text = f"""{yosys_models()}
module bench; reg clk = 0; reg [28:0] x = 0; integer k;
wire {", ".join(declared)};
{chr(10).join([*MODELS[kind](cells), *instances])}
initial for (k = 0; k < {CYCLES}; k = k + 1) begin
x = $urandom; #1 {" ".join(checks)} clk = 1; #1 {" ".join(checks)} clk = 0; #1;
end endmodule"""
    assert simulated(tmp_path, text) == ""


class Mixture(Component):
    """Something for each kind of cell: products, carries, wide choices, memory in look-up tables and in blocks."""

    left: In(signed(8))
    right: In(signed(8))
    far: In(signed(18))
    choice: In(6)
    write: In(1)
    place: In(4)
    product: Out(signed(26))
    total: Out(24)
    chosen: Out(1)
    kept: Out(8)

    def elaborate(self, platform: object) -> Module:
        from amaranth.lib import memory

        m = Module()
        words = Signal(64)
        m.submodules.small = small = memory.Memory(shape=8, depth=16, init=[])
        put, get = small.write_port(), small.read_port(domain="comb")
        m.d.comb += [put.en.eq(self.write), put.addr.eq(self.place), put.data.eq(self.left)]
        m.d.comb += [get.addr.eq(self.place ^ 5), self.kept.eq(get.data)]
        m.d.sync += [
            self.product.eq(self.left * self.far),
            self.total.eq(Mux(self.total[3], self.total - self.left, self.total + self.right)),
            words.eq((words << 5) ^ self.far),
            self.chosen.eq(words.bit_select(self.choice, 1)),
        ]
        return m


class Multiplier(Component):
    """One with all of its registers."""

    left: In(signed(18))
    right: In(signed(18))
    enable: In(1)
    product: Out(36)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ports = {f"i_{pin}{k}": value[k] for pin, value in (("A", self.left), ("B", self.right)) for k in range(18)}
        ports |= {f"o_P{k}": self.product[k] for k in range(36)}
        stages = ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT")
        ports |= {f"p_REG_{stage}_CLK": "CLK0" for stage in stages}
        ports |= {"i_SIGNEDA": 1, "i_SIGNEDB": 1, "i_CLK0": ClockSignal(), "i_RST0": ResetSignal()}
        m.submodules.cell = Instance("MULT18X18D", i_CE0=self.enable, **ports)
        return m


class PlainMultiplier(Multiplier):
    """Its portable twin."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left, right, product = Signal(signed(18)), Signal(signed(18)), Signal(signed(36))
        with m.If(self.enable):
            m.d.sync += [left.eq(self.left), right.eq(self.right), product.eq(left * right), self.product.eq(product)]
        return m


class BlockRam(Component):
    """One with its output register."""

    write: In(4)
    write_address: In(9)
    data: In(36)
    read_address: In(9)
    answer: Out(36)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ports = {f"i_DI{k}": self.data[k] for k in range(36)} | {f"o_DO{k}": self.answer[k] for k in range(36)}
        ports |= {f"i_ADW{k}": self.write_address[k] for k in range(9)}
        ports |= {f"i_ADR{k + 5}": self.read_address[k] for k in range(9)}
        ports |= {f"i_BE{k}": self.write[k] for k in range(4)}
        ports |= {f"i_CS{side}{k}": 0 for side in "WR" for k in range(3)} | {"i_RST": 0}
        ports |= {"i_CLKW": ClockSignal(), "i_CLKR": ClockSignal(), "i_CEW": self.write.any()}
        m.submodules.cell = Instance("PDPW16KD", i_CER=1, i_OCER=1, p_REGMODE="OUTREG", **ports)
        return m


class PlainBlockRam(BlockRam):
    """Its portable twin."""

    def elaborate(self, platform: object) -> Module:
        from amaranth.lib import memory

        m = Module()
        m.submodules.cells = cells = memory.Memory(shape=36, depth=512, init=[])
        put, get = cells.write_port(granularity=9), cells.read_port()
        m.d.comb += [put.en.eq(self.write), put.addr.eq(self.write_address), put.data.eq(self.data)]
        m.d.comb += [get.en.eq(1), get.addr.eq(self.read_address)]
        held = Signal(36, reset_less=True)
        m.d.sync += held.eq(get.data)
        m.d.comb += self.answer.eq(held)
        return m


def bench(component: Component) -> str:
    """Both designs get the same random inputs; a known bit of the RTL's outputs must be the netlist's."""
    ports = [(member.flow.name, "__".join(map(str, path)), len(value)) for path, member, value in
             component.signature.flatten(component)]  # fmt: skip
    inputs = [(name, size) for flow, name, size in ports if flow == "In"]
    outputs = [(name, size) for flow, name, size in ports if flow == "Out"]
    declared = [f"reg [{size - 1}:0] {name} = 0;" for name, size in inputs]
    declared += [f"wire [{size - 1}:0] {name}, {name}_n;" for name, size in outputs]
    common = [".clk(clk), .rst(rst)", *(f".{name}({name})" for name, _ in inputs)]
    rtl, netlist = (", ".join([*common, *(f".{n}({n}{end})" for n, _ in outputs)]) for end in ("", "_n"))
    drawn = {
        name: "$urandom % 8" if "address" in name else f"{{{size // 32 + 1}{{$urandom}}}}" for name, size in inputs
    }
    draw = " ".join(f"{name} = {value};" for name, value in drawn.items())
    check = " ".join(f'if (|({n} ^ {n}_n) === 1) $display("{n}");' for n, _ in outputs)
    check += " ".join(f"if (^{n} !== 1'bx) seen = seen + 1;" for n, _ in outputs)
    return f"""module bench; reg clk = 0, rst = 1; integer k, seen = 0; {" ".join(declared)}
rtl rtl({rtl}); netlist netlist({netlist});
initial begin for (k = 0; k < {CYCLES}; k = k + 1) begin
#1 {draw} #1 {check} clk = 1; #1 {check} clk = 0; if (k == 3) rst = 0;
end if (seen < {CYCLES // 2}) $display("unknown"); end endmodule
"""


@pytest.mark.parametrize(
    ("synthesised", "described", "kinds"),
    [
        (Mixture, Mixture, {"CCU2C", "LUT4", "MULT18X18D", "PFUMX", "TRELLIS_DPR16X4", "TRELLIS_FF"}),
        (
            lambda: Bank(words=512, word_bits=32, granularity=8),
            lambda: Bank(words=512, word_bits=32, granularity=8),
            {"DP16KD", "TRELLIS_FF"},
        ),
        (Multiplier, PlainMultiplier, {"MULT18X18D"}),
        (BlockRam, PlainBlockRam, {"PDPW16KD"}),
    ],
    ids=["mixture", "bank", "multiplier", "block-ram"],
)
def test_a_netlist_does_what_its_rtl_does(tmp_path: Path, synthesised, described, kinds: set[str]) -> None:
    synthesise(to_verilog(synthesised(), name=NETLIST_TOP), ECP5, tmp_path, top=NETLIST_TOP, netlist=True)
    assert kinds <= read_synthesis(tmp_path, ECP5, top=NETLIST_TOP).cells.keys()
    component = described()
    rtl = to_verilog(component, name="rtl")
    assert simulated(tmp_path, rtl + netlist_verilog(tmp_path, top="netlist") + bench(component)) == ""


@pytest.mark.parametrize(
    ("kind", "parameters", "pins", "message"),
    [
        ("TRELLIS_FF", {"CLKMUX": "INV"}, {}, "cell TRELLIS_FF must have CLKMUX CLK to be simulated, not INV"),
        ("MULT18X18D", {}, {"SIGNEDA": ["x"]}, "cell MULT18X18D must have operands of its own"),
        ("DP16KD", {"INITVAL_00": "1"}, {}, "cell DP16KD must start without contents to be simulated, and INITVAL_00"),
        ("PDPW16KD", {"DATA_WIDTH_R": "10010"}, {}, "cell PDPW16KD must have DATA_WIDTH_R 36 to be simulated, not 18"),
        (
            "DP16KD",
            {"DATA_WIDTH_A": "1", "DATA_WIDTH_B": "100"},
            {},
            "cell DP16KD must have ports of at least 9 bits or alike to be simulated",
        ),
    ],
)
def test_what_has_no_model_is_refused(kind: str, parameters: dict, pins: dict, message: str) -> None:
    with pytest.raises(DeviceError, match=f"^{message}"):
        list(MODELS[kind]([Cell("c", kind, parameters, pins)]))
