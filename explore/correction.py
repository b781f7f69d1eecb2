"""What synthesis makes of designs beside what closed forms say, learnt from the store's own results.

Gradient-boosted trees (LightGBM) for three quantiles of the logarithm of found over foretold, over the configuration's
parameters. They are used where, on designs that they have not seen, they are nearer to the truth than the closed form.
Before there are enough designs for trees, each clock that was routed moves the estimate of all, as one system more that
the estimate is fitted to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from math import exp, log, log2
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import Config
from ..fpga.area_model import area_model
from ..fpga.system_area import system_estimate
from .clock import clock_model, estimate_fmax
from .rungs import Knowledge, Measurement, Rung

if TYPE_CHECKING:
    from .question import Question
    from .store import Store

__all__ = ["ENOUGH", "Correction", "Errors", "Example"]

ENOUGH = 16  # designs, to learn from
_QUANTILES = (0.1, 0.5, 0.9)
_FOLDS = 6
_WIDEST = 0.9
_QUANTITIES = {Rung.SYNTHESIS: ("lut", "ff", "dsp", "block_ram"), Rung.ROUTED: ("fmax",)}
_SMALLER_IS_BETTER = {"lut": True, "ff": True, "dsp": True, "block_ram": True, "fmax": False}
_ROUNDS = 80
_SETTINGS = {
    "objective": "quantile", "num_leaves": 6, "min_data_in_leaf": 4, "learning_rate": 0.1, "feature_fraction": 0.8,
    "seed": 1, "deterministic": True, "force_row_wise": True, "num_threads": 1, "verbosity": -1,
}  # fmt: skip


@dataclass(frozen=True)
class Example:
    """A design, what a closed form says of one quantity and what was found."""

    config: Config
    foretold: float
    found: float

    @property
    def factor(self) -> float:
        return max(self.found, 1.0) / max(self.foretold, 1.0)


@dataclass(frozen=True)
class Errors:
    """Of one quantity, on designs that were left out of what it was learnt from: relative, mean and worst.

    Members
    -------
    closed_form, learnt
        (mean, worst) of the closed form and of the correction.
    within
        The share of designs between the correction's lower and upper quantile.
    """

    designs: int
    closed_form: tuple[float, float]
    learnt: tuple[float, float]
    within: float

    @property
    def worth_it(self) -> bool:
        return self.learnt[0] < self.closed_form[0]


@dataclass(frozen=True)
class Correction:
    """Factors by which closed forms are off.

    Members
    -------
    errors
        By quantity, of those that there are enough designs for.
    designs
        How many there are, by quantity.
    missing
        Why nothing can be learnt at all; "" otherwise.
    spans
        By quantity, the worst error that closed forms are known to have: what is assumed where nothing is learnt.
    scales
        By quantity of which too few are known for trees, a factor for all designs alike.
    """

    errors: Mapping[str, Errors] = field(default_factory=dict)
    designs: Mapping[str, int] = field(default_factory=dict)
    missing: str = ""
    spans: Mapping[str, float] = field(default_factory=dict)
    scales: Mapping[str, float] = field(default_factory=dict)
    _models: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @classmethod
    def from_store(cls, store: "Store", question: "Question") -> "Correction":
        """Learnt from what the store had when the search began."""
        examples: dict[str, list[Example]] = {}
        for rung, names in _QUANTITIES.items():
            results = store.results(question.setting.asked(rung), until=question.learnt_from)
            for _, config, found in results if question.learnt_from else ():
                foretold: dict[str, float] = dict(system_estimate(config, question.board).items())
                foretold["fmax"] = estimate_fmax(config)
                for name in names:
                    examples.setdefault(name, []).append(Example(config, foretold[name], found[name]))
        known = area_model().errors["formula"].get(question.board.family, {})
        spans = {name: min(error["worst"], _WIDEST) for name, error in known.items()}
        model = clock_model()
        return cls.learnt_from(examples, {**spans, "fmax": model.worst_error}, fitted_to={"fmax": model.samples})

    @classmethod
    def learnt_from(
        cls,
        examples: Mapping[str, Sequence[Example]],
        spans: Mapping[str, float],
        *,
        fitted_to: Mapping[str, int] = MappingProxyType({}),
    ) -> "Correction":
        """From examples by quantity.

        Parameters
        ----------
        fitted_to
            By quantity whose constant few examples may move: how many others the closed form was fitted to.
        """
        designs = {name: len(each) for name, each in examples.items()}
        able = {name: each for name, each in examples.items() if len(each) >= ENOUGH}
        scales = {
            name: _moved(examples[name], others)
            for name, others in fitted_to.items()
            if name in examples and name not in able
        }
        if not able:
            return cls(designs=designs, spans=spans, scales=scales)
        try:
            import lightgbm  # noqa: F401
        except ImportError:
            missing = "LightGBM is not installed: pip install 'tilewright[learn]'"
            return cls(designs=designs, missing=missing, spans=spans, scales=scales)
        errors = {name: _unseen_errors(each) for name, each in able.items()}
        models = {name: _train(able[name]) for name, found in errors.items() if found.worth_it}
        return cls(errors, designs, "", spans, scales, models)

    @property
    def learnt(self) -> bool:
        """Whether anything is corrected."""
        return bool(self._models)

    def corrected(self, config: Config, quantities: Mapping[str, float]) -> Measurement:
        """What the trees make of closed forms' `quantities`, those alone that they know better."""
        better = {name: quantities[name] * factor for name, factor in self.scales.items()}
        better |= {name: quantities[name] * self._factors(config, name)[1] for name in self._models}
        return Measurement(Rung.LEARNT, better)

    def at_best(self, config: Config, known: Knowledge) -> Knowledge:
        """The quantities at their better quantile, as far as they are estimates."""
        best = {}
        for name in self._estimated(known):
            low, high = self._span(config, name)
            best[name] = known.quantities[name] * (low if _SMALLER_IS_BETTER[name] else high)
        return Knowledge({**known.quantities, **best}, known.rungs)

    def uncertainty(self, config: Config, known: Knowledge) -> float:
        """The widest span between the quantiles, as a logarithm, of what is an estimate."""
        spans = (self._span(config, name) for name in self._estimated(known))
        return max((log(high / low) for low, high in spans), default=0.0)

    def lines(self) -> list[str]:
        """What was learnt and how well, for people."""
        if self.missing:
            return [f"Nothing is learnt from syntheses: {self.missing}."]
        lines = []
        for name, count in self.designs.items():
            errors = self.errors.get(name)
            if errors is None:
                used = (
                    f"times {self.scales[name]:.3f}, by what was measured" if name in self.scales else "by closed form"
                )
                lines.append(f"{name}: {used}; {count} designs were measured, {ENOUGH} are enough to learn from.")
                continue
            used = "learnt" if errors.worth_it else "by closed form, which is nearer than what was learnt"
            lines.append(
                f"{name}: {used}; on designs not seen, of {errors.designs}: {errors.learnt[0]:.1%} off in the mean, "
                f"{errors.learnt[1]:.1%} at worst, {errors.within:.0%} between the quantiles; the closed form "
                f"{errors.closed_form[0]:.1%} and {errors.closed_form[1]:.1%}."
            )
        return lines

    def _estimated(self, known: Knowledge) -> list[str]:
        names = {**self.spans, **self._models}
        return [name for name in names if known.rungs.get(name, Rung.ROUTED) <= Rung.LEARNT]

    def _span(self, config: Config, name: str) -> tuple[float, float]:
        """Between which factors of the estimate the truth may lie."""
        if name in self._models:
            low, middle, high = self._factors(config, name)
            return low / middle, high / middle
        return 1 - self.spans[name], 1 + self.spans[name]

    def _factors(self, config: Config, name: str) -> tuple[float, float, float]:
        """Lower quantile, median and upper quantile, in this order whatever the trees say."""
        low, middle, high = (exp(model.predict(_table([config]))[0]) for model in self._models[name])
        return min(low, middle), middle, max(high, middle)


