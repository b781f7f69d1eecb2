"""The tables of docs/verification.md."""

from tilewright.isa.coverage import coverage_bins
from tilewright.isa.generated_page import updated
from tilewright.simulator.campaign import CAMPAIGN
from tilewright.simulator.verification import PATH, generated


def test_the_page_is_current() -> None:
    text = PATH.read_text(encoding="utf-8")
    assert updated(PATH, generated()) == text
    assert all(f"`{name}`" in text for name in CAMPAIGN) and f"{len(coverage_bins()):,} bins" in text


def test_the_cores_are_those_that_agreement_is_asked_for() -> None:
    configs = [core.config for core in CAMPAIGN.values()]
    assert len(configs) >= 8
    assert any(config.rows > 1 for config in configs) and any(config.block_in != config.block_out for config in configs)
    assert any(config.bus_bits == 512 for config in configs)
    depths = ("wgt_depth", "acc_depth", "bias_depth", "scale_depth", "tables")
    least, most = {"wgt_depth": 2, "acc_depth": 4, "bias_depth": 2, "scale_depth": 2, "tables": 1}, {
        "wgt_depth": 1 << 16, "acc_depth": 1 << 16, "bias_depth": 1 << 12, "scale_depth": 1 << 12, "tables": 8,
    }  # fmt: skip
    for wanted in (least, most):
        assert any(all(getattr(config, depth) == wanted[depth] for depth in depths) for config in configs)
