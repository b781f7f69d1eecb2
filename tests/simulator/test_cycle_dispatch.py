"""The harness's own way past Verilator's scheduler: taken where the C++ is understood, else not."""

from pathlib import Path

import pytest
from tilewright.simulator.cycle.dispatch import take_over

CLOCKS = ["clk", "clocks__front", "pins__rst"]
TRIGGERS = """\
void Vtop___024root___eval_triggers__act(Vtop___024root* vlSelf) {
    vlSelf->__VactTriggered.at(0U) = ((IData)(vlSelf->clk)
                                      ^ (IData)(vlSelf->__Vtrigrprev__TOP__clk));
    vlSelf->__VactTriggered.at(1U) = ((IData)(vlSelf->clocks___05Ffront)
                                      ^ (IData)(vlSelf->__Vtrigrprev__TOP__clocks___05Ffront));
    vlSelf->__Vtrigrprev__TOP__clk = vlSelf->clk;
}
"""
BLOCKS = """\
void Vtop___024root___eval_nba(Vtop___024root* vlSelf) {
    if ((vlSelf->__VnbaTriggered.at(0U) | vlSelf->__VnbaTriggered.at(1U))) {
        Vtop___024root___nba_comb__TOP__0(vlSelf);
    }
}
"""


def output(folder: Path, *texts: str) -> Path:
    for number, text in enumerate(texts):
        (folder / f"Vtop__{number}.cpp").write_text(text)
    return folder


def test_the_blocks_ask_for_edges_that_they_are_told(tmp_path: Path) -> None:
    assert take_over(output(tmp_path, TRIGGERS, "int before;\n" + BLOCKS + "int after;\n"), CLOCKS)
    header = (tmp_path / "dispatch.hpp").read_text()
    assert "kEdge_clk = 0x1;" in header and "kEdge_clocks___05Ffront = 0x2;" in header
    assert "kEdge_pins___05Frst = 0x0;" in header  # nothing waits for it
    text = (tmp_path / "Vtop__1.cpp").read_text()
    assert text.startswith("int before;\n") and text.endswith("int after;\n")
    assert (
        "if (((fired >> 0U & 1U) | (fired >> 1U & 1U))) {\n        Vtop___024root___nba_comb__TOP__0(vlSelf);" in text
    )
    assert (tmp_path / "Vtop__0.cpp").read_text() == TRIGGERS


@pytest.mark.parametrize(
    "texts",
    [
        (TRIGGERS, BLOCKS.replace("eval_nba", "run_nba")),
        (TRIGGERS, BLOCKS, BLOCKS),
        (TRIGGERS.replace("^ ", "& ~ "), BLOCKS),
        (TRIGGERS.replace("(IData)(vlSelf->clk)", "(IData)(vlSelf->inner_clock)"), BLOCKS),
        (TRIGGERS.replace("vlSelf->clk", "vlSelf->other").replace("TOP__clk", "TOP__other"), BLOCKS),
        (TRIGGERS, BLOCKS, "bool more() { return vlSelf->__VnbaTriggered.at(1U); }\n"),
    ],
    ids=["other function", "two of them", "rising edges", "another signal", "a clock nobody knows", "more readers"],
)
def test_what_is_not_understood_is_left_alone(tmp_path: Path, texts: tuple[str, ...]) -> None:
    assert not take_over(output(tmp_path, *texts), CLOCKS)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"Vtop__{n}.cpp" for n in range(len(texts))]
    assert [(tmp_path / f"Vtop__{number}.cpp").read_text() for number in range(len(texts))] == list(texts)