def _moved(examples: Sequence[Example], others: int) -> float:
    """By what factor a constant fitted to `others` more moves if it is fitted to the examples too."""
    return exp(sum(log(each.factor) for each in examples) / (len(examples) + others))


def _train(examples: Sequence[Example]) -> list[Any]:
    """A model for each quantile."""
    import lightgbm

    table = _table([each.config for each in examples])
    wanted = np.array([log(each.factor) for each in examples])
    return [
        lightgbm.train({**_SETTINGS, "alpha": alpha}, lightgbm.Dataset(table, wanted), _ROUNDS) for alpha in _QUANTILES
    ]


def _unseen_errors(examples: Sequence[Example]) -> Errors:
    """By cross-validation: each design is foretold by models that were trained without its fold."""
    plain, learnt, within = [], [], []
    for fold in range(_FOLDS):
        models = _train([each for number, each in enumerate(examples) if number % _FOLDS != fold])
        for each in examples[fold::_FOLDS]:
            low, middle, high = (exp(model.predict(_table([each.config]))[0]) for model in models)
            true = each.factor
            plain.append(abs(1 / true - 1))
            learnt.append(abs(middle / true - 1))
            within.append(min(low, middle) <= true <= max(high, middle))
    return Errors(len(examples), _mean_and_worst(plain), _mean_and_worst(learnt), float(np.mean(within)))


def _mean_and_worst(errors: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(errors)), max(errors)


def _table(configs: Sequence[Config]) -> np.ndarray:
    """float64, shape (configurations, parameters): logarithms."""
    return np.array([[log2(value) for value in astuple(config) if isinstance(value, int)] for config in configs])
