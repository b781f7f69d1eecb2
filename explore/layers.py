"""What each layer of a design takes by the timing model, and how much of the multipliers it uses."""

from ..compiler.compile import compile_graph
from ..config import Config
from ..driver.layers import LayerReport, layer_reports, total_report
from ..simulator.timing.model import TimingModel
from .records import timed_records
from .schedules import tuner
from .workload import Workload

__all__ = ["design_layers"]


def design_layers(workload: Workload, config: Config) -> dict[str, list[LayerReport]]:
    """By model: a report for each layer on the core, and one of them all, with the schedules that it is built with.

    Raises
    ------
    TilewrightError
        A model does not run on it.
    """
    model = TimingModel(config, shared=True)
    found = {}
    for item in workload.models:
        with tuner(item.name) as scheduler:
            program = compile_graph(item.graph, config, check=False, scheduler=scheduler)
        records = timed_records(program, model=model)
        reports = layer_reports(program, records)
        core = [report for report in reports if report.target == "accelerator"]
        found[item.name] = [*core, total_report(program, records, reports)]
    return found
