"""A chosen design, ready to build: its configuration, programs, Verilog, and the command for its bitstream."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from ..compiler.compile import compile_graph
from ..errors import TilewrightError
from ..files import write_file
from ..fpga.board_system import usual_system
from ..fpga.boards import Board
from ..hw.verilog import core_verilog
from .results import front_rows
from .schedules import tuner
from .study import Study

__all__ = ["write_design"]

_CONFIG = "config.toml"


def write_design(study: Study, number: int, folder: Path) -> list[Path]:
    """Write design `number` of the front to `folder`, which need not exist; the files.

    ``config.toml``, a program ``MODEL.tw`` for each model, ``tilewright.v``, ``design.json`` with what is known of it
    and from which rung, and ``build.sh``, which makes the bitstream, or the files for the tools that do.

    Raises
    ------
    TilewrightError
        The front has no such design, or a file can't be written.
    """
    front = study.front()
    if not 1 <= number <= len(front):
        has = f"a number from 1 to {len(front)}" if front else "of a front, and this one is empty"
        raise TilewrightError(f"the design to pick must be {has}, not {number}")
    config = front[number - 1].config
    question = study.question
    searched = [parameter.name for parameter in question.space.parameters]
    row = front_rows(question, front)[number - 1]
    contents = {_CONFIG: config.to_toml().encode()}
    for model in question.setting.workload.models:
        with tuner(model.name) as scheduler:
            contents[f"{model.name}.tw"] = compile_graph(model.graph, config, scheduler=scheduler).to_bytes()
    contents["tilewright.v"] = core_verilog(config).encode()
    contents["design.json"] = (json.dumps(row.to_json(searched), indent=1) + "\n").encode()
    contents["build.sh"] = _build(question.board, row.values["fmax"]).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TilewrightError(f"folder {folder} must be writable: {error.strerror}; choose another place") from None
    for name, data in contents.items():
        write_file(folder / name, data, "design file", error=TilewrightError)
    return [folder / name for name in contents]


def _build(board: Board, fmax: float) -> str:
    """The system that was judged, at the clock that it is thought to reach; another clock may be given in MHz."""
    if board.platform is None:
        return _script(("tilewright", "export", "--vivado", "--fusesoc", "--config", _CONFIG, "--out", "export"))
    system = usual_system(board)
    memory = "sdram" if system.sdram else str(system.memory_bytes >> 10)
    clock = min(int(fmax / 1e6), system.clock_hz // 1_000_000)
    words = ("tilewright", "bitstream", "--board", board.name, "--config", _CONFIG, "--memory", memory)
    return _script((*words, "--out", "design.bit", "--report", "bitstream.json"), f'--clock "${{1:-{clock}}}"')


def _script(words: Sequence[str], *more: str) -> str:
    return f'#!/bin/sh\nset -e\ncd "$(dirname "$0")"\n{" ".join((shlex.join(words), *more))}\n'
