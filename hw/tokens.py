"""Counting semaphores between every two engines."""

from typing import Any

from amaranth import Cat, Module, Signal
from amaranth.lib.wiring import Component, In, Out

from ..config import Config
from ..isa.table import ENGINES, Engine
from .signatures import TokenLink

__all__ = ["Tokens"]


class Tokens(Component):
    """A counter for each ordered pair of engines. A token may be taken in the cycle in which it is given.

    An engine takes tokens every second cycle at most, and what it takes is subtracted in the cycle between.

    Members
    -------
    <engine>
        That engine's TokenLink.
    awake
        A token is given or taken.
    """

    def __init__(self, config: Config) -> None:
        self._bits = config.token_bits
        super().__init__({**{e.name.lower(): In(TokenLink()) for e in ENGINES}, "awake": Out(1)})

    def _link(self, engine: Engine) -> Any:
        return getattr(self, engine.name.lower())

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        enough: dict[Engine, list[Any]] = {e: [] for e in ENGINES}
        room: dict[Engine, list[Any]] = {e: [] for e in ENGINES}
        moves: list[Any] = []
        for source in ENGINES:
            for target in ENGINES:
                giver, taker = self._link(source).release, self._link(target).acquire
                if source is target:
                    enough[target].append(~taker.payload[source])
                    room[source].append(~giver.payload[target])
                    continue
                count = Signal(self._bits, name=f"{source.name.lower()}_to_{target.name.lower()}")
                give, take = (
                    Signal(name=f"give_{source.value}{target.value}"),
                    Signal(name=f"take_{source.value}{target.value}"),
                )
                m.d.comb += give.eq(giver.valid & giver.ready & giver.payload[target])
                m.d.sync += take.eq(taker.valid & taker.ready & taker.payload[source])
                moves += [give, take, taker.valid & taker.ready]
                none, full = Signal(init=1, name=f"no_{count.name}"), Signal(name=f"all_{count.name}")
                with m.If(give & ~take):
                    m.d.sync += [count.eq(count + 1), none.eq(0), full.eq((count + 1)[: self._bits].all())]
                with m.Elif(take & ~give):
                    m.d.sync += [count.eq(count - 1), none.eq(count == 1), full.eq(0)]
                enough[target].append(~taker.payload[source] | (~none & ~take) | give)
                room[source].append(~giver.payload[target] | ~full | take)
        for engine in ENGINES:
            m.d.comb += self._link(engine).acquire.ready.eq(Cat(enough[engine]).all())
            m.d.comb += self._link(engine).release.ready.eq(Cat(room[engine]).all())
        m.d.comb += self.awake.eq(Cat(moves).any())
        return m
